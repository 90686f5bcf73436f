"""Refusals as problem details (RFC 9457): one table from codes to statuses, one document, one page each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.http import HttpResponse

from apps.core.errors import Code, PortalError
from apps.entrypoints.rest.problem_texts import TEXTS

log = structlog.get_logger("portal.rest")
MEDIA_TYPE = "application/problem+json"
CHALLENGES = 'AWS4-HMAC-SHA256 realm="identity-portal", Bearer realm="identity-portal"'
_MAX_RETRY_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: the last part of its `type`, and its status."""

    name: str
    status: int


TABLE: Mapping[Code, Kind] = {
    Code.UNREADABLE: Kind("unreadable", 400),
    Code.INVALID: Kind("invalid", 400),
    Code.UNAUTHENTICATED: Kind("unauthenticated", 401),
    Code.NOT_ALLOWED: Kind("not-allowed", 403),
    Code.NOT_FOUND: Kind("not-found", 404),
    Code.CONFLICT: Kind("conflict", 409),
    Code.GONE: Kind("gone", 410),
    Code.QUOTA: Kind("quota", 422),
    Code.THROTTLED: Kind("throttled", 429),
    Code.NOT_SUPPORTED: Kind("not-supported", 422),
    Code.UPSTREAM_REFUSED: Kind("upstream-refused", 502),
    Code.UPSTREAM_UNAVAILABLE: Kind("upstream-unavailable", 503),
    Code.SEAL_BROKEN: Kind("seal-broken", 500),
    Code.UNAVAILABLE: Kind("unavailable", 503),
    Code.BROKEN: Kind("broken", 500),
}

# Where HTTP has a status of its own for what the domain knows by its reason only.
BY_REASON: Mapping[str, Kind] = {
    "method_not_allowed": Kind("method-not-allowed", 405),
    "changed_meanwhile": Kind("changed-meanwhile", 412),
    "body_too_large": Kind("too-large", 413),
    "media_type_unsupported": Kind("media-type", 415),
    "content_encoding_unsupported": Kind("media-type", 415),
    "idempotency_key_reused": Kind("idempotency-key-reused", 422),
}


def kind_of(refused: BaseException) -> Kind:
    if not isinstance(refused, PortalError):
        return TABLE[Code.BROKEN]
    return BY_REASON.get(refused.reason) or TABLE[refused.code]


def document(refused: BaseException, request_id: str) -> dict[str, Any]:
    """The problem document. A fault of ours says nothing about itself."""
    kind = kind_of(refused)
    text = TEXTS[kind.name]
    found: dict[str, Any] = {
        "type": f"{settings.PUBLIC_URL}/problems/{kind.name}",
        "title": text.title,
        "status": kind.status,
        "detail": text.cause,
        "request_id": request_id,
    }
    if isinstance(refused, PortalError) and refused.code is not Code.BROKEN:
        found["detail"] = refused.public
        if refused.fields:
            found["errors"] = [{**_place(field.name), "detail": field.message} for field in refused.fields]
    return found


def _place(name: str) -> dict[str, str]:
    """A member of the body as a JSON pointer (RFC 6901), a query parameter or a header by its name."""
    if name.startswith("?"):
        return {"parameter": name[1:]}
    if name == "Idempotency-Key":
        return {"header": name}
    return {"pointer": name if name.startswith("/") else "/" + name.replace("~", "~0").replace(".", "/")}


def response(refused: BaseException, request_id: str) -> HttpResponse:
    """The refusal as an answer."""
    body = document(refused, request_id)
    if body["status"] >= 500:
        log.error(
            "refused",
            request_id=request_id,
            error=type(refused).__name__,
            reason=getattr(refused, "reason", ""),
            private=getattr(refused, "private", ""),
            exc_info=not isinstance(refused, PortalError),
        )
    answer = HttpResponse(msgspec.json.encode(body), status=body["status"], content_type=MEDIA_TYPE)
    answer["Cache-Control"] = "no-store"
    if body["status"] == 401:
        answer["WWW-Authenticate"] = CHALLENGES
    if isinstance(refused, PortalError) and (refused.code is Code.THROTTLED or refused.retry_after_s is not None):
        wait_s = min(max(refused.retry_after_s if refused.retry_after_s is not None else 1.0, 0.0), _MAX_RETRY_AFTER_S)
        answer["Retry-After"] = str(math.ceil(wait_s))
    return answer
