"""The consent cookie: one ticket per approved request, so that two requests at a time do not mix.

Only the approve response sets it. Each ticket stands beside a digest of the `state` it was issued with; the
callback takes the one that goes with the state in its query, and no ticket at all where none does.
"""

from __future__ import annotations

import hashlib
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.core.secret import Secret

_AT_MOST = 5
_LONGEST = 1000


def add(request: HttpRequest, response: HttpResponse, *, authorization_url: str, ticket: Secret, lives_s: int) -> None:
    """Put the ticket of the request that was just approved into the cookie. `lives_s` in seconds."""
    states = parse_qs(urlsplit(authorization_url).query).get("state", [""])
    entries = [f"{_mark(states[0])}.{ticket.reveal()}", *_entries(request)]
    response.set_cookie(
        settings.CONSENT_COOKIE_NAME,
        "~".join(entries[:_AT_MOST]),
        max_age=lives_s,
        path="/",
        secure=settings.CONSENT_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def find(request: HttpRequest, query: tuple[tuple[str, str], ...]) -> Secret | None:
    """The ticket this browser was given for the request that the provider answers."""
    wanted = {_mark(value) for name, value in query if name == "state"}
    for entry in _entries(request):
        mark, _, ticket = entry.partition(".")
        if mark in wanted and ticket:
            return Secret(ticket)
    return None


def _entries(request: HttpRequest) -> list[str]:
    cookie = request.COOKIES.get(settings.CONSENT_COOKIE_NAME, "")
    return [entry for entry in cookie.split("~") if entry] if len(cookie) <= _LONGEST else []


def _mark(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()[:16]
