"""The values this package takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from apps.core.net.messages import Field, Fields, Inbound, Outbound
from apps.core.secret import Secret

__all__ = [
    "STANDARD",
    "ClientAuthMethod",
    "ClientCredentials",
    "Dialect",
    "Endpoints",
    "ErrorKind",
    "Field",
    "Fields",
    "Inbound",
    "Outbound",
    "Revocation",
    "TokenSet",
]

ClientAuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]
ErrorKind = Literal["grant", "client", "retry", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where one authorization server is and what it says about itself (RFC 8414 section 2).

    `issuer_known` is False where the server publishes no issuer and the value is only its origin, for display;
    `iss` can then not be compared. `id_token_algs` are the signature algorithms it says it uses for ID tokens.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None
    jwks_uri: str | None = None
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods: tuple[str, ...] = ("client_secret_basic",)
    iss_parameter_supported: bool = False
    code_challenge_methods: tuple[str, ...] = ()
    id_token_algs: tuple[str, ...] = ("RS256",)
    issuer_known: bool = True

    @property
    def expected_issuer(self) -> str | None:
        """What an `iss` parameter or claim has to equal, or None where that cannot be known."""
        return self.issuer if self.issuer_known else None


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Who we are at one provider, and how we prove it at the token endpoint (RFC 6749 section 2.3)."""

    client_id: str
    secret: Secret | None
    method: ClientAuthMethod = "client_secret_basic"

    def __post_init__(self) -> None:
        if (self.method == "none") != (self.secret is None):
            raise ValueError("a secret goes with client_secret_basic and client_secret_post, and with nothing else")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSet:
    """What a token endpoint granted.

    `expires_at` is in UTC; None means the provider did not say and no default is known for it, which is not the
    same as never. `granted_scopes` is None where the answer does not mention scopes: then what was asked for was
    granted (RFC 6749 section 5.1). `metadata` holds members the catalogue lists as harmless, never a token.
    """

    access_token: Secret
    refresh_token: Secret | None = None
    expires_at: datetime | None = None
    granted_scopes: frozenset[str] | None = None
    id_token: Secret | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """How a provider wants to be told that a token is no longer needed. The default is RFC 7009.

    `carried_in` is where the token goes; `authenticate` whether the client proves itself too. The endpoint may
    contain `{client_id}`. `covers` says which token to send; revoking a refresh token ends the grant at most servers.
    """

    method: Literal["POST", "DELETE"] = "POST"
    carried_in: Literal["form", "json", "bearer"] = "form"
    parameter: str = "token"
    type_hint: bool = True
    authenticate: bool = True
    client_auth: ClientAuthMethod | None = None
    covers: Literal["refresh_token", "access_token"] = "refresh_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one provider departs from the standards, as data. The defaults are the standards.

    `scope_separator` joins requested scopes; granted scopes are split at any character of `granted_separators`.
    `split_scope_parameter` names a second scope parameter (see authorization_url). `authorize_parameters` are sent
    unless the caller gives the same name another value. `token_paths` are the places in the answer to look for
    `access_token`, in order. `error_words` sorts vendor error codes. `ok_member` names a boolean that is false in
    an error answered with status 200. `default_lifetime_s` is the documented lifetime in seconds where
    `expires_in` is missing. `kept_metadata` lists the harmless members worth keeping.
    """

    scope_separator: str = " "
    granted_separators: str = " "
    split_scope_parameter: str | None = None
    authorize_parameters: Mapping[str, str] = field(default_factory=dict)
    body_format: Literal["form", "json"] = "form"
    token_headers: Mapping[str, str] = field(default_factory=dict)
    token_paths: tuple[tuple[str, ...], ...] = ((),)
    token_types: frozenset[str] = frozenset({"bearer"})
    ok_member: str | None = None
    error_words: Mapping[str, ErrorKind] = field(default_factory=dict)
    default_lifetime_s: int | None = None
    scope_on_refresh: bool = False
    kept_metadata: tuple[str, ...] = ()
    revocation: Revocation = Revocation()


STANDARD = Dialect()
