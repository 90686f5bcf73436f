"""One signed request, from bytes to bytes. Two ways in: the bare WSGI handler (`handler.py`) and a Django view.

The order is the security argument: host, then signature over the raw request, then the body is looked at, then
the broker is asked, once. Everything before the signature is work that anybody may cause; none of it touches
the body beyond hashing it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host

from apps.authn.sigv4 import RawRequest
from apps.authn.sigv4_canonical import parse_query
from apps.broker import aws_gate
from apps.broker.aws_gate import Answer, Signed
from apps.broker.run import run
from apps.core import clock
from apps.core.errors import Code, PortalError, Unreadable
from apps.entrypoints.aws_wire import codec, errors, operations
from apps.entrypoints.aws_wire.contract import Operation
from apps.entrypoints.aws_wire.errors import WireResponse
from apps.entrypoints.aws_wire.raw_target import raw_request
from apps.entrypoints.aws_wire.router import Route, route, split_prefix

log = structlog.get_logger("portal.aws_wire")

_json_type = re.compile(r'application/json(?: *; *charset="?utf-8"?)?', re.IGNORECASE).fullmatch

# A repetition of one of these may do better: they are no answer to keep.
_NOT_KEPT = frozenset({Code.UNAUTHENTICATED, Code.THROTTLED})


def aws_wire(request: HttpRequest) -> HttpResponse:
    """The wire as a Django view, for whoever goes through the URL map. Exempt it from CSRF."""
    response = answer(request.META, lambda: request.body if announced_length(request.META) else b"")
    return HttpResponse(response.body, status=response.status, headers=response.headers)


def answer(environ: Mapping[str, Any], read_body: Callable[[], bytes]) -> WireResponse:
    """Serve one request. Never raises: whatever goes wrong becomes an answer with a request id."""
    request_id = aws_gate.new_request_id()
    operation: Operation | None = None
    try:
        source_ip = _address(environ.get("REMOTE_ADDR"))
        try:
            _check_host(environ.get("HTTP_HOST", ""))
            request = raw_request(environ, read_body())
            slug, _ = split_prefix(request.raw_path)
        except PortalError as refused:
            raise aws_gate.turned_away(refused, request_id=request_id, source_ip=source_ip) from refused
        signed = aws_gate.authenticate(request, now=clock.now(), request_id=request_id, source_ip=source_ip, slug=slug)
        found: Route | None = None
        try:
            found = route(request.method, request.raw_path)
            operation = found.operation
            command, binding = _command(found, request)
        except PortalError as refused:
            raise aws_gate.rejection(signed.caller, refused, operation=found.name if found else "unknown") from refused
        if not binding.changes or operation is None:
            body = _produce(found.name, command, binding, signed)
            response = _success(operation.status if operation else 200, body, request_id)
        else:
            response = _once(signed, request, operation, command, binding, request_id)
    except PortalError as refused:
        response = errors.render(refused, operation=operation, request_id=request_id)
        if response.status >= 500:
            log.error("refused", request_id=request_id, reason=refused.reason, private=refused.private)
    except Exception as fault:  # the last net: the text goes to the log only
        log.error("fault", request_id=request_id, error=type(fault).__name__, exc_info=True)
        response = errors.render(fault, operation=operation, request_id=request_id)
    return response


def _command(found: Route, request: RawRequest) -> tuple[Any, operations.Binding]:
    """The broker's command for a proven request. Raises Unreadable, Invalid or NotSupported."""
    binding = operations.bind(found.name)
    if found.operation is None or found.name in operations.UNSUPPORTED:
        return binding.command({}), binding
    _check_media_type(request)
    members = codec.decode(found.name, request.body, found.path_params, parse_query(request.raw_query))
    return binding.command(members), binding


def _produce(name: str, command: Any, binding: operations.Binding, signed: Signed) -> bytes:
    try:
        outcome = run(command, signed.caller)
    except PortalError as refused:
        operations.in_wire_words(refused, name)
        raise
    return codec.encode(name, binding.answer(outcome))


def _once(
    signed: Signed,
    request: RawRequest,
    operation: Operation,
    command: Any,
    binding: operations.Binding,
    request_id: str,
) -> WireResponse:
    """A change: its repetition gets the first answer, a refusal included, and has no second effect."""

    def produce() -> Answer:
        try:
            return Answer(operation.status, _produce(operation.name, command, binding, signed))
        except PortalError as refused:
            if refused.code in _NOT_KEPT:
                raise
            wire = errors.render(refused, operation=operation, request_id=request_id)
            return Answer(wire.status, wire.body, wire.headers["x-amzn-ErrorType"])

    kept = aws_gate.once(signed, request, operation=operation.name, now=clock.now(), produce=produce)
    response = _success(kept.status, kept.body, request_id)
    if kept.error:
        response.headers["x-amzn-ErrorType"] = kept.error
    return response


def _success(status: int, body: bytes, request_id: str) -> WireResponse:
    headers = {"x-amzn-RequestId": request_id, "Cache-Control": "no-store"}
    if status != 204:
        headers["Content-Type"] = "application/json"
    return WireResponse(status, headers, body)


def announced_length(environ: Mapping[str, Any]) -> int:
    """The length of the body in bytes. Raises Unreadable: `body_too_large`.

    A chunked body has no announced length and reads as empty; a signature over more than that fails (T037).
    """
    text = environ.get("CONTENT_LENGTH") or "0"
    length = int(text) if len(text) < 10 and text.isascii() and text.isdigit() else -1
    if not 0 <= length <= codec.MAX_BODY_BYTES:
        raise Unreadable(f"The request body may have at most {codec.MAX_BODY_BYTES} bytes.", reason="body_too_large")
    return length


def _check_media_type(request: RawRequest) -> None:
    """JSON in UTF-8, not compressed, or no body at all (T113)."""
    if not request.body:
        return
    headers = dict(request.headers)
    if _json_type(headers.get("content-type", "").strip()) is None:
        raise Unreadable("The request body must be application/json.", reason="media_type_unsupported")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Unreadable("Compressed request bodies are not accepted.", reason="content_encoding_unsupported")


def _check_host(host: str) -> None:
    if not _host_is_ours(host, tuple(settings.ALLOWED_HOSTS)):
        raise Unreadable("This portal does not answer to that host name.", reason="host_unknown")


@lru_cache(maxsize=256)
def _host_is_ours(host: str, allowed: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


@lru_cache(maxsize=4096)
def _address(text: str | None) -> str | None:
    """The peer's address; a Unix socket has none. Forwarded headers are not read: anybody can send them (T090)."""
    try:
        return str(ipaddress.ip_address(text or ""))
    except ValueError:
        return None
