"""AWS STS, as much of it as a token issuer is: `GetWebIdentityToken`. Query protocol in, XML out.

An unmodified client with `AWS_ENDPOINT_URL` on the portal sends STS calls as a POST to `/`, form-encoded, signed for
the service `sts`. Every other operation of STS gives AWS credentials, which the portal has none of: a modelled refusal.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import structlog
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from apps.authn.sigv4 import STS, RawRequest
from apps.broker import aws_gate
from apps.broker.authorization_server.web_identity import IssueWebIdentityToken, WebIdentityToken
from apps.broker.contracts import Command, RefuseUnsupported
from apps.broker.run import run
from apps.core import clock
from apps.core.errors import Code, Invalid, PortalError, Unreadable
from apps.entrypoints.aws_wire.errors import OPAQUE, WireResponse
from apps.entrypoints.aws_wire.raw_target import raw_request

log = structlog.get_logger("portal.sts")
VERSION = "2011-06-15"
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
MAX_BODY_BYTES = 256 * 1024
_PATH = re.compile(r"(?:/t/([a-z0-9][a-z0-9-]{0,62}))?/?", re.ASCII)
_ACTION = re.compile(r"[A-Za-z]{1,64}", re.ASCII)
_AUDIENCE = re.compile(r"Audience\.member\.([1-9][0-9]?)", re.ASCII)
_TAG = re.compile(r"Tags\.member\.([1-9][0-9]?)\.(Key|Value)", re.ASCII)
_form_type = re.compile(r'application/x-www-form-urlencoded(?: *; *charset="?utf-8"?)?', re.IGNORECASE).fullmatch

# Code -> (STS's name for it, status, whose fault)
TABLE: Mapping[Code, tuple[str, int]] = {
    Code.UNREADABLE: ("ValidationError", 400),
    Code.INVALID: ("ValidationError", 400),
    Code.UNAUTHENTICATED: ("InvalidClientTokenId", 403),
    Code.NOT_ALLOWED: ("AccessDenied", 403),
    Code.NOT_FOUND: ("ValidationError", 400),
    Code.CONFLICT: ("ValidationError", 400),
    Code.GONE: ("AccessDenied", 403),
    Code.QUOTA: ("AccessDenied", 403),
    Code.THROTTLED: ("Throttling", 400),
    Code.NOT_SUPPORTED: ("InvalidAction", 400),
    Code.UPSTREAM_REFUSED: ("ValidationError", 400),
    Code.UPSTREAM_UNAVAILABLE: ("InternalFailure", 500),
    Code.SEAL_BROKEN: ("InternalFailure", 500),
    Code.UNAVAILABLE: ("ServiceUnavailable", 503),
    Code.BROKEN: ("InternalFailure", 500),
}


def is_sts_call(method: str, path_info: str) -> bool:
    """Whether a request is for STS: a POST to the endpoint itself, or to a tenant's. No page answers that."""
    return method == "POST" and _PATH.fullmatch(path_info) is not None


def answer(environ: Mapping[str, Any], read_body: Callable[[], bytes]) -> WireResponse:
    """Serve one call. Never raises. The order is that of the other services: host, signature, then the body."""
    request_id = aws_gate.new_request_id()
    try:
        return _answer(environ, read_body, request_id)
    except PortalError as refused:
        if refused.code in (Code.BROKEN, Code.UNAVAILABLE, Code.SEAL_BROKEN):
            log.error("refused", request_id=request_id, reason=refused.reason, private=refused.private)
        name, status = TABLE[refused.code]
        return _error(name, status, OPAQUE if refused.code is Code.BROKEN else refused.public, request_id)
    except Exception as fault:  # the last net: the text goes to the log only
        log.error("fault", request_id=request_id, error=type(fault).__name__, exc_info=True)
        return _error("InternalFailure", 500, OPAQUE, request_id)


def _answer(environ: Mapping[str, Any], read_body: Callable[[], bytes], request_id: str) -> WireResponse:
    source_ip = _address(environ.get("REMOTE_ADDR"))
    try:
        domain, _ = split_domain_port(environ.get("HTTP_HOST", ""))
        if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
            raise Unreadable("This portal does not answer to that host name.", reason="host_unknown")
        request = raw_request(environ, read_body())
    except PortalError as refused:
        raise aws_gate.turned_away(refused, request_id=request_id, source_ip=source_ip) from refused
    path = _PATH.fullmatch(request.raw_path)
    signed = aws_gate.authenticate(
        request,
        now=clock.now(),
        request_id=request_id,
        source_ip=source_ip,
        slug=path[1] if path is not None else None,
        service=STS,
    )
    action = "unknown"
    try:
        form = _form(request)
        action = form.get("Action", "")
        command = _command(form)
    except PortalError as refused:
        raise aws_gate.rejection(signed.caller, refused, operation=action[:64]) from refused
    made: WebIdentityToken = run(command, signed.caller)
    expires = made.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    inner = f"<WebIdentityToken>{escape(made.token.reveal())}</WebIdentityToken><Expiration>{expires}</Expiration>"
    body = (
        f'<GetWebIdentityTokenResponse xmlns="{NAMESPACE}"><GetWebIdentityTokenResult>{inner}'
        f"</GetWebIdentityTokenResult><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        "</GetWebIdentityTokenResponse>"
    )
    return _response(200, body, request_id)


def _form(request: RawRequest) -> dict[str, str]:
    """The query protocol's form. Raises Unreadable."""
    headers = dict(request.headers)
    if request.raw_query or _form_type(headers.get("content-type", "").strip()) is None:
        raise Unreadable("The body must be application/x-www-form-urlencoded.", reason="media_type_unsupported")
    if len(request.body) > MAX_BODY_BYTES:
        raise Unreadable(f"The body may have at most {MAX_BODY_BYTES} bytes.", reason="body_too_large")
    try:
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=200, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise Unreadable("The body cannot be read.", reason="form_malformed") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Unreadable("A parameter was sent twice.", reason="parameter_repeated")
    return form


def _command(form: dict[str, str]) -> Command:
    """What to do. Raises Invalid, Unreadable."""
    action = form.pop("Action", "")
    if not _ACTION.fullmatch(action):
        raise Unreadable("Name an action.", reason="action_missing")
    if form.pop("Version", "") != VERSION:
        raise Invalid.field("Version", f"The version is {VERSION}.", reason="version_unknown")
    if action != "GetWebIdentityToken":
        return RefuseUnsupported(
            operation=action,
            sentence="The portal gives out no AWS credentials. Of AWS STS it answers GetWebIdentityToken only. "
            "Set AWS_ENDPOINT_URL_STS to the real one if you need another operation.",
        )
    audiences: dict[int, str] = {}
    tags: dict[int, dict[str, str]] = {}
    algorithm, life = form.pop("SigningAlgorithm", ""), form.pop("DurationSeconds", "300")
    for name, value in form.items():
        if audience := _AUDIENCE.fullmatch(name):
            audiences[int(audience[1])] = value
        elif tag := _TAG.fullmatch(name):
            tags.setdefault(int(tag[1]), {})[tag[2]] = value
        else:
            raise Invalid("There is a parameter that this operation does not have.", reason="unknown_field")
    if not life.isascii() or not life.isdigit() or len(life) > 6:
        raise Invalid.field("DurationSeconds", "60 to 3600 seconds.", reason="DurationSeconds_invalid")
    return IssueWebIdentityToken(
        audiences=tuple(_members(audiences, "Audience")), algorithm=algorithm, life_s=int(life), tags=_tags(tags)
    )


def _members(numbered: Mapping[int, Any], name: str) -> list[Any]:
    """In order, counted from 1 without a gap. Raises Invalid."""
    if sorted(numbered) != list(range(1, len(numbered) + 1)):
        raise Invalid.field(name, "Members are counted from 1, without a gap.", reason="member_numbers")
    return [numbered[at] for at in sorted(numbered)]


def _tags(numbered: Mapping[int, Mapping[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in _members(numbered, "Tags"):
        if set(tag) != {"Key", "Value"} or tag["Key"] in found:
            raise Invalid.field("Tags", "Each tag has a Key of its own and a Value.", reason="Tags_invalid")
        found[tag["Key"]] = tag["Value"]
    return found


def _error(name: str, status: int, message: str, request_id: str) -> WireResponse:
    kind = "Receiver" if status >= 500 else "Sender"
    body = (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>{kind}</Type><Code>{name}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return _response(status, body, request_id)


def _response(status: int, body: str, request_id: str) -> WireResponse:
    headers = {"Content-Type": "text/xml", "Cache-Control": "no-store", "x-amzn-RequestId": request_id}
    return WireResponse(status, headers, body.encode())


def _address(text: str | None) -> str | None:
    try:
        return str(ipaddress.ip_address(text or ""))
    except ValueError:
        return None
