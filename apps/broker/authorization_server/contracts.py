"""Commands and outcomes of the portal's own authorization server and its clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from apps.authn.api_scopes import ApiScope
from apps.authn.oauth.client_auth import ClientProof
from apps.broker.contracts import Command
from apps.core.secret import Secret

# --- clients ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateApiClient(Command):
    """Answers NewApiClient.

    grant: `client_credentials` for programs, `authorization_code` for applications of people.
    proof: `client_secret`, `private_key_jwt` (then `jwks`, the public keys, as RFC 7517), or `none` for applications
    that cannot keep a secret. agent: the client acts for this agent only, and has only `tokens:` scopes.
    """

    action = "api_client.create"
    name: str
    scopes: tuple[str, ...]
    grant: str = "client_credentials"
    proof: str = "client_secret"
    jwks: Mapping[str, Any] | None = None
    redirect_uris: tuple[str, ...] = ()
    agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiClient:
    """The secret, where there is one, is here once and never again."""

    row_id: UUID
    client_id: str
    client_secret: Secret | None
    issuer: str
    token_endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateApiClient(Command):
    """A new secret, or for a client that signs its new public keys. What was before ends now. Answers NewApiClient."""

    action = "api_client.rotate"
    client_id: str
    jwks: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableApiClient(Command):
    """Its tokens end with it; enabling it again does not bring them back."""

    action = "api_client.disable"
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableApiClient(Command):
    action = "api_client.enable"
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteApiClient(Command):
    action = "api_client.delete"
    client_id: str


# --- tokens -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest(Command):
    """RFC 6749 section 3.2. `parameters`: everything but the client's proof. Answers TokensIssued."""

    action = "api_token.issue"
    proof: ClientProof
    grant_type: str
    parameters: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensIssued:
    access_token: Secret
    refresh_token: Secret | None
    expires_in_s: int
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectToken(Command):
    """RFC 7662. Answers what may be said about the token: `{"active": False}` for all that is not the client's own."""

    action = "api_token.introspect"
    proof: ClientProof
    token: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeToken(Command):
    """RFC 7009. Ends an access token with its refresh token, or a refresh token with its access token. Answers None."""

    action = "api_token.revoke"
    proof: ClientProof
    token: Secret
    hint: str = ""


# --- authorization by people ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationPage:
    """What a person is asked. `scopes` are from `apps.authn.api_scopes`; `needs_sign_in`: nobody is there yet."""

    client_name: str
    tenant_name: str
    scopes: tuple[ApiScope, ...]
    return_host: str
    needs_sign_in: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewAuthorization(Command):
    """RFC 6749 section 4.1.1. `parameters`: the request's, each once. Answers AuthorizationPage.

    Raises AuthorizationRefused.
    """

    action = "authorization.view"
    parameters: Mapping[str, str]
    user_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideAuthorization(Command):
    """Answers AuthorizationGiven. Raises AuthorizationRefused, with `access_denied` for a person who declines."""

    action = "authorization.decide"
    parameters: Mapping[str, str]
    user_id: UUID
    approve: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationGiven:
    """Send the browser there. The address holds the code."""

    return_to: Secret
    client_name: str
