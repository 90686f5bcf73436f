"""What came of a request the person finished here, kept in their own session so that reloading is harmless."""

from __future__ import annotations

import secrets
from typing import Any

from django.http import HttpRequest

from apps.broker.contracts import Connected

_KEY = "connect_results"
_AT_MOST = 5


def keep(request: HttpRequest, connected: Connected) -> str:
    """Remember the result. Returns the word that stands for it in the address."""
    word = secrets.token_urlsafe(12)
    kept: dict[str, Any] = dict(request.session.get(_KEY, {}))
    kept[word] = {
        "agent": connected.agent_name,
        "provider": connected.provider_title,
        "reduced": connected.reduced,
        "missing": list(connected.missing_scopes),
    }
    request.session[_KEY] = dict(list(kept.items())[-_AT_MOST:])
    return word


def find(request: HttpRequest, word: str) -> dict[str, Any] | None:
    kept: dict[str, dict[str, Any]] = request.session.get(_KEY, {})
    return kept.get(word)
