"""What Demo Hub remembers. Times are whole seconds since 1970 (UTC); secrets are kept as digests only."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

DAY_S = 86_400
CODE_LIFETIME_S = 60


def digest(secret: str) -> str:
    """SHA-256 of a random secret, as hex. Enough for values with 256 bits of randomness; passwords use scrypt."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Person(msgspec.Struct, kw_only=True):
    """Somebody with an account here. `sub` is opaque and never reused."""

    sub: str
    username: str
    name: str
    email: str
    password_salt: str = ""
    password_digest: str = ""
    enabled: bool = True


class Client(msgspec.Struct, kw_only=True):
    """A registered application. An empty `secret_digest` makes it a public client; an empty `scopes`, any scope."""

    client_id: str
    name: str
    secret_digest: str = ""
    redirect_uris: list[str] = []
    grant_types: list[str] = []
    scopes: list[str] = []
    auth_methods: list[str] = []
    audiences: list[str] = []
    access_lifetime_s: int = 3600
    refresh_lifetime_s: int = 30 * DAY_S
    require_pkce: bool = True
    issue_refresh_tokens: bool = True
    rotate_refresh_tokens: bool = True
    jwt_access_tokens: bool = False
    id_token_alg: Literal["RS256", "ES256"] = "RS256"
    skip_consent: bool = False
    resource_server: bool = False
    enabled: bool = True

    @property
    def public(self) -> bool:
        """Whether the application has no secret."""
        return not self.secret_digest


class Code(msgspec.Struct, kw_only=True):
    """One authorization code. A spent one is remembered for a while so that its reuse is noticed."""

    client_id: str
    flavour: str
    sub: str
    scopes: list[str]
    redirect_uri: str
    redirect_uri_given: bool
    challenge: str
    nonce: str
    audience: str
    auth_time: int
    expires_at: int
    spent: bool = False
    grant_id: str = ""


class Grant(msgspec.Struct, kw_only=True):
    """What one person allowed one application: the family of all tokens that follow from it.

    `sub` is empty where the application acts for itself. `refresh_digests` is ordered, oldest first.
    """

    grant_id: str
    client_id: str
    flavour: str
    sub: str
    scopes: list[str]
    audience: str
    auth_time: int
    created_at: int
    refreshes: int = 0
    refresh_digests: list[str] = []
    ended_at: int = 0
    ended_because: str = ""


class AccessToken(msgspec.Struct, kw_only=True):
    """An access token that was handed out; `expires_at` 0 means that it never expires."""

    grant_id: str
    client_id: str
    sub: str
    scopes: list[str]
    audience: str
    issued_at: int
    expires_at: int
    expired_early: bool = False


class RefreshToken(msgspec.Struct, kw_only=True):
    """A refresh token; `used_at` is set when its successor was issued."""

    grant_id: str
    issued_at: int
    expires_at: int
    used_at: int = 0


class ApiKey(msgspec.Struct, kw_only=True):
    """A key for the weather API."""

    key_id: str
    name: str
    created_at: int


class KeyRecord(msgspec.Struct, kw_only=True):
    """One signing key: `active` signs, `published` is in the key set."""

    kid: str
    alg: Literal["RS256", "ES256"]
    pem: str
    created_at: int
    active: bool = True
    published: bool = True


class Release(msgspec.Struct, kw_only=True):
    """A release that an application published in a repository."""

    repository_id: str
    tag: str
    notes: str
    published_at: int
    published_by: str


class State(msgspec.Struct, kw_only=True):
    """Everything that survives a restart. Tokens, codes and API keys are keyed by their SHA-256."""

    version: Literal[1] = 1
    people: dict[str, Person] = {}
    clients: dict[str, Client] = {}
    codes: dict[str, Code] = {}
    grants: dict[str, Grant] = {}
    access_tokens: dict[str, AccessToken] = {}
    refresh_tokens: dict[str, RefreshToken] = {}
    api_keys: dict[str, ApiKey] = {}
    keys: list[KeyRecord] = []
    releases: list[Release] = []
