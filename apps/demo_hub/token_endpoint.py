"""The token, revocation and introspection endpoints."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from . import scopes, tokens
from .authorization import requested_audience, requested_scopes
from .client_auth import authenticate
from .errors import OAuthError
from .hub import Hub
from .model import Client, Grant
from .running import the_hub
from .web import claimed_client, hang_up, needed, note, only, reply

_ID_TOKEN_LIFETIME_S = 3600


def _endpoint(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A form-encoded POST from a program, with errors in the shape of RFC 6749 5.2."""

    @require_POST
    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        try:
            if request.content_type != "application/x-www-form-urlencoded":
                raise OAuthError("invalid_request", "The request body has to be form-encoded.")
            return view(request)
        except OAuthError as wrong:
            return _error(request, wrong)

    return wrapped


def _error(request: HttpRequest, wrong: OAuthError) -> HttpResponse:
    note(request, error=wrong.error)
    headers = {"WWW-Authenticate": 'Basic realm="Demo Hub", charset="UTF-8"'} if wrong.status == 401 else None
    return reply({"error": wrong.error, "error_description": wrong.description}, wrong.status, headers)


@_endpoint
def token(request: HttpRequest) -> HttpResponse:
    """RFC 6749 3.2: authorization_code, refresh_token and client_credentials."""
    hub = the_hub()
    if hub.switches.strikes("token_endpoint_500", claimed_client(request)):
        raise OAuthError("server_error", "Something broke on our side.", 500)
    client = authenticate(hub, request)
    grant_type = needed(request.POST, "grant_type")
    if grant_type not in _GRANTS:
        raise OAuthError("unsupported_grant_type", "This grant type is not supported.")
    if grant_type not in client.grant_types:
        raise OAuthError("unauthorized_client", "This client may not use this grant type.")
    if grant_type != "client_credentials" and hub.switches.strikes("invalid_grant_once", client.client_id):
        raise OAuthError("invalid_grant", "The grant is not accepted this time.")
    answer = _GRANTS[grant_type](hub, client, request)
    if hub.switches.strikes("omit_expires_in", client.client_id):
        answer.pop("expires_in", None)
    _replace(answer, hub.switches.value("token_reply", client.client_id))
    return reply(answer, headers={"Pragma": "no-cache"})


def _by_code(hub: Hub, client: Client, request: HttpRequest) -> dict[str, Any]:
    grant, code = tokens.redeem_code(
        hub,
        client,
        flavour=scopes.OIDC,
        code=needed(request.POST, "code"),
        redirect_uri=only(request.POST, "redirect_uri"),
        verifier=only(request.POST, "code_verifier"),
    )
    refresh = None
    if client.issue_refresh_tokens and "refresh_token" in client.grant_types:
        refresh = tokens.issue_refresh_token(hub, client, grant)
    return _answer(hub, client, grant, grant.scopes, refresh, nonce=code.nonce)


def _by_refresh_token(hub: Hub, client: Client, request: HttpRequest) -> dict[str, Any]:
    presented, scope = needed(request.POST, "refresh_token"), only(request.POST, "scope")
    if hub.switches.strikes("refresh_fails", client.client_id):
        raise OAuthError("invalid_grant", "Refreshing is switched off.")
    asked = requested_scopes(client, scope, scopes.OIDC) if scope is not None else None
    grant, granted, refresh = tokens.redeem_refresh_token(hub, client, presented, asked)
    if hub.switches.strikes("drop_response_after_rotating", client.client_id):
        hang_up(request)
    return _answer(hub, client, grant, granted, refresh, nonce="")


def _by_client_credentials(hub: Hub, client: Client, request: HttpRequest) -> dict[str, Any]:
    if client.public:
        raise OAuthError("unauthorized_client", "A public client cannot act for itself.")
    asked = requested_scopes(client, only(request.POST, "scope"), scopes.OIDC) or ["status:read"]
    if asked != ["status:read"]:
        raise OAuthError("invalid_scope", "An application acting for itself can only get status:read.")
    grant = tokens.own_grant(hub, client, asked, requested_audience(hub, client, request.POST))
    return _answer(hub, client, grant, asked, None, nonce="")


_GRANTS: dict[str, Callable[[Hub, Client, HttpRequest], dict[str, Any]]] = {
    "authorization_code": _by_code,
    "refresh_token": _by_refresh_token,
    "client_credentials": _by_client_credentials,
}


def _answer(
    hub: Hub, client: Client, grant: Grant, granted: list[str], refresh: str | None, *, nonce: str
) -> dict[str, Any]:
    access, lifetime = tokens.issue_access_token(hub, client, grant, granted)
    answer: dict[str, Any] = {
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": lifetime,
        "scope": " ".join(granted),
    }
    if refresh is not None:
        answer["refresh_token"] = refresh
    if grant.sub and "openid" in granted:
        answer["id_token"] = _id_token(hub, client, grant, granted, access, nonce)
    return answer


def _id_token(hub: Hub, client: Client, grant: Grant, granted: list[str], access: str, nonce: str) -> str:
    """OpenID Connect Core 2, with whatever is switched on spoiled."""
    now = hub.now()
    claims: dict[str, Any] = {
        "iss": hub.url,
        "sub": grant.sub,
        "aud": client.client_id,
        "azp": client.client_id,
        "iat": now,
        "exp": now + _ID_TOKEN_LIFETIME_S,
        "auth_time": grant.auth_time,
        "at_hash": _left_half(access),
        **about(hub, grant.sub, granted),
    }
    if nonce:
        bad = hub.switches.strikes("bad_nonce", client.client_id)
        claims["nonce"] = f"not-{nonce}" if bad else nonce
    _replace(claims, hub.switches.value("id_token_claims", client.client_id))
    if hub.switches.strikes("unsigned_id_token", client.client_id):
        return hub.signer.unsigned(claims, "JWT")
    if hub.switches.strikes("bad_id_token_signature", client.client_id):
        return hub.signer.sign_badly(claims, client.id_token_alg, "JWT")
    return hub.signer.sign(claims, client.id_token_alg, "JWT")


def about(hub: Hub, sub: str, granted: list[str]) -> dict[str, Any]:
    """The claims about a person that these scopes open (OpenID Connect Core 5.4)."""
    person = hub.person(sub)
    claims: dict[str, Any] = {}
    if person and "profile" in granted:
        claims |= {"name": person.name, "preferred_username": person.username}
    if person and "email" in granted:
        claims |= {"email": person.email, "email_verified": True}
    return claims


def _left_half(access: str) -> str:
    half = hashlib.sha256(access.encode("ascii")).digest()[:16]  # at_hash for RS256 and ES256
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()


def _replace(answer: dict[str, Any], changes: dict[str, Any] | None) -> None:
    for name, value in (changes or {}).items():
        if value is None:
            answer.pop(name, None)
        else:
            answer[name] = value


@_endpoint
def revoke(request: HttpRequest) -> HttpResponse:
    """RFC 7009. An unknown token is answered like a revoked one."""
    hub = the_hub()
    client = authenticate(hub, request)
    if hub.switches.strikes("revocation_fails", client.client_id):
        return reply({"error": "temporarily_unavailable"}, 503, {"Retry-After": "5"})
    tokens.revoke(hub, client, needed(request.POST, "token"))
    return reply({})


@_endpoint
def introspect(request: HttpRequest) -> HttpResponse:
    """RFC 7662, for the client's own tokens; a client flagged as resource server may ask about any."""
    hub = the_hub()
    client = authenticate(hub, request)
    if client.public:
        raise OAuthError("invalid_client", "A public client may not introspect tokens.", 401)
    return reply(_introspected(hub, client, needed(request.POST, "token")))


def _introspected(hub: Hub, asking: Client, text: str) -> dict[str, Any]:
    access, refresh = tokens.find_access_token(hub, text), tokens.find_refresh_token(hub, text)
    held = access or refresh
    source = access or (refresh and hub.state.grants[refresh.grant_id])
    if not held or not source or (source.client_id != asking.client_id and not asking.resource_server):
        return {"active": False}
    person = hub.person(source.sub) if source.sub else None
    answer: dict[str, Any] = {
        "active": True,
        "iss": hub.url,
        "client_id": source.client_id,
        "sub": source.sub or source.client_id,
        "scope": " ".join(source.scopes),
        "iat": held.issued_at,
    }
    if access:
        answer |= {"token_type": "Bearer", "aud": hub.audience(access.audience)}
    if held.expires_at:
        answer["exp"] = held.expires_at
    if person:
        answer["username"] = person.username
    return answer
