"""What can be sent to the control API. A member that nobody knows is an error, not a silence."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType


class ClientSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What can be said about a client. What is left out stays, or gets its default."""

    name: str | UnsetType = UNSET
    redirect_uris: list[str] | UnsetType = UNSET
    grant_types: list[str] | UnsetType = UNSET
    scopes: list[str] | UnsetType = UNSET
    auth_methods: list[str] | UnsetType = UNSET
    audiences: list[str] | UnsetType = UNSET
    access_lifetime_s: int | UnsetType = UNSET
    refresh_lifetime_s: int | UnsetType = UNSET
    require_pkce: bool | UnsetType = UNSET
    issue_refresh_tokens: bool | UnsetType = UNSET
    rotate_refresh_tokens: bool | UnsetType = UNSET
    jwt_access_tokens: bool | UnsetType = UNSET
    id_token_alg: Literal["RS256", "ES256"] | UnsetType = UNSET
    skip_consent: bool | UnsetType = UNSET
    resource_server: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class NewClient(ClientSettings, kw_only=True, forbid_unknown_fields=True):
    """A client to register; `public` gives it no secret."""

    client_id: str = ""
    public: bool = False


class ChangedClient(ClientSettings, kw_only=True, forbid_unknown_fields=True):
    """A client to change; `new_secret` replaces its secret."""

    new_secret: bool = False


class NewPerson(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Somebody to create; without a password, a random one is made and returned."""

    username: str
    name: str = ""
    email: str = ""
    password: str = ""


class ChangedPerson(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Somebody to change. `random_password` makes a new password and returns it."""

    name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    random_password: bool = False


class NewApiKey(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A key for the weather API."""

    name: str = "weather"


class Rotation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """New signing keys; `drop_old` takes the old ones out of the key set at once."""

    drop_old: bool = False


class ClockMove(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How far to move the clock, in seconds."""

    advance_s: int
