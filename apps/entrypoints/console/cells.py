"""How values look in lists and on pages."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from apps.core import clock

# Machine-readable states (public contract) and how they look.
_LOOKS = {
    "active": "good",
    "allowed": "good",
    "completed": "good",
    "pending": "busy",
    "approved": "busy",
    "exchanging": "busy",
    "returned": "busy",
    "intent": "busy",
    "retiring": "busy",
    "expiring": "warn",
    "needs_reconsent": "warn",
    "superseded": "idle",
    "expired": "idle",
    "disabled": "idle",
    "ended": "idle",
    "suspended": "bad",
    "revoked": "bad",
    "denied": "bad",
    "failed": "bad",
}
_ICONS = {"good": "check_circle", "busy": "pending", "warn": "warning", "bad": "block", "idle": "remove_circle"}


def pill(state: str, words: Any, testid: str = "") -> SafeString:
    """A state as icon, word and colour; `data-state` is for machines."""
    look = _LOOKS.get(state, "idle")
    return format_html(
        '<span class="portal-pill portal-{}" data-state="{}"{}>'
        '<span class="material-symbols-outlined" aria-hidden="true">{}</span>{}</span>',
        look,
        state,
        format_html(' data-testid="{}"', testid) if testid else "",
        _ICONS[look],
        words,
    )


def mono(text: Any, testid: str = "") -> SafeString:
    """An identifier."""
    if text in (None, ""):
        return empty()
    return format_html(
        '<code class="portal-mono"{}>{}</code>', format_html(' data-testid="{}"', testid) if testid else "", text
    )


def copyable(text: str, testid: str = "") -> SafeString:
    """An identifier with a button that copies it."""
    return format_html(
        '<span class="portal-copy"><code class="portal-mono"{}>{}</code>'
        '<button type="button" class="portal-copy-button" data-copy="{}" aria-label="{}">'
        '<span class="material-symbols-outlined" aria-hidden="true">content_copy</span></button></span>',
        format_html(' data-testid="{}"', testid) if testid else "",
        text,
        text,
        _("Copy"),
    )


def when(moment: datetime | None) -> SafeString:
    """How long ago or ahead, with the exact time in UTC as its title."""
    if moment is None:
        return empty()
    now = clock.now()
    if abs((moment - now).total_seconds()) < 60:
        return format_html(
            '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exactly(moment), _("just now")
        )
    words = (
        _("in %(time)s") % {"time": timeuntil(moment, now, depth=1)}
        if moment > now
        else _("%(time)s ago") % {"time": timesince(moment, now, depth=1)}
    )
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exactly(moment), words)


def exactly(moment: datetime | None) -> str:
    return f"{date_format(localtime(moment), 'Y-m-d H:i:s')} UTC" if moment is not None else ""


def listed(items: Any) -> SafeString:
    """Short texts as chips."""
    if not items:
        return empty()
    return format_html_join(" ", '<code class="portal-chip">{}</code>', ((item,) for item in items))


def lines(items: Any) -> SafeString:
    """Longer texts, one below the other."""
    if not items:
        return empty()
    return format_html(
        '<ul class="portal-lines">{}</ul>', format_html_join("", "<li><code>{}</code></li>", ((i,) for i in items))
    )


def plain_json(value: Any) -> SafeString:
    """Data as it is stored, indented."""
    if not value:
        return empty()
    return format_html(
        '<pre class="portal-json">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    )


def link(url: str, words: Any) -> SafeString:
    return format_html('<a class="portal-link" href="{}">{}</a>', url, words)


def empty() -> SafeString:
    return format_html('<span class="portal-none">{}</span>', "–")
