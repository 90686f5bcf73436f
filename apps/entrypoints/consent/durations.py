"""For how long a person may allow an agent to act for them."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from apps.core.errors import Invalid

UNTIL_REVOKED = "until_revoked"
_DEFAULT_S = 30 * 86_400
_OFFERED: tuple[tuple[int | None, Promise], ...] = (
    (3_600, _("1 hour")),
    (86_400, _("1 day")),
    (_DEFAULT_S, _("30 days")),
    (None, _("Until I revoke it")),
)


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    chosen: bool


def choices(longest_s: int | None) -> list[Choice]:
    """What the page offers; `longest_s` is the tenant's limit in seconds, None without one."""
    allowed: list[tuple[int | None, str]] = [
        (life_s, str(label))
        for life_s, label in _OFFERED
        if longest_s is None or (life_s is not None and life_s <= longest_s)
    ]
    if not allowed:
        minutes = max(1, (longest_s or 0) // 60)
        allowed = [(longest_s, ngettext("%(minutes)d minute", "%(minutes)d minutes", minutes) % {"minutes": minutes})]
    lives = [life_s for life_s, _label in allowed]
    chosen = _DEFAULT_S if _DEFAULT_S in lives else lives[-1]
    return [
        Choice(value=UNTIL_REVOKED if life_s is None else str(life_s), label=label, chosen=life_s == chosen)
        for life_s, label in allowed
    ]


def read(text: str | None) -> int | None:
    """The choice that came back, in seconds; None is "until I revoke it". No choice at all is the page's default.

    Raises Invalid (`duration_invalid`) for text that is no number; the broker holds numbers against the limits.
    """
    if not text:
        return _DEFAULT_S
    if text == UNTIL_REVOKED:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Invalid.field("duration", "Choose one of the offered durations.", reason="duration_invalid")
    return int(text)
