"""Scopes in words. Known scopes have a sentence; the rest are shown as they are and marked as such."""

from __future__ import annotations

from apps.broker.contracts import ScopeLine

_KNOWN: dict[str, tuple[str, str]] = {
    "openid": ("Know who you are at the provider", "read"),
    "profile": ("Read your name and profile", "read"),
    "email": ("Read your e-mail address", "read"),
    "offline_access": ("Stay connected while you are away, until you disconnect", "other"),
    "repo": ("Read and change code, issues and settings in all your repositories", "change"),
    "public_repo": ("Read and change your public repositories", "change"),
    "repo:read": ("Read the list of your repositories", "read"),
    "repo:write": ("Change your repositories and publish releases", "change"),
    "read:user": ("Read your profile", "read"),
    "user:email": ("Read your e-mail addresses", "read"),
    "read:org": ("Read which organisations you belong to", "read"),
    "gist": ("Create and change your gists", "change"),
    "status:read": ("Read the service's status", "read"),
    "https://www.googleapis.com/auth/calendar": ("See, change, share and delete your calendars", "change"),
    "https://www.googleapis.com/auth/calendar.readonly": ("See your calendars and events", "read"),
    "https://www.googleapis.com/auth/gmail.readonly": ("Read all your mail", "read"),
    "https://www.googleapis.com/auth/gmail.send": ("Send mail as you", "change"),
    "https://www.googleapis.com/auth/drive": ("See, change and delete all your files", "change"),
    "https://www.googleapis.com/auth/drive.readonly": ("See all your files", "read"),
    "channels:read": ("See the list of public channels", "read"),
    "chat:write": ("Post messages as you", "change"),
    "Mail.Read": ("Read your mail", "read"),
    "Mail.Send": ("Send mail as you", "change"),
    "Calendars.ReadWrite": ("Read and change your calendars", "change"),
    "User.Read": ("Read your profile", "read"),
}
_CHANGE = ("write", "send", "delete", "admin", "manage", "modify", "edit", "create", "readwrite")


def line(scope: str) -> ScopeLine:
    known = _KNOWN.get(scope)
    if known is not None:
        return ScopeLine(raw=scope, words=known[0], level=known[1])
    low = scope.lower()
    if any(word in low for word in _CHANGE):
        return ScopeLine(raw=scope, words="", level="change")
    return ScopeLine(raw=scope, words="", level="other")


def lines(scopes: list[str]) -> tuple[ScopeLine, ...]:
    """What can change things comes first."""
    order = {"change": 0, "other": 1, "read": 2}
    return tuple(sorted((line(s) for s in scopes), key=lambda entry: (order[entry.level], entry.raw)))
