"""System checks: what a later page must not bring back. `manage.py check` fails, and so does every start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.filters import SimpleListFilter
from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db import models

from apps.core.operator_secret import OperatorSecretField
from apps.entrypoints.console.base import ConsoleAdmin, _named
from apps.entrypoints.console.changelist import KeysetChangeList

# A column with one of these words in its name is a secret, or close enough to one, unless it is listed as harmless.
_SECRET_WORDS = ("secret", "token", "password", "digest", "blob", "wrapped", "verifier", "code", "nonce", "fingerprint")
_HARMLESS = frozenset({"workload_token_life_s"})


def check_console(app_configs: Any, site: admin.AdminSite | None = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Every registered page against the rules of this package."""
    found: list[checks.CheckMessage] = []
    for model, model_admin in (site or admin.site)._registry.items():
        for number, problem in _problems(model, model_admin):
            found.append(checks.Error(problem, obj=type(model_admin), id=f"console.E{number:03d}"))
    return found


def _problems(model: type[models.Model], page: Any) -> Iterator[tuple[int, str]]:
    if not isinstance(page, ConsoleAdmin):
        yield 1, "is not a ConsoleAdmin: its writes would pass the broker by"
        return
    yield from _actions(page)
    if page.list_editable or page.inlines or page.change_form_datasets:
        yield 5, "writes rows from a list: list_editable, inlines and datasets are not allowed"
    if not page.see:
        yield 6, "names no action that lets a role see it"
    if not page.keyset or not _is_unique(model, page.keyset[-1]):
        yield 7, "needs a keyset whose last field is unique"
    if len({name.startswith("-") for name in page.keyset}) > 1:
        yield 8, "has a keyset of two directions"
    if not issubclass(page.get_changelist(None), KeysetChangeList):  # type: ignore[arg-type]
        yield 9, "has a list that counts"
    if not all(isinstance(item, type) and issubclass(item, SimpleListFilter) for item in page.list_filter):
        yield 10, "has a filter that passes lookups on to the database"
    for name in _shown(page):
        if _is_secret(model, name):
            yield 11, f"shows {name}, which is or may hold a secret"


def _actions(page: ConsoleAdmin) -> Iterator[tuple[int, str]]:
    """An action without a dialog is a link: a change by GET, which any other page can trigger."""
    named = {
        *page._extract_action_names(page.actions_list),
        *page._extract_action_names(page.actions_row),
        *page._extract_action_names(page.actions_detail),
        *page._extract_action_names(page.actions_submit_line),
    }
    for name in sorted(named):
        method = getattr(page, name, None)
        if not getattr(method, "dialog", None):
            yield 2, f"action {name} has no dialog, so a GET would do it"
        elif not getattr(method, "acts_on_post_only", False):
            yield 3, f"action {name} is not made with the console's dialog()"
    if page.actions:
        yield 4, "has bulk actions, which Django runs without asking"
    if page.get_custom_urls():
        yield 4, "has custom urls, whose methods nothing checks"


def _is_unique(model: type[models.Model], name: str) -> bool:
    field = model._meta.get_field(name.lstrip("-"))
    return bool(getattr(field, "unique", False))


def _shown(page: ConsoleAdmin) -> set[str]:
    """Everything a page may show or be searched by."""
    fieldsets = [*page.show_fieldsets, *page.change_fieldsets]
    searched = {name.split("__")[-2 if name.count("__") else 0].lstrip("^=@") for name in page.search_fields}
    return {*map(str, page.list_display), *_named(fieldsets), *searched}


def _is_secret(model: type[models.Model], name: str) -> bool:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return False  # a method of the page, written to show something
    if isinstance(field, models.BinaryField | OperatorSecretField):
        return True
    return name not in _HARMLESS and any(word in name for word in _SECRET_WORDS)
