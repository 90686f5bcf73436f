"""The fence around a renewal: one holder, one generation, in PostgreSQL.

Nothing here holds a lock or a transaction across the network. A holder that dies is waited out; a late one
finds its generation gone and may write nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from apps.connections.models import Connection
from apps.core.secret import Secret
from apps.vault import storing

LEASE_S = 60  # longer than four network deadlines
TABLE = "connections_connection"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to renew one connection once, from this generation."""

    connection_id: UUID
    lease_id: UUID
    generation: int


def take(connection_id: UUID, *, now: datetime) -> Lease | None:
    """Take the lease in the open scope; None while somebody else holds it or the row is gone."""
    row = Connection.objects.select_for_update(of=("self",)).filter(id=connection_id).first()
    if row is None or (row.lease_until is not None and row.lease_until > now):
        return None
    row.lease_id, row.lease_until = uuid4(), now + timedelta(seconds=LEASE_S)
    row.save(update_fields=["lease_id", "lease_until"])
    return Lease(connection_id=row.id, lease_id=row.lease_id, generation=row.generation)


def release(lease: Lease) -> None:
    """Give the lease back without a result."""
    Connection.objects.filter(id=lease.connection_id, lease_id=lease.lease_id).update(lease_id=None, lease_until=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTokens:
    """What a renewal brought. `refresh_token` None: the old one stays good (RFC 6749 section 6)."""

    access_token: Secret
    refresh_token: Secret | None
    expires_at: datetime | None
    refresh_after: datetime | None
    granted_scopes: frozenset[str] | None


def commit(lease: Lease, tokens: NewTokens) -> bool:
    """Write access and refresh token together, if this lease and generation still stand. False: discard them."""
    row = (
        Connection.objects.select_for_update(of=("self",))
        .filter(id=lease.connection_id, lease_id=lease.lease_id, generation=lease.generation)
        .first()
    )
    if row is None:
        return False
    store_tokens(row, tokens)
    row.generation += 1
    row.lease_id = row.lease_until = None
    row.status, row.status_reason = Connection.Status.ACTIVE, ""
    row.save()
    return True


def store_tokens(row: Connection, tokens: NewTokens) -> None:
    """Seal the tokens and set what is known about them. The caller saves the row."""
    storing.put(
        tokens.access_token, table=TABLE, row_id=row.id, column="access_token", purpose="connection.access_token"
    )
    if tokens.refresh_token is not None:
        storing.put(
            tokens.refresh_token, table=TABLE, row_id=row.id, column="refresh_token", purpose="connection.refresh_token"
        )
        row.has_refresh_token = True
    row.access_expires_at, row.refresh_after = tokens.expires_at, tokens.refresh_after
    if tokens.granted_scopes is not None:
        row.granted_scopes = sorted(tokens.granted_scopes)
        row.reduced = not set(row.requested_scopes) <= tokens.granted_scopes


def park(lease: Lease, *, reason: str) -> bool:
    """The person has to consent again. Only if nothing newer was written meanwhile; never deletes the row."""
    return bool(
        Connection.objects.filter(id=lease.connection_id, lease_id=lease.lease_id, generation=lease.generation).update(
            status=Connection.Status.NEEDS_RECONSENT, status_reason=reason, lease_id=None, lease_until=None
        )
    )
