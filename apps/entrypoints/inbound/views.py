"""Plain views: parse, ask the broker once, render. No session and no cookie is looked at."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from apps.authn.jwt import bearer_token
from apps.broker.aws_gate import new_request_id
from apps.broker.inbound import contracts as c
from apps.broker.inbound import gateway_keys, public
from apps.broker.inbound.admission import InvocationRefused
from apps.broker.run import run
from apps.core.errors import Code, NotSupported, PortalError, Unauthenticated, Unreadable
from apps.core.secret import Secret
from apps.entrypoints.inbound import bodies
from apps.entrypoints.inbound.challenges import challenge, invocation_url, status_of

log = structlog.get_logger("portal.inbound")
GATEWAY_HEADER = "X-Portal-Gateway-Key"
# The agent's SDK knows the first name since its beginning and the second since 1.21.
WORKLOAD_TOKEN_HEADER = "WorkloadAccessToken"  # noqa: S105 (a header's name)

View = Callable[..., HttpResponse]


def answering(view: View) -> Any:
    """Turn refusals into problem details (RFC 9457), keep answers out of caches, and give each a request id."""

    @csrf_exempt
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        request_id = new_request_id()
        try:
            response = view(request, request_id, *args, **kwargs)
        except PortalError as refused:
            response = _problem(refused)
            if response.status_code >= 500:
                log.error("refused", request_id=request_id, reason=refused.reason, private=refused.private)
        response["Cache-Control"] = "no-store"
        response["X-Request-Id"] = request_id
        return response

    return wrapped


@answering
def authorize(request: HttpRequest, request_id: str) -> HttpResponse:
    """`POST /api/v1/authorize`: allow or deny, with the reason, for a gateway that enforces the answer itself.

    The gateway proves itself with its key as bearer token. A denial is an answer, so it comes with status 200 and
    says which status and challenge the gateway should send on.
    """
    key = _own_key(lambda: bearer_token(_values(request, "HTTP_AUTHORIZATION")))
    caller = gateway_keys.authenticate(key, request_id=request_id, source_ip=_address(request))
    if request.method != "POST":
        raise NotSupported("Ask with POST.", reason="method_not_allowed")
    if request.content_type != "application/json":
        raise Unreadable("The body must be application/json.", reason="media_type_unsupported")
    if int(request.META.get("CONTENT_LENGTH") or 0) > bodies.MAX_BODY_BYTES:
        raise Unreadable("The body is too large.", reason="body_too_large")
    try:
        admitted: c.Admitted = run(bodies.read(request.body), caller)
    except InvocationRefused as refused:
        return JsonResponse(_denied(refused))
    return JsonResponse(_allowed(admitted))


@answering
def forward_auth(request: HttpRequest, request_id: str) -> HttpResponse:
    """For `auth_request` of nginx, `ext_authz` of Envoy (HTTP) and `forwardAuth` of Traefik.

    200 with the workload token as a header, or 401 and 403 with the challenge to send on. The proxy's key says
    which agent is meant; the path and query of the original request play no part, and no token is read from them.
    """
    key = _own_key(lambda: request.META.get("HTTP_X_PORTAL_GATEWAY_KEY") or None)
    caller = gateway_keys.authenticate(key, request_id=request_id, source_ip=_address(request))
    values = tuple(Secret(value) for value in _values(request, "HTTP_AUTHORIZATION"))
    command = c.AuthorizeInvocation(agent=None, presented=c.Presented(authorization=values), mint=True)
    try:
        admitted: c.Admitted = run(command, caller)
    except InvocationRefused as refused:
        status = status_of(refused.code)
        # nginx passes on 401 and 403 only, and makes a 500 of everything else: the caller is kept out either way.
        response = HttpResponse(status=status)
        if value := challenge(refused):
            response["WWW-Authenticate"] = value
        _retry_after(response, refused)
        return response
    assert admitted.workload_token is not None
    response = HttpResponse(status=200)
    response[WORKLOAD_TOKEN_HEADER] = admitted.workload_token.reveal()
    response["X-Portal-Agent"] = admitted.agent_arn
    return response


@answering
def protected_resource(request: HttpRequest, request_id: str, arn: str) -> HttpResponse:
    """RFC 9728 metadata of one agent."""
    if request.method not in ("GET", "HEAD"):
        raise NotSupported("Read this with GET.", reason="method_not_allowed")
    found = public.protected_resource(arn, source_ip=_address(request))
    document: dict[str, object] = {
        "resource": found.resource_url or invocation_url(arn),
        "authorization_servers": list(found.issuers),
        "bearer_methods_supported": ["header"],
    }
    if found.scopes:
        document["scopes_supported"] = list(found.scopes)
    return JsonResponse(document)


def _allowed(admitted: c.Admitted) -> dict[str, object]:
    answer: dict[str, object] = {
        "decision": "allow",
        "agent": admitted.agent_arn,
        "clause": admitted.clause,
        "principal": {"kind": admitted.kind, "issuer": admitted.issuer, "subject": admitted.subject},
        "client": admitted.client,
        "scopes": list(admitted.scopes),
    }
    if admitted.workload_token is not None and admitted.workload_token_expires_at is not None:
        answer["workload_token"] = admitted.workload_token.reveal()
        answer["workload_token_expires_at"] = admitted.workload_token_expires_at.isoformat()
    return answer


def _denied(refused: InvocationRefused) -> dict[str, object]:
    answer: dict[str, object] = {
        "decision": "deny",
        "agent": refused.agent_arn,
        "reason": refused.reason,
        "clause": refused.clause,
        "message": refused.public,
        "status": status_of(refused.code),
    }
    if value := challenge(refused):
        answer["www_authenticate"] = value
    if refused.retry_after_s is not None:
        answer["retry_after_s"] = math.ceil(refused.retry_after_s)
    return answer


def _own_key(read: Callable[[], str | None]) -> Secret | None:
    """The gateway's own key; what cannot be read is a wrong one, so that the gate records it."""
    try:
        found = read()
    except Unauthenticated as unreadable:
        return None if unreadable.reason == "credential_missing" else Secret("")
    return None if found is None else Secret(found)


def _values(request: HttpRequest, name: str) -> list[str]:
    """Values of a header. The server joins several with a comma; none of ours may hold one, so that stays one value
    that is then refused (T024)."""
    value = request.META.get(name)
    return [] if value is None else [value]


def _problem(refused: PortalError) -> HttpResponse:
    status = 405 if refused.reason == "method_not_allowed" else status_of(refused.code)
    body = {"type": "about:blank", "title": refused.public, "status": status, "code": str(refused.code)}
    response = JsonResponse(body, status=status, content_type="application/problem+json")
    if refused.code is Code.UNAUTHENTICATED:
        response["WWW-Authenticate"] = 'Bearer realm="portal gateway"'
    _retry_after(response, refused)
    return response


def _retry_after(response: HttpResponse, refused: PortalError) -> None:
    if refused.retry_after_s is not None:
        response["Retry-After"] = str(math.ceil(refused.retry_after_s))


def _address(request: HttpRequest) -> str | None:
    """The peer's address. Forwarded headers are not read: anybody can send them."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR") or ""))
    except ValueError:
        return None
