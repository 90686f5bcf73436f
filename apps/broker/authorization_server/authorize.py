"""A person lets an application act for them: authorization code with PKCE (RFC 6749 section 4.1, RFC 7636).

The request is checked whole when it is shown and again when it is decided. Until client and redirect URI have been
found registered together nobody is sent anywhere; after that, refusals go to the client with `state` and `iss`
(RFC 9207).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from oauthlib.common import add_params_to_uri
from oauthlib.oauth2 import FatalClientError, OAuth2Error

from apps.authn.api_scopes import SCOPES
from apps.authn.models import OAuthClient
from apps.authn.oauth.errors import AuthorizationRefused
from apps.broker.authorization_server import contracts as c
from apps.broker.authorization_server.tokens import Endpoint, own_resources
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core.errors import NotAllowed
from apps.core.secret import Secret
from apps.tenants.models import Membership, User

# What is read. Everything else is ignored (RFC 6749 section 3.1), a request object included: it cannot widen anything.
_READ = ("client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_MAX_STATE_CHARS = 1024


@dataclass(frozen=True, slots=True)
class _Checked:
    """A request that holds. `given` is what the toolkit needs again to answer it."""

    client: OAuthClient
    scopes: tuple[str, ...]
    given: Mapping[str, Any]


@handles(c.ViewAuthorization)
def view(command: c.ViewAuthorization, work: Work) -> c.AuthorizationPage:
    with work.look():
        endpoint = Endpoint(work, None)
        checked = _check(command.parameters, endpoint, work)
        if command.user_id is not None:
            _person(command.user_id, work)
        work.proven_by_possession()
        return c.AuthorizationPage(
            client_name=checked.client.name,
            tenant_name=endpoint.tenant.name,
            scopes=tuple(SCOPES[name] for name in checked.scopes),
            return_host=_host(checked.given["redirect_uri"]),
            needs_sign_in=command.user_id is None,
        )


@handles(c.DecideAuthorization)
def decide(command: c.DecideAuthorization, work: Work) -> c.AuthorizationGiven:
    with work.look():
        endpoint = Endpoint(work, None)
        checked = _check(command.parameters, endpoint, work)
        person = _person(command.user_id, work)
        work.note(approved=command.approve, account=str(person.id))
        work.proven_by_possession()
        if command.approve:
            headers, _, _ = endpoint.server.create_authorization_response(
                endpoint.issuer.endpoint("authorize"),
                scopes=list(checked.scopes),
                credentials={**checked.given, "user": person},
            )
            # In the transaction that stored the code: no code without its record.
            with work.change():
                pass
    issuer = endpoint.issuer.identifier
    if not command.approve:
        state = checked.given["state"]
        raise AuthorizationRefused(
            "access_denied",
            reason="person_declined",
            return_to=_answer(checked.given["redirect_uri"], issuer, error="access_denied", state=state),
        )
    return c.AuthorizationGiven(
        return_to=Secret(add_params_to_uri(headers["Location"], [("iss", issuer)])), client_name=checked.client.name
    )


def _check(parameters: Mapping[str, str], endpoint: Endpoint, work: Work) -> _Checked:
    """Raises AuthorizationRefused."""
    asked = {name: parameters[name] for name in _READ if name in parameters}
    if "redirect_uri" not in asked or "client_id" not in asked:
        raise AuthorizationRefused("invalid_request", reason="redirect_uri_missing")
    uri = f"{endpoint.issuer.endpoint('authorize')}?{urlencode(asked)}"
    try:
        scopes, _ = endpoint.server.validate_authorization_request(uri)
    except FatalClientError as fatal:
        reason = endpoint.validator.why or fatal.error or "invalid_request"
        raise AuthorizationRefused("invalid_request", reason=reason) from fatal
    except OAuth2Error as refused:
        raise _told(refused.error, endpoint.validator.why or refused.error, asked, endpoint) from refused
    client = OAuthClient.objects.get(client_id=asked["client_id"])
    work.note(client_id=client.client_id, scopes=sorted(scopes))
    if not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
        raise _told("invalid_request", "code_challenge_malformed", asked, endpoint)
    if len(asked.get("state", "")) > _MAX_STATE_CHARS:
        raise _told("invalid_request", "state_too_long", {**asked, "state": ""}, endpoint)
    if parameters.get("resource", own_resources()[0]) not in own_resources():
        raise _told("invalid_target", "resource_unknown", asked, endpoint)
    state = asked.get("state")
    return _Checked(client, tuple(dict.fromkeys(scopes)), {**asked, "state": state})


def _told(error: str, reason: str, asked: Mapping[str, str], endpoint: Endpoint) -> AuthorizationRefused:
    """A refusal the client hears of: its redirect URI has been found registered before."""
    return_to = _answer(asked["redirect_uri"], endpoint.issuer.identifier, error=error, state=asked.get("state"))
    return AuthorizationRefused(error, reason=reason, return_to=return_to)


def _answer(redirect_uri: str, issuer: str, *, error: str, state: str | None) -> str:
    pairs = [("error", error), *([("state", state)] if state else []), ("iss", issuer)]
    return str(add_params_to_uri(redirect_uri, pairs))


def _person(user_id: Any, work: Work) -> User:
    """The person, who has to belong to the tenant. Raises NotAllowed."""
    member = (
        Membership.objects.select_related("user")
        .filter(tenant_id=work.caller.tenant_id, user_id=user_id, user__is_active=True)
        .first()
    )
    if member is None:
        raise NotAllowed("You do not belong to this tenant.", reason="not_a_member")
    found: User = member.user
    return found


def _host(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
