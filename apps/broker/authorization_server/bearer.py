"""Whose access token is this? Asked anew at every call, in one round trip under row security."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from apps.authn.caller import Caller, CallerKind
from apps.authn.rate_limits import counters
from apps.core import clock, tickets
from apps.core.errors import Unauthenticated
from apps.core.secret import Secret
from apps.tenants.scope import in_scope

_ASK = "SELECT * FROM portal_bearer_v1(%s, %s, %s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An access token that holds now. `user_id` None: the client acts in its own right."""

    tenant_id: UUID
    client_row: UUID
    client_id: str
    user_id: UUID | None
    scopes: frozenset[str]
    expires_at: datetime
    agent_id: UUID | None


def find(token: Secret, account_id: str, *, now: datetime) -> Found | None:
    """The token of this account as it is now; None for one that is unknown, ended or expired, or whose client, agent,
    person, membership or tenant is not active any more. `scopes` are those the client still has."""
    checksum = hashlib.sha256(token.reveal().encode()).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute(_ASK, (account_id, checksum, now))
        row = cursor.fetchone()
    if row is None:
        return None
    return Found(
        tenant_id=row[0],
        client_row=row[1],
        client_id=row[2],
        user_id=row[3],
        scopes=frozenset(row[4]),
        expires_at=row[5],
        agent_id=row[6],
    )


def authenticate_bearer(token: Secret, *, request_id: str, source_ip: str | None) -> Caller:
    """The caller an `Authorization: Bearer` token of the portal stands for (RFC 6750).

    A client in its own right is an API_CLIENT; a person's token makes the PERSON, limited to the token's scopes.
    Nothing is cached: a revoked token, disabled client, deactivated person, lost membership or suspended tenant ends it
    at once. Call it outside of any scope: which tenant it is follows from the token alone.

    Raises Unauthenticated with one public sentence whatever is wrong, RateLimited for too many calls.
    """
    if in_scope() or connection.in_atomic_block:
        raise RuntimeError("who calls is found out before a tenant's scope is open")
    if source_ip is not None:
        counters.hit("address", source_ip)
    ticket = tickets.read(tickets.Kind.ACCESS_TOKEN, token.reveal())
    found = find(token, ticket.account_id, now=clock.now())
    if found is None:
        raise Unauthenticated(reason="access_token_unknown")
    counters.hit("credential", f"oauth:{found.client_row}")
    counters.hit("tenant", str(found.tenant_id))
    person = found.user_id is not None
    return Caller(
        tenant_id=found.tenant_id,
        account_id=ticket.account_id,
        kind=CallerKind.PERSON if person else CallerKind.API_CLIENT,
        name=str(found.user_id) if person else found.client_id,
        row_id=found.user_id if person else found.client_row,
        proof="bearer",
        request_id=request_id,
        source_ip=source_ip,
        scopes=found.scopes,
        client_id=found.client_id,
    )
