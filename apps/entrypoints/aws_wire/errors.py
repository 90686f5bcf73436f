"""Refusals in the words of the AWS wire: one row per code of ours, and what to say where a row does not fit.

The exception names are those of the service models. An operation's model lists what its clients expect, so a
row may name a second answer for operations that do not list the first:

* A conflict or an ended session on CompleteResourceTokenAuth is an AccessDeniedException, as on AWS ("invalid
  or expired session"); that operation models no 409. Elsewhere an unlisted conflict is a ValidationException.
* A broken seal is a DecryptionFailure where that is modelled, and an InternalServerException on the data plane.
* "Not supported" has no exception on AWS. ValidationException is the one that every operation models, that
  no client retries, and whose message clients show to people.
* A provider that refuses is a ValidationException as on AWS: retrying does not help, and after a
  server error clients would retry, with a code or refresh token that can be used once. A provider out of reach
  is an InternalServerException, which clients do retry.

UnauthorizedException is sent for a bad proof on every operation, also where the tag operations do not list it:
a caller without proof gets one and the same answer everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from apps.core.errors import Code, PortalError
from apps.entrypoints.aws_wire.contract import Operation

CHALLENGE = 'AWS4-HMAC-SHA256 realm="bedrock-agentcore"'
OPAQUE = "Something went wrong on our side. Give the request id to whoever runs this portal."
_MAX_RETRY_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True)
class WireError:
    """An AWS exception name and its status. `reason` is the enum that ValidationException requires."""

    name: str
    status: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WireResponse:
    """An answer ready to be sent."""

    status: int
    headers: dict[str, str]
    body: bytes


_CANNOT_PARSE = WireError("ValidationException", 400, "CannotParse")
_FIELDS = WireError("ValidationException", 400, "FieldValidationFailed")
_STATE = WireError("ValidationException", 400, "ResourceConflict")
_UNAUTHORIZED = WireError("UnauthorizedException", 401)
_DENIED = WireError("AccessDeniedException", 403)
_INTERNAL = WireError("InternalServerException", 500)

# Code -> (the answer, the answer where the operation does not model the first)
TABLE: Mapping[Code, tuple[WireError, WireError]] = {
    Code.UNREADABLE: (_CANNOT_PARSE, _CANNOT_PARSE),
    Code.INVALID: (_FIELDS, _FIELDS),
    Code.UNAUTHENTICATED: (_UNAUTHORIZED, _UNAUTHORIZED),
    Code.NOT_ALLOWED: (_DENIED, _DENIED),
    Code.NOT_FOUND: (WireError("ResourceNotFoundException", 404), _FIELDS),
    Code.CONFLICT: (WireError("ConflictException", 409), _STATE),
    Code.GONE: (_DENIED, _DENIED),
    Code.QUOTA: (WireError("ServiceQuotaExceededException", 402), _STATE),
    Code.THROTTLED: (WireError("ThrottlingException", 429), WireError("ThrottlingException", 429)),
    Code.NOT_SUPPORTED: (_FIELDS, _FIELDS),
    Code.UPSTREAM_REFUSED: (_FIELDS, _FIELDS),
    Code.UPSTREAM_UNAVAILABLE: (_INTERNAL, _INTERNAL),
    Code.SEAL_BROKEN: (WireError("DecryptionFailure", 400), _INTERNAL),
    Code.UNAVAILABLE: (_INTERNAL, _INTERNAL),
    Code.BROKEN: (_INTERNAL, _INTERNAL),
}


def wire_error(code: Code, operation: Operation | None) -> WireError:
    """The AWS exception for a code, on an operation (None: the request never became one)."""
    first, otherwise = TABLE[code]
    if operation is None or first.name in operation.errors or first is otherwise:
        return first
    if operation.name == "CompleteResourceTokenAuth" and code is Code.CONFLICT:
        return _DENIED
    return otherwise


def render(error: BaseException, *, operation: Operation | None, request_id: str) -> WireResponse:
    """The refusal as bytes. Anything but a PortalError is a fault of ours and says nothing about itself."""
    if not isinstance(error, PortalError):
        return _response(_INTERNAL, OPAQUE, request_id)
    wire = wire_error(error.code, operation)
    message = OPAQUE if error.code is Code.BROKEN else error.public
    response = _response(wire, message, request_id, error)
    if error.code is Code.UNAUTHENTICATED:
        response.headers["WWW-Authenticate"] = CHALLENGE
    if error.code is Code.THROTTLED or error.retry_after_s is not None:
        # Whole seconds for HTTP (RFC 9110 10.2.3), milliseconds for the retry mode of newer AWS clients.
        delay_s = min(max(error.retry_after_s if error.retry_after_s is not None else 1.0, 0.0), _MAX_RETRY_AFTER_S)
        response.headers["Retry-After"] = str(math.ceil(delay_s))
        response.headers["x-amz-retry-after"] = str(math.ceil(delay_s * 1000))
    return response


def _response(wire: WireError, message: str, request_id: str, error: PortalError | None = None) -> WireResponse:
    body: dict[str, object] = {"message": message}
    if wire.reason:
        body["reason"] = wire.reason
        if error is not None and error.fields:
            body["fieldList"] = [{"name": field.name, "message": field.message} for field in error.fields]
    headers = {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "x-amzn-ErrorType": wire.name,
        "x-amzn-RequestId": request_id,
    }
    return WireResponse(wire.status, headers, msgspec.json.encode(body))
