"""What a renewal asks the provider, opened while the lease is taken."""

from __future__ import annotations

from apps.broker.providers_upstream import Ask, client_credentials, refresh
from apps.connections.models import Connection
from apps.vault.opening import open_at


def refresh_with(row: Connection) -> Ask | None:
    """A refresh with the stored refresh token; None when there is none (RFC 6749 section 6)."""
    token = open_at(table="connections_connection", row_id=row.id, column="refresh_token")
    if token is None:
        return None
    return refresh(row.provider, refresh_token=token, scopes=tuple(row.requested_scopes))


def machine_token(row: Connection) -> Ask:
    """A new machine-to-machine token (RFC 6749 section 4.4)."""
    return client_credentials(row.provider, params=row.params)
