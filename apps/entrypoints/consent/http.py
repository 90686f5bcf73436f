"""What every public page needs: who is there, and an answer with the right headers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseRedirectBase
from django.shortcuts import render

from apps.tenants.models import User

Referrer = Literal["same-origin", "no-referrer"]
# Seconds a page stands before it goes on by itself. Chromium lets the back button skip a page that moved on this soon.
HOP_DELAY_S = 1
# A browser would run or read these instead of leaving the portal.
_NEVER = frozenset({"javascript", "data", "vbscript", "file", "about", "blob", ""})
# One slash first, then only what cannot be read as another host, by any browser: no second slash, no backslash,
# no control characters.
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


class SeeOther(HttpResponseRedirectBase):
    """303: the next request is a GET whatever this one was. Goes to applications' own schemes too."""

    status_code = 303

    def __init__(self, url: str, *, referrer: Referrer = "same-origin") -> None:
        self.allowed_schemes = [] if own_path(url) else [leaving(url)]
        super().__init__(url)
        self["Referrer-Policy"] = referrer
        self["Cache-Control"] = "no-store"


def leaving(url: str) -> str:
    """The scheme of an address outside the portal that a person is sent to.

    Raises ValueError for one that would not leave it: such an address was checked when it was registered, so this
    is a fault of ours.
    """
    scheme = urlsplit(url).scheme.lower()
    if scheme in _NEVER:
        raise ValueError("an address to send people to has no usable scheme")
    return scheme


def page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    referrer: Referrer = "same-origin",
) -> HttpResponse:
    """Render a page. Pages without a form of ours use `no-referrer`; with one, Chromium would post `Origin: null`."""
    context = {
        "request_id": request_id(request),
        "hop_delay_s": HOP_DELAY_S,
        "language_next": _here_again(request),
        **context,
    }
    response = render(request, template, context, status=status)
    response["Referrer-Policy"] = referrer
    response["Cache-Control"] = "no-store"
    return response


def _here_again(request: HttpRequest) -> str:
    """The address of this page, if opening it again shows it again."""
    match = request.resolver_match
    if request.method != "GET" or match is None or match.view_name in ("connect:callback", "connect:language"):
        return ""
    return own_path(request.get_full_path()) or ""


def person(request: HttpRequest) -> User | None:
    """Whose portal session this is."""
    user = request.user
    return user if isinstance(user, User) and user.is_authenticated else None


def request_id(request: HttpRequest) -> str:
    return str(getattr(request, "portal_request_id", ""))


def source_ip(request: HttpRequest) -> str | None:
    """The address of the peer; None on a Unix socket. Forwarding headers are not believed."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def who(request: HttpRequest) -> dict[str, Any]:
    """What the gate wants to know about a request."""
    return {"user": person(request), "request_id": request_id(request), "source_ip": source_ip(request)}


def own_path(text: str) -> str | None:
    """A path on this portal to go on to; None for everything else, whatever it looks like."""
    return text if len(text) <= 2000 and _OWN_PATH.fullmatch(text) else None


def require_named_origin(request: HttpRequest) -> None:
    """Over https a form that names neither origin nor referrer is refused (T106). Raises PermissionDenied.

    Django checks what is named; what is missing it checks only when it can see the TLS, which an operator's proxy
    hides from it. Over http (loopback development) the CSRF token alone decides.
    """
    if not settings.PUBLIC_URL.startswith("https://") or request.headers.get("Origin"):
        return
    referrer = urlsplit(request.headers.get("Referer", ""))
    if f"{referrer.scheme}://{referrer.netloc}" != settings.PUBLIC_URL:
        raise PermissionDenied("a form came without an origin")
