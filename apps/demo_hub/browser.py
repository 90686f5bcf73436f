"""A browser without a screen: cookies, redirects, forms, and the rules by which real browsers break pages.

It fills in and submits server-rendered pages over HTTP. Where Chromium would silently refuse (a `form-action`
policy that does not cover a redirect) it raises, and it sends `Origin`, `Referer` and `Sec-Fetch-*` as Chromium
does, so that what passes here has a fair chance to work for people. It runs no scripts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit, urlunsplit

import requests

from .htmlform import Button, Document, Form

_MOST_HOPS = 20
_REDIRECTS = {301, 302, 303, 307, 308}
_REFRESH_AT_MOST_S = 30


class BlockedByPolicy(Exception):
    """A browser would have stopped here, without telling the person why."""


@dataclass
class Page:
    """Where the browser is. `status` is 0 where it stopped at an address without asking it for anything."""

    url: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    redirects: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        is_page = "html" in self.headers.get("content-type", "html")
        self.document = Document(self.text if is_page else "")

    @property
    def title(self) -> str:
        """The title."""
        return self.document.title.strip()

    @property
    def forms(self) -> list[Form]:
        """The forms, in order."""
        return self.document.forms

    @property
    def parameters(self) -> dict[str, str]:
        """The query parameters of the address; a repeated one raises ValueError."""
        found = parse_qs(urlsplit(self.url).query, keep_blank_values=True)
        if any(len(values) > 1 for values in found.values()):
            raise ValueError(f"a parameter is repeated in {self.url}")
        return {name: values[0] for name, values in found.items()}

    def shows(self, testid: str) -> bool:
        """Whether an element has this test id."""
        return testid in self.document.testids

    def texts(self, testid: str) -> list[str]:
        """The text of every element with this test id, with single spaces."""
        return [" ".join(text.split()) for text in self.document.testids.get(testid, [])]

    def button(self, wanted: str) -> tuple[Form, Button] | None:
        """The button called like this (test id, name, `name=value` or label) and its form."""
        for form in self.forms:
            for button in form.buttons:
                if button.is_called(wanted):
                    return form, button
        return None


class Browser:
    """One person's browser. It stays on this machine: at an address elsewhere it stops without a request."""

    def __init__(self, *, stop_at: Iterable[str] = (), timeout_s: float = 20) -> None:
        """Start with an empty cookie jar.

        Args:
            stop_at: beginnings of addresses at which to stop, such as an agent's return URL nobody listens on.
        """
        self.stop_at = list(stop_at)
        self.history: list[Page] = []
        self._timeout_s = timeout_s
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.headers.update(
            {
                "User-Agent": "Mozilla/5.0 (a person, driven)",
                "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
                "Accept-Language": "en",
            }
        )

    @property
    def page(self) -> Page:
        """The page shown now."""
        return self.history[-1] if self.history else Page("about:blank")

    @property
    def cookies(self) -> requests.cookies.RequestsCookieJar:
        """The cookie jar."""
        return self._http.cookies

    def open(self, url: str, *, follow_refresh: bool = True) -> Page:
        """Type an address."""
        return self._go("GET", url, [], None, follow_refresh)

    def follow(self, wanted: str, *, follow_refresh: bool = True) -> Page:
        """Follow the link with this test id or text."""
        for link in self.page.document.links:
            if wanted in (link.testid, " ".join(link.text.split())):
                return self._go("GET", urljoin(self.page.url, link.href), [], self.page, follow_refresh)
        raise LookupError(f"there is no link {wanted!r} on {self._described()}")

    def submit(
        self,
        values: dict[str, str] | None = None,
        *,
        button: str | None = None,
        form: Form | None = None,
        follow_refresh: bool = True,
    ) -> Page:
        """Fill in a form and press a button.

        Args:
            values: what to type or choose, by field name; the rest, hidden fields included, stays as it is.
            button: which button to press; without one, the first of the form.
            form: which form; without one, the button's, or the only one of the page.

        Raises:
            LookupError: there is no such form, field, choice or button.
            BlockedByPolicy: a browser would refuse to send it or to follow the answer.
        """
        page = self.page
        pressed: Button | None = None
        if button is not None:
            found = page.button(button)
            if found is None or (form is not None and found[0] is not form):
                raise LookupError(f"there is no button {button!r} on {self._described()}")
            form, pressed = found
        elif form is None:
            if len(page.forms) != 1:
                raise LookupError(f"say which form or button: there are {len(page.forms)} on {self._described()}")
            form = page.forms[0]
        if pressed is None and form.buttons:
            pressed = form.buttons[0]
        sent = form.filled(values or {}, pressed)
        url = urljoin(page.url, (pressed and pressed.action) or form.action or page.url)
        method = ((pressed and pressed.method) or form.method).upper()
        if method == "POST" and form.enctype not in ("", "application/x-www-form-urlencoded"):
            raise LookupError(f"a form of type {form.enctype} is more than this browser can send")
        return self._go(method, url, sent, page, follow_refresh, of_form=True)

    def _described(self) -> str:
        return f"{self.page.url.split('?')[0]} ({self.page.status}, {self.page.title!r})"

    def _go(
        self,
        method: str,
        url: str,
        sent: list[tuple[str, str]],
        source: Page | None,
        follow_refresh: bool,
        of_form: bool = False,
    ) -> Page:
        if method == "GET" and of_form:
            url = urlunsplit(urlsplit(url)._replace(query=urlencode(sent)))
            sent = []
        page = self._load(method, url, sent, source, of_form)
        self.history.append(page)
        moved = 0
        while follow_refresh and page.document.refresh and page.document.refresh[0] <= _REFRESH_AT_MOST_S:
            moved += 1
            if moved > _MOST_HOPS:
                raise BlockedByPolicy(f"pages keep moving on: {self._described()}")
            page = self._load("GET", urljoin(page.url, page.document.refresh[1]), [], page, False)
            self.history.append(page)
        return page

    def _load(self, method: str, url: str, sent: list[tuple[str, str]], source: Page | None, of_form: bool) -> Page:
        """Ask, and follow redirects as a browser would."""
        hops: list[str] = []
        while True:
            if of_form and source is not None:
                check_form_action(source, url)
            if self._stops_at(url):
                return Page(url, redirects=hops)
            try:
                answer = self._http.request(
                    method,
                    url,
                    data=sent if method == "POST" else None,
                    headers=_browser_headers(method, url, source),
                    allow_redirects=False,
                    timeout=self._timeout_s,
                )
            except requests.ConnectionError as refused:
                # Nobody is there; the address bar has the address all the same.
                return Page(url, headers={"x-failure": type(refused).__name__}, redirects=hops)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            if answer.status_code not in _REDIRECTS or "location" not in headers:
                answer.encoding = answer.encoding or "utf-8"
                return Page(url, answer.status_code, headers, answer.text, hops)
            hops.append(url)
            if len(hops) > _MOST_HOPS:
                raise BlockedByPolicy(f"too many redirects, last to {url.split('?')[0]}")
            url = urljoin(url, headers["location"])
            if answer.status_code == 303 or (answer.status_code in (301, 302) and method == "POST"):
                method, sent = "GET", []

    def _stops_at(self, url: str) -> bool:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or any(url.startswith(prefix) for prefix in self.stop_at):
            return True
        try:
            return not ipaddress.ip_address(parts.hostname or "").is_loopback
        except ValueError:
            return parts.hostname != "localhost" and not (parts.hostname or "").endswith(".localhost")


def origin(url: str) -> str:
    """Scheme, host and port of an address, as in an Origin header."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _browser_headers(method: str, url: str, source: Page | None) -> dict[str, str]:
    """The headers by which servers judge where a request comes from."""
    headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"}
    if source is None:
        return headers | {"Sec-Fetch-Site": "none"}
    same = origin(source.url) == origin(url)
    same_site = urlsplit(source.url).hostname == urlsplit(url).hostname
    headers["Sec-Fetch-Site"] = "same-origin" if same else "same-site" if same_site else "cross-site"
    policy = source.headers.get("referrer-policy", "").split(",")[-1].strip().lower()
    hidden = policy == "no-referrer" or (policy == "same-origin" and not same)
    if not hidden:  # strict-origin-when-cross-origin, the default; between loopback servers nothing is downgraded
        headers["Referer"] = source.url.split("#")[0] if same else origin(source.url) + "/"
    if method == "POST":
        headers["Origin"] = "null" if hidden else origin(source.url)
    return headers


def check_form_action(page: Page, url: str) -> None:
    """Apply the page's `form-action` to one address a form was sent or redirected to.

    Raises:
        BlockedByPolicy: Chromium would stop here and blame the address the form was first sent to.
    """
    for policy in page.headers.get("content-security-policy", "").split(","):
        directives: dict[str, list[str]] = {}
        for directive in policy.split(";"):
            words = directive.split()
            if words:
                directives.setdefault(words[0].lower(), words[1:])
        sources = directives.get("form-action")
        if sources is not None and not any(_covers(one, page, url) for one in sources):
            raise BlockedByPolicy(f"form-action {' '.join(sources)} of {origin(page.url)} does not cover {origin(url)}")


def _covers(source: str, page: Page, url: str) -> bool:
    target = urlsplit(url)
    lowered = source.lower()
    if lowered == "'self'":
        return origin(page.url) == origin(url)
    if lowered in ("'none'", ""):
        return False
    if lowered == "*" or lowered == f"{target.scheme}:":
        return True
    wanted = urlsplit(lowered if "//" in lowered else f"{urlsplit(page.url).scheme}://{lowered}")
    host: Any = wanted.hostname or ""
    fits = target.hostname == host or (host.startswith("*.") and (target.hostname or "").endswith(host[1:]))
    return bool(fits and wanted.scheme == target.scheme and wanted.port == target.port)
