"""English is the source, German and Arabic are complete on the public pages."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as live
from django.utils.translation.template import templatize

from apps.authn.api_scopes import SCOPES
from apps.broker.consent import words
from apps.tenants.models import Membership
from tests.pages.conftest import seen

ROOT = Path(__file__).resolve().parents[2]
LOCALES = ROOT / "templates" / "locale"
Message = tuple[str | None, str]
_CALLS = {"gettext", "gettext_lazy", "_", "gettext_noop", "ngettext", "ngettext_lazy"}
_HOLES = re.compile(r"%\([a-z_]+\)[sd]|data-testid=\"[a-z-]+\"|</?[a-z]+")


def in_python(source: str) -> Iterator[Message]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
            text = node.args[0]
            if isinstance(text, ast.Constant):
                yield None, text.value


def in_template(source: str) -> Iterator[Message]:
    marked = templatize(source)
    for found in re.finditer(r"""n?(p?)gettext\(([^\n]*?)\)\s""", marked.replace("_(", "gettext(")):
        strings = [
            ast.literal_eval(one) for one in re.findall(r"""u?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""", found[2])
        ]
        if found[1]:
            yield strings[0], strings[1]
        elif strings:
            yield None, strings[0]


def messages() -> set[Message]:
    found: set[Message] = set()
    for file in [*ROOT.glob("apps/entrypoints/consent/*.py"), *ROOT.glob("apps/entrypoints/ops/views.py")]:
        found |= set(in_python(file.read_text()))
    for folder in ("consent", "signin", "errors", "oauth"):
        for file in (ROOT / "templates" / folder).glob("*.html"):
            found |= set(in_template(file.read_text()))
    found |= set(in_template((ROOT / "templates" / "base.html").read_text()))
    found |= {(None, sentence) for sentence, _level in words._KNOWN.values()}
    found |= {(None, scope.words) for scope in SCOPES.values()}
    found |= {(None, str(role.label)) for role in Membership.Role}
    return found


def console_messages() -> set[Message]:
    found: set[Message] = set()
    for file in ROOT.glob("apps/entrypoints/console/**/*.py"):
        found |= set(in_python(file.read_text()))
    for folder in ("admin", "unfold"):
        for file in (ROOT / "templates" / folder).glob("**/*.html"):
            found |= set(in_template(file.read_text()))
    return found


def untranslated(language: str, wanted: set[Message]) -> list[Message]:
    known = catalogue(language)
    return sorted((m for m in wanted if (f"{m[0]}\x04{m[1]}" if m[0] else m[1]) not in known), key=str)


def catalogue(language: str) -> dict[str, str]:
    with (LOCALES / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        read = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {key[0] if isinstance(key, tuple) else key: text for key, text in read.items()}


def test_the_strings_are_found():
    found = messages()
    assert len(found) > 120
    assert {("risk of a permission", "Change"), (None, "1 hour"), (None, "Sign in"), (None, "Not you?")} <= found


@pytest.mark.parametrize("language", ["de", "ar"])
def test_every_string_of_the_public_pages_is_translated(language):
    assert untranslated(language, messages()) == []


def test_the_console_speaks_german():
    assert len(console_messages()) > 300
    assert untranslated("de", console_messages()) == []


@pytest.mark.parametrize("language", ["de", "ar"])
def test_translations_keep_the_holes_and_the_markup(language):
    for source, text in catalogue(language).items():
        if source:
            assert sorted(_HOLES.findall(text)) == sorted(_HOLES.findall(source.partition("\x04")[2] or source)), source


@pytest.mark.parametrize("language", ["de", "ar"])
def test_the_compiled_catalogue_is_the_written_one(language):
    folder = LOCALES / language / "LC_MESSAGES"
    written = re.findall(r"^msgstr(?:\[\d\])? (\".+\")$", (folder / "django.po").read_text(), re.MULTILINE)
    with (folder / "django.mo").open("rb") as file:
        compiled = set(gettext.GNUTranslations(file)._catalog.values())  # type: ignore[attr-defined]
    assert {ast.literal_eval(line) for line in written} - {""} == compiled - {compiled_header(folder)}


def compiled_header(folder: Path) -> str:
    with (folder / "django.mo").open("rb") as file:
        return gettext.GNUTranslations(file).gettext("")


@pytest.mark.parametrize(
    ("language", "direction", "decline"), [("en", "ltr", "Decline"), ("de", "ltr", "Ablehnen"), ("ar", "rtl", "رفض")]
)
def test_the_browsers_language_is_spoken(world, browser, language, direction, decline):
    shown = browser.get(world.link(), headers={"Accept-Language": language})
    body = shown.content.decode()
    assert f'<html lang="{language}" dir="{direction}">' in body and decline in body
    assert seen(shown).testids["consent-agent"] == ["release-notes-bot"]
    assert seen(shown).testids["consent-return-host"] == ["bot.example"]


def test_a_language_can_be_chosen_and_the_page_comes_back(world, browser):
    link = world.link()
    (choose,) = [a for a in seen(browser.get(link)).links if a.href.startswith("/signin/language")]
    assert choose.href == f"/signin/language?next={link}"
    (form,) = seen(browser.get(choose.href)).forms
    assert [b.value for b in form.buttons] == ["en", "de", "ar"]
    answer = browser.post(form.action, {**form.values(), "language": "de"})
    assert (answer.status_code, answer.headers["Location"]) == (303, link)
    cookie = answer.cookies[live.LANGUAGE_COOKIE_NAME]
    assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == "/"
    assert 'lang="de"' in browser.get(link).content.decode()
    assert not browser.post(form.action, {"language": "xx"}).cookies
