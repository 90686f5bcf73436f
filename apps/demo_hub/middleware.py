"""The only middleware of our own: headers, delays and the request log."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from . import web
from .ledger import loggable
from .running import the_hub

# There is deliberately no form-action: Chromium applies it to the whole chain of redirects after a form was
# sent, and the form on the consent page is answered with a redirect to whichever client asked.
_PAGE_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
_LONGEST_AGENT = 200
_UNLOGGED = frozenset({"control", "asset"})
_UNDELAYED = frozenset({"control", "asset", "page"})


class Watched:
    """Delays programs as the switch says, adds headers and writes one log entry per request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.monotonic()
        request.get_host()  # refuses a strange Host header: a web page whose name was pointed at this machine
        # Read the body while it can still be read both as bytes and as a form.
        request.body  # noqa: B018
        response = self._get_response(request)
        endpoint, kind = _endpoint(request)
        _add_headers(response)
        if kind not in _UNLOGGED:
            the_hub().ledger.saw(endpoint, _entry(request, response, started))
        if request.method == "HEAD":
            response.content = b""
        return response

    def process_view(self, request: HttpRequest, *view: object) -> None:
        """Wait, once it is known which endpoint was asked."""
        hub = the_hub()
        if _endpoint(request)[1] not in _UNDELAYED:
            delay_ms = hub.switches.value("slow_ms", web.claimed_client(request))
            if delay_ms:
                time.sleep(delay_ms / 1000)


def _endpoint(request: HttpRequest) -> tuple[str, str]:
    """Name and kind of the endpoint. Unknown paths are not logged as they stand: they may hold anything."""
    match = request.resolver_match
    if match is None or not match.url_name:
        return "unknown", "page"
    kind = match.namespaces[0] if match.namespaces else "program"
    return match.url_name, kind


def _add_headers(response: HttpResponse) -> None:
    if response.status_code != 204:
        response.headers["Content-Length"] = str(len(response.content))
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        response.headers.setdefault("Content-Security-Policy", _PAGE_POLICY)
        # With no-referrer Chromium sends "Origin: null" along with forms, and the CSRF check refuses it.
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("X-Frame-Options", "DENY")
        patch_vary_headers(response, ["Cookie"])


def _entry(request: HttpRequest, response: HttpResponse, started: float) -> dict[str, Any]:
    sent = {name: request.GET.getlist(name) for name in request.GET}
    if request.method == "POST":
        sent |= {name: request.POST.getlist(name) for name in request.POST}
    return {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "method": request.method,
        "status": response.status_code,
        "ms": round((time.monotonic() - started) * 1000, 1),
        "client_id": web.claimed_client(request),
        "user_agent": request.headers.get("User-Agent", "")[:_LONGEST_AGENT],
        **loggable(sent),
        **web.notes(request),
    }
