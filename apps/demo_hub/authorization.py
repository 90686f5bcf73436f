"""Reading and answering authorization requests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

from django.http import QueryDict

from . import scopes
from .errors import OAuthError, RedirectedError, Unredirectable
from .hub import BrowserSession, Hub
from .model import Client, Code
from .tokens import issue_code
from .web import only

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # S256 always gives 43 characters
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
WRONG_ISSUER = "https://another-issuer.example"


@dataclass(frozen=True)
class AuthorizationRequest:
    """An authorization request in which everything was checked."""

    client: Client
    flavour: str
    redirect_uri: str
    redirect_uri_given: bool
    state: str | None
    scopes: list[str]
    challenge: str
    nonce: str
    audience: str
    prompts: frozenset[str]
    max_age_s: int | None
    login_hint: str


def read(hub: Hub, parameters: QueryDict, flavour: str) -> AuthorizationRequest:
    """Check an authorization request.

    Raises:
        Unredirectable: the client or redirect URI is wrong (RFC 6749 4.1.2.1: do not redirect).
        RedirectedError: anything else is wrong.
    """
    try:
        client = hub.client(only(parameters, "client_id") or "")
        redirect_uri = only(parameters, "redirect_uri")
    except OAuthError as repeated:
        raise Unredirectable(repeated.description) from repeated
    if client is None:
        raise Unredirectable("The application that sent you here is not registered with Demo Hub.")
    given = redirect_uri is not None and flavour == scopes.OIDC  # GitHub does not insist on it at the token endpoint
    if redirect_uri is None and flavour == scopes.GITHUB and client.redirect_uris:
        redirect_uri = client.redirect_uris[0]
    if redirect_uri is None or redirect_uri not in client.redirect_uris:
        raise Unredirectable(f"{client.name} wants an answer at an address that is not registered for it.")
    states = parameters.getlist("state")
    try:
        return _read_rest(hub, parameters, client, redirect_uri, given, flavour)
    except OAuthError as wrong:
        raise RedirectedError(
            wrong.error, wrong.description, redirect_uri=redirect_uri, state=states[0] if len(states) == 1 else None
        ) from wrong


def _read_rest(
    hub: Hub, parameters: QueryDict, client: Client, redirect_uri: str, given: bool, flavour: str
) -> AuthorizationRequest:
    for name in parameters:
        if name != "resource":  # RFC 8707 2 lets this one repeat
            only(parameters, name)
    if "authorization_code" not in client.grant_types:
        raise OAuthError("unauthorized_client", "This client may not ask people for access.")
    if flavour == scopes.OIDC and only(parameters, "response_type") != "code":
        raise OAuthError("unsupported_response_type", "Only response_type=code is supported.")
    if only(parameters, "response_mode") not in (None, "query"):
        raise OAuthError("invalid_request", "Only response_mode=query is supported.")
    if only(parameters, "request") or only(parameters, "request_uri"):
        raise OAuthError("request_not_supported", "Request objects are not supported.")
    return AuthorizationRequest(
        client=client,
        flavour=flavour,
        redirect_uri=redirect_uri,
        redirect_uri_given=given,
        state=only(parameters, "state"),
        scopes=requested_scopes(client, only(parameters, "scope"), flavour),
        challenge=_challenge(parameters, client, flavour),
        nonce=only(parameters, "nonce") or "",
        audience=requested_audience(hub, client, parameters),
        prompts=_prompts(parameters),
        max_age_s=_max_age(parameters),
        login_hint=only(parameters, "login_hint") or only(parameters, "login") or "",
    )


def requested_scopes(client: Client, text: str | None, flavour: str) -> list[str]:
    """The scopes asked for, in order.

    Raises:
        OAuthError: invalid_scope. The GitHub flavour ignores what it does not know instead.
    """
    asked = scopes.split(text or "", flavour)
    if flavour == scopes.GITHUB:
        return scopes.github_normalised(asked)
    for scope in asked:
        if scope not in scopes.SCOPES or (client.scopes and scope not in client.scopes):
            raise OAuthError("invalid_scope", f"This client may not ask for the scope {scope[:80]!r}.")
    return asked


def requested_audience(hub: Hub, client: Client, parameters: QueryDict) -> str:
    """For whom an access token is to be (RFC 8707): one of the client's audiences, the first unless it says.

    Returns:
        The audience, or nothing for our own API.

    Raises:
        OAuthError: invalid_target.
    """
    allowed = client.audiences or [hub.api]
    asked = parameters.getlist("resource")
    if len(asked) > 1 or any(resource not in allowed for resource in asked):
        raise OAuthError("invalid_target", "This client may not ask for tokens for that resource.")
    audience = asked[0] if asked else allowed[0]
    return "" if audience == hub.api else audience


def _challenge(parameters: QueryDict, client: Client, flavour: str) -> str:
    challenge, method = only(parameters, "code_challenge"), only(parameters, "code_challenge_method")
    if challenge is None:
        if method is not None or (client.require_pkce and flavour == scopes.OIDC):
            raise OAuthError("invalid_request", "code_challenge is missing.")
        return ""
    if method != "S256":  # absent means "plain" (RFC 7636 4.3), which protects nobody
        raise OAuthError("invalid_request", "Only code_challenge_method=S256 is supported.")
    if not _CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "code_challenge is malformed.")
    return challenge


def _prompts(parameters: QueryDict) -> frozenset[str]:
    asked = frozenset((only(parameters, "prompt") or "").split())
    if ("none" in asked and len(asked) > 1) or (asked - _PROMPTS):
        raise OAuthError("invalid_request", "prompt is not understood.")
    return asked


def _max_age(parameters: QueryDict) -> int | None:
    text = only(parameters, "max_age")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise OAuthError("invalid_request", "max_age is not a number of seconds.")
    return int(text)


def approved(hub: Hub, asked: AuthorizationRequest, session: BrowserSession) -> str:
    """Where to send the browser after the person agreed."""
    client_id = asked.client.client_id
    granted = asked.scopes
    left_out = hub.switches.value("reduce_scopes", client_id)
    if left_out is True:
        granted = [scope for scope in granted if not scope.endswith(":write")]
    elif left_out:
        granted = [scope for scope in granted if scope not in left_out]
    code = Code(
        client_id=client_id,
        flavour=asked.flavour,
        sub=session.sub,
        scopes=granted,
        redirect_uri=asked.redirect_uri,
        redirect_uri_given=asked.redirect_uri_given,
        challenge=asked.challenge,
        nonce=asked.nonce,
        audience=asked.audience,
        auth_time=session.auth_time,
        expires_at=0,
    )
    return _answer(hub, asked, {"code": issue_code(hub, code), "state": asked.state})


def denied(hub: Hub, asked: AuthorizationRequest) -> str:
    """Where to send the browser after the person refused."""
    if asked.flavour == scopes.GITHUB:
        return refused(hub, asked, "access_denied", "The user has denied your application access.")
    return refused(hub, asked, "access_denied", "The person did not allow this application to use the account.")


def refused(hub: Hub, asked: AuthorizationRequest, error: str, description: str) -> str:
    """Where to send the browser after a well-formed request that cannot be granted."""
    return _answer(hub, asked, {"error": error, "error_description": description, "state": asked.state})


def misunderstood(hub: Hub, wrong: RedirectedError, client_id: str, flavour: str) -> str:
    """Where to send the browser after a request that cannot be understood."""
    answer = {"error": wrong.error, "error_description": wrong.description, "state": wrong.state}
    return _with_query(wrong.redirect_uri, answer | _issuer(hub, client_id, flavour))


def _answer(hub: Hub, asked: AuthorizationRequest, answer: dict[str, str | None]) -> str:
    return _with_query(asked.redirect_uri, answer | _issuer(hub, asked.client.client_id, asked.flavour))


def _issuer(hub: Hub, client_id: str, flavour: str) -> dict[str, str | None]:
    """RFC 9207: say who answers, errors included, so that a client with two providers cannot mix them up."""
    if flavour == scopes.GITHUB or hub.switches.strikes("omit_iss", client_id):
        return {}
    return {"iss": WRONG_ISSUER if hub.switches.strikes("wrong_iss", client_id) else hub.url}


def _with_query(redirect_uri: str, answer: dict[str, str | None]) -> str:
    parts = urlsplit(redirect_uri)
    added = urlencode({name: value for name, value in answer.items() if value is not None})
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))
