"""Who is calling, once that has been proven."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class CallerKind(StrEnum):
    ACCESS_KEY = "access_key"
    PERSON = "person"
    SYSTEM = "system"
    API_CLIENT = "api_client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A proven caller, in exactly one tenant. Only `authn` and the broker's gates make one.

    `name` is the access key id, the user's id, the client id or the system's own name; `row_id` the row behind it;
    `proof` how it was proven (`sigv4`, `session`, `local`, `bearer`). `region` is echoed in ARNs and means nothing
    else. `scopes` are those of the access token it came with, None for a caller that came without one: a token never
    allows more than whom it stands for, and never more than its scopes. `client_id` is the client of that token.
    """

    tenant_id: UUID
    account_id: str
    kind: CallerKind
    name: str
    row_id: UUID | None
    proof: str
    request_id: str
    source_ip: str | None = None
    region: str = "local"
    scopes: frozenset[str] | None = None
    client_id: str = ""
