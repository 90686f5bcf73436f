/* What the console needs besides unfold: copy buttons, dialogs that hold the focus, vendor fields, a filter box. */
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const icon = button.querySelector(".material-symbols-outlined");
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      icon.textContent = "check";
    } catch {
      icon.textContent = "error"; // the page may not use the clipboard: the text can still be selected
    }
    setTimeout(() => { icon.textContent = "content_copy"; }, 1500);
  });

  const box = document.getElementById("modal-content");
  let cameFrom = null;
  if (box) {
    const reachable = () => [...box.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea")]
      .filter((item) => !item.disabled && item.offsetParent !== null);
    const isOpen = () => box.offsetParent !== null || getComputedStyle(box.parentElement).display !== "none";
    document.body.addEventListener("htmx:beforeRequest", (event) => {
      if (!box.contains(event.target)) cameFrom = event.target;
    });
    document.body.addEventListener("htmx:afterSettle", () => {
      if (!box.firstElementChild) return;
      requestAnimationFrame(() => {
        if (!isOpen()) return;
        const wrong = box.querySelector(".errors input, .errors textarea, .errors select");
        const first = wrong || box.querySelector("input:not([type=hidden]), select, textarea") || reachable()[0];
        (first || box).focus();
      });
    });
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Tab") return;
      const items = reachable();
      if (!items.length) return;
      const first = items[0], last = items[items.length - 1];
      if (event.shiftKey && document.activeElement === first) { last.focus(); event.preventDefault(); }
      else if (!event.shiftKey && document.activeElement === last) { first.focus(); event.preventDefault(); }
    });
    new MutationObserver(() => {
      if (!isOpen() && cameFrom && document.contains(cameFrom)) { cameFrom.focus(); cameFrom = null; }
    }).observe(box.parentElement, { attributes: true, attributeFilter: ["style"] });
  }

  const vendor = document.querySelector("select[data-vendor-inputs]");
  if (vendor) {
    const wanted = JSON.parse(vendor.dataset.vendorInputs);
    const all = new Set(Object.values(wanted).flat());
    const show = () => {
      for (const name of all) {
        const field = document.getElementById(`id_${name}`);
        const line = field && (field.closest(".field-line") || field.closest(`.field-${name}`) || field.closest(".form-row"));
        if (line) line.hidden = !(wanted[vendor.value] || []).includes(name);
      }
      for (const box of document.querySelectorAll("fieldset.module")) {
        const lines = [...box.querySelectorAll(".form-row")];
        box.hidden = lines.length > 0 && lines.every((line) => line.hidden);
      }
    };
    vendor.addEventListener("change", show);
    show();
  }

  for (const input of document.querySelectorAll("[data-filters]")) {
    input.addEventListener("input", () => {
      const words = input.value.trim().toLowerCase();
      for (const item of document.querySelectorAll(input.dataset.filters)) item.hidden = !item.dataset.words.includes(words);
    });
  }
});
