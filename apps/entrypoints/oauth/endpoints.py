"""The endpoints programs call: token (RFC 6749), revocation (RFC 7009), introspection (RFC 7662)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from apps.authn.caller import Caller
from apps.authn.oauth import client_auth
from apps.authn.oauth.client_auth import ClientProof
from apps.authn.oauth.errors import OAuthRefused
from apps.broker import oauth_gate
from apps.broker.authorization_server import contracts as c
from apps.broker.run import run
from apps.core.errors import Code, PortalError
from apps.core.secret import Secret
from apps.entrypoints.oauth.forms import read_form
from apps.entrypoints.oauth.http import private, request_id, source_ip

log = structlog.get_logger("portal.oauth")
Act = Callable[[Caller, ClientProof, Mapping[str, str]], Mapping[str, Any]]
_CREDENTIALS = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})
# RFC 6749 section 5.2: everything a client did wrong is 400, but a client that did not prove itself.
_STATUS = {
    Code.UNAUTHENTICATED: 401,
    Code.NOT_FOUND: 404,
    Code.THROTTLED: 429,
    Code.UNAVAILABLE: 503,
    Code.SEAL_BROKEN: 500,
    Code.BROKEN: 500,
}
_ERROR = {429: "temporarily_unavailable", 500: "server_error", 503: "temporarily_unavailable"}


def _endpoint(act: Act) -> Callable[..., HttpResponse]:
    """Read, find the tenant, prove nothing yet, hand on; every refusal in the words of RFC 6749."""

    @csrf_exempt
    @wraps(act)
    def view(request: HttpRequest, slug: str) -> HttpResponse:
        if request.method != "POST":
            response = private({"error": "invalid_request", "error_description": "Use POST."}, status=405)
            response["Allow"] = "POST"
            return response
        try:
            return private(_answer(act, request, slug))
        except PortalError as refused:
            return _refused(refused, request)

    return view


def _answer(act: Act, request: HttpRequest, slug: str) -> Mapping[str, Any]:
    try:
        form = read_form(request)
        proof = client_auth.read_proof(request.headers.get("Authorization"), form)
    except OAuthRefused as bad:
        caller, _ = oauth_gate.client_of(
            slug, client_id="", request_id=request_id(request), source_ip=source_ip(request)
        )
        oauth_gate.record_rejection(caller, bad)
        raise
    caller, _ = oauth_gate.client_of(
        slug, client_id=proof.client_id, request_id=request_id(request), source_ip=source_ip(request)
    )
    try:
        return act(caller, proof, form)
    except _Unreadable as bad:
        oauth_gate.record_rejection(caller, bad)
        raise


class _Unreadable(OAuthRefused):
    """Refused before the broker was asked, so nothing is recorded yet."""


@_endpoint
def token(caller: Caller, proof: ClientProof, form: Mapping[str, str]) -> Mapping[str, Any]:
    command = c.TokenRequest(
        proof=proof,
        grant_type=_needed(form, "grant_type"),
        parameters={name: Secret(value) for name, value in form.items() if name not in _CREDENTIALS},
    )
    issued: c.TokensIssued = run(command, caller)
    answer: dict[str, Any] = {
        "access_token": issued.access_token.reveal(),
        "token_type": "Bearer",
        "expires_in": issued.expires_in_s,
        "scope": issued.scope,
    }
    if issued.refresh_token is not None:
        answer["refresh_token"] = issued.refresh_token.reveal()
    return answer


@_endpoint
def revoke(caller: Caller, proof: ClientProof, form: Mapping[str, str]) -> Mapping[str, Any]:
    command = c.RevokeToken(proof=proof, token=Secret(_needed(form, "token")), hint=form.get("token_type_hint", ""))
    run(command, caller)
    return {}


@_endpoint
def introspect(caller: Caller, proof: ClientProof, form: Mapping[str, str]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = run(c.IntrospectToken(proof=proof, token=Secret(_needed(form, "token"))), caller)
    return found


def _needed(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise _Unreadable("invalid_request", reason=f"{name}_missing")
    return form[name]


def _refused(refused: PortalError, request: HttpRequest) -> HttpResponse:
    status = _STATUS.get(refused.code, 400)
    error = refused.error if isinstance(refused, OAuthRefused) else _ERROR.get(status, "invalid_request")
    if status >= 500:
        log.error("refused", request_id=request_id(request), reason=refused.reason, private=refused.private)
    response = private({"error": error, "error_description": refused.public}, status=status)
    if status == 401 and request.headers.get("Authorization"):
        response["WWW-Authenticate"] = 'Basic realm="authorization server", charset="UTF-8"'
    if refused.retry_after_s is not None:
        response["Retry-After"] = str(max(1, round(refused.retry_after_s)))
    return response
