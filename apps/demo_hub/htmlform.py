"""Reading a page as far as somebody who fills in forms needs it. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_REFRESH = re.compile(r"\s*(\d+)(?:\.\d*)?\s*[;,]\s*url\s*=\s*(.+?)\s*", re.IGNORECASE | re.DOTALL)
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_TEXT_TYPES = frozenset(
    {"text", "password", "hidden", "email", "url", "tel", "search", "number", "date", "time", "color", "range"}
)


@dataclass
class Field:
    """A control of a form other than a button. Choices (radio, checkbox) are only sent when `chosen`."""

    name: str
    kind: str
    value: str = ""
    chosen: bool = True
    options: list[str] = field(default_factory=list)


@dataclass
class Button:
    """A submit button."""

    name: str
    value: str
    testid: str
    text: str = ""
    action: str | None = None
    method: str | None = None

    def is_called(self, wanted: str) -> bool:
        """Whether somebody would mean this button by its test id, name, `name=value` or label."""
        return wanted in (self.testid, self.name, f"{self.name}={self.value}", " ".join(self.text.split()))


@dataclass
class Form:
    """A form: what it would send, and the buttons that send it."""

    action: str
    method: str
    enctype: str
    fields: list[Field] = field(default_factory=list)
    buttons: list[Button] = field(default_factory=list)

    def values(self) -> dict[str, str]:
        """What stands in the form, by name."""
        return {f.name: f.value for f in self.fields if f.chosen}

    def filled(self, wanted: dict[str, str], button: Button | None) -> list[tuple[str, str]]:
        """What the form sends once it is filled in like this and the button is pressed.

        Raises:
            LookupError: there is no such field, or no such choice in it.
        """
        sent: list[tuple[str, str]] = []
        for name, value in wanted.items():
            offered = [f for f in self.fields if f.name == name]
            if not offered:
                raise LookupError(f"the form has no field {name!r}, only {sorted(self.values())}")
            choices = [f.value for f in offered if f.kind in ("radio", "checkbox")]
            choices += [option for f in offered if f.kind == "select" for option in f.options]
            if choices and value and value not in choices:
                raise LookupError(f"the field {name!r} offers {choices}, not {value!r}")
        for one in self.fields:
            if one.name not in wanted:
                if one.chosen:
                    sent.append((one.name, one.value))
            elif one.kind not in ("radio", "checkbox") or one.value == wanted[one.name]:
                sent.append((one.name, wanted[one.name]))
        if button and button.name:
            sent.append((button.name, button.value))
        return sent


@dataclass
class Link:
    """A link."""

    href: str
    testid: str
    text: str = ""


class Document(HTMLParser):
    """What matters in a page: title, forms, links, test ids with their text, and where it moves on to."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.forms: list[Form] = []
        self.links: list[Link] = []
        self.testids: dict[str, list[str]] = {}
        self.refresh: tuple[int, str] | None = None
        self._form: Form | None = None
        self._select: Field | None = None
        self._open: list[tuple[str, Button | Link | None, str]] = []
        self._elsewhere: list[tuple[str, Button]] = []
        self._ids: dict[str, Form] = {}
        self.feed(html)
        self.close()
        for form_id, button in self._elsewhere:
            if form_id in self._ids:
                self._ids[form_id].buttons.append(button)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        given = {name: value or "" for name, value in attrs}
        testid = given.get("data-testid", "")
        if testid:
            self.testids.setdefault(testid, []).append("")
        thing: Button | Link | None = None
        if tag == "form":
            self._form = Form(
                given.get("action", ""), given.get("method", "get").lower(), given.get("enctype", "").lower()
            )
            self.forms.append(self._form)
            if "id" in given:
                self._ids[given["id"]] = self._form
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            found = _REFRESH.fullmatch(given.get("content", ""))
            if found:
                self.refresh = (int(found[1]), found[2].strip("'\""))
        elif tag == "a" and "href" in given:
            thing = Link(given["href"], testid)
            self.links.append(thing)
        elif tag in ("input", "select", "textarea", "button", "option"):
            thing = self._control(tag, given, testid)
        if tag not in _VOID:
            self._open.append((tag, thing, testid))

    def _control(self, tag: str, given: dict[str, str], testid: str) -> Button | None:
        kind = given.get("type", "submit" if tag == "button" else "text").lower()
        if "disabled" in given:
            return None
        if (tag == "button" and kind == "submit") or (tag == "input" and kind in ("submit", "image")):
            button = Button(
                given.get("name", ""), given.get("value", ""), testid, action=given.get("formaction"),
                method=given.get("formmethod"), text=given.get("value", "") if tag == "input" else "",
            )  # fmt: skip
            if "form" in given:
                self._elsewhere.append((given["form"], button))
            elif self._form:
                self._form.buttons.append(button)
            return button
        if tag == "option" and self._select is not None:
            value = given.get("value", "")
            self._select.options.append(value)
            if "selected" in given or len(self._select.options) == 1:
                self._select.value = value
        elif self._form and given.get("name"):
            self._add_field(tag, kind, given)
        return None

    def _add_field(self, tag: str, kind: str, given: dict[str, str]) -> None:
        assert self._form is not None
        one = Field(given["name"], tag if tag in ("select", "textarea") else kind, given.get("value", ""))
        if tag == "select":
            self._select = one
        elif kind in ("radio", "checkbox"):
            one.value, one.chosen = given.get("value", "on"), "checked" in given
        elif tag == "input" and kind not in _TEXT_TYPES:
            return
        self._form.fields.append(one)

    def handle_endtag(self, tag: str) -> None:
        """Called by the parser."""
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        for depth in range(len(self._open) - 1, -1, -1):
            if self._open[depth][0] == tag:
                del self._open[depth:]
                break

    def handle_data(self, data: str) -> None:
        """Called by the parser."""
        for tag, thing, testid in self._open:
            if tag == "title" and not any(outer == "svg" for outer, _, _ in self._open):
                self.title += data
            if thing is not None:
                thing.text += data
            if testid:
                self.testids[testid][-1] += data
            if tag == "textarea" and self._form and self._form.fields:
                self._form.fields[-1].value += data
