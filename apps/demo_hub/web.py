"""Small helpers shared by the views."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote_plus

import msgspec
from django.http import HttpRequest, HttpResponse, QueryDict

from .errors import OAuthError

_NOTES = "demo_hub.notes"
_HANG_UP = "demo_hub.hang_up"


class SeeOther(HttpResponse):
    """A 303: after a POST the browser must come with a GET and without the form (RFC 9700 4.12)."""

    status_code = 303

    def __init__(self, url: str) -> None:
        super().__init__(headers={"Location": url})


def reply(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    """A JSON answer."""
    return HttpResponse(msgspec.json.encode(data), status=status, content_type="application/json", headers=headers)


def note(request: HttpRequest, **facts: Any) -> None:
    """Say more about this request for the log. Never anything secret."""
    notes(request).update(facts)


def notes(request: HttpRequest) -> dict[str, Any]:
    """What was noted about this request."""
    found: dict[str, Any] = request.META.setdefault(_NOTES, {})
    return found


def hang_up(request: HttpRequest) -> None:
    """Have the server close the connection instead of sending the answer."""
    request.META[_HANG_UP] = True
    note(request, hung_up=True)


def hangs_up(environ: dict[str, Any]) -> bool:
    """Whether `hang_up` was called for this request."""
    return bool(environ.get(_HANG_UP))


def only(parameters: QueryDict, name: str) -> str | None:
    """The one value of a parameter; empty counts as absent (RFC 6749 3.1).

    Raises:
        OAuthError: it is there twice, where two readers could each believe another one.
    """
    values = parameters.getlist(name)
    if len(values) > 1:
        raise OAuthError("invalid_request", f"{name} is given more than once.")
    return values[0] if values and values[0] else None


def needed(parameters: QueryDict, name: str) -> str:
    """Like `only`, for a parameter that must be there."""
    value = only(parameters, name)
    if value is None:
        raise OAuthError("invalid_request", f"{name} is missing.")
    return value


def basic_credentials(request: HttpRequest) -> tuple[str, str] | None:
    """Client id and secret from an Authorization header (RFC 6749 2.3.1: form-encoded before the Base64).

    Raises:
        OAuthError: there is a Basic header that cannot be read.
    """
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError) as broken:
        raise OAuthError("invalid_client", "The Authorization header cannot be read.", 401) from broken
    if not colon:
        raise OAuthError("invalid_client", "The Authorization header cannot be read.", 401)
    return unquote_plus(client_id), unquote_plus(secret)


def bearer_token(request: HttpRequest) -> str | None:
    """The token of an Authorization header (RFC 6750 2.1). Tokens in URLs or bodies are not looked at."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None


def claimed_client(request: HttpRequest) -> str:
    """The client that a request says it comes from, unproven: for the log and for switches."""
    try:
        basic = basic_credentials(request)
    except OAuthError:
        basic = None
    if basic:
        return basic[0]
    return request.POST.get("client_id") or request.GET.get("client_id") or ""
