"""What the machine-facing endpoints share: who asks, and JSON answers with the right headers."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse


def request_id(request: HttpRequest) -> str:
    return str(getattr(request, "portal_request_id", ""))


def source_ip(request: HttpRequest) -> str | None:
    """The address of the peer; None on a Unix socket. Forwarding headers are not believed."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def public(document: Mapping[str, Any], *, max_age_s: int) -> HttpResponse:
    """A document that is the same for everybody: cached, and readable from any web page's script."""
    response = JsonResponse(document)
    response["Cache-Control"] = f"public, max-age={max_age_s}"
    response["Access-Control-Allow-Origin"] = "*"
    return response


def private(document: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """An answer for whoever asked and nobody else (RFC 6749 section 5.1)."""
    response = JsonResponse(document, status=status)
    response["Cache-Control"] = "no-store"
    response["Pragma"] = "no-cache"
    return response
