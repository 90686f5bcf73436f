"""A second flavour of provider, with the habits of GitHub's OAuth apps.

Form-encoded answers unless JSON is asked for, errors in a 200, scopes with commas, tokens that never expire,
no refresh tokens, no OpenID. PKCE is optional and honoured.
"""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from . import scopes, tokens
from .client_auth import authenticate, prove
from .errors import OAuthError
from .resources import bearer
from .running import the_hub
from .web import basic_credentials, claimed_client, needed, note, only, reply

_ERRORS = {
    "invalid_client": ("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect."),
    "invalid_grant": ("bad_verification_code", "The code passed is incorrect or expired."),
    "unsupported_grant_type": ("unsupported_grant_type", "The grant type is not supported."),
}


class TokenBody(msgspec.Struct):
    """The body of a request about one token."""

    access_token: str


@require_POST
def access_token(request: HttpRequest) -> HttpResponse:
    """Exchange a code for a token that lasts until it is taken back."""
    hub = the_hub()
    if hub.switches.strikes("token_endpoint_500", claimed_client(request)):
        return _answer(request, {"error": "server_error"}, 500)
    try:
        client = authenticate(hub, request)
        if hub.switches.strikes("invalid_grant_once", client.client_id):
            raise OAuthError("invalid_grant", "")
        grant, _ = tokens.redeem_code(
            hub,
            client,
            flavour=scopes.GITHUB,
            code=needed(request.POST, "code"),
            redirect_uri=only(request.POST, "redirect_uri"),
            verifier=only(request.POST, "code_verifier"),
        )
    except OAuthError as wrong:
        error, description = _ERRORS.get(wrong.error, (wrong.error, wrong.description))
        note(request, error=error)
        more = f"{hub.url}/"
        return _answer(request, {"error": error, "error_description": description, "error_uri": more})
    text, _ = tokens.issue_access_token(hub, client, grant, grant.scopes)
    return _answer(request, {"access_token": text, "token_type": "bearer", "scope": ",".join(grant.scopes)})


def _answer(request: HttpRequest, answer: dict[str, str], status: int = 200) -> HttpResponse:
    if "application/json" in request.headers.get("Accept", ""):
        return reply(answer, status)
    form = "application/x-www-form-urlencoded; charset=utf-8"
    return HttpResponse(urlencode(answer), status=status, content_type=form)


@require_safe
def user(request: HttpRequest) -> HttpResponse:
    """Who the token stands for; the scopes it has are in a header."""
    token = bearer(request, "")
    if isinstance(token, HttpResponse):
        return token
    person = the_hub().person(token.sub)
    assert person is not None  # find_access_token gives no token of somebody who is gone
    body = {"login": person.username, "id": person.sub, "name": person.name, "email": person.email}
    return reply(body, headers={"X-OAuth-Scopes": ", ".join(token.scopes)})


@require_http_methods(["DELETE"])
def delete_token(request: HttpRequest, client_id: str) -> HttpResponse:
    """Take one token back: Basic credentials and JSON with `access_token`; 204, or 404 for an unknown one."""
    hub = the_hub()
    try:
        basic = basic_credentials(request)
        body = msgspec.json.decode(request.body, type=TokenBody)
    except OAuthError:
        basic, body = None, TokenBody("")
    except msgspec.DecodeError as wrong:
        return reply({"message": str(wrong)}, 422)
    client = prove(hub, *basic) if basic else None
    if client is None or client.public or client.client_id != client_id:
        return reply({"message": "Bad credentials"}, 401)
    if hub.switches.strikes("revocation_fails", client_id):
        return reply({"message": "Service unavailable"}, 503)
    held = tokens.find_access_token(hub, body.access_token)
    if held is None or held.client_id != client_id:
        return reply({"message": "Not Found"}, 404)
    tokens.revoke(hub, client, body.access_token)
    return HttpResponse(status=204)
