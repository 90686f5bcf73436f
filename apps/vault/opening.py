"""Open one sealed secret. Only the broker and `authn.sigv4_keys` may import this (import contract)."""

from __future__ import annotations

from uuid import UUID

from apps.core.secret import Secret
from apps.tenants.scope import current_tenant_id
from apps.vault.keys import kek_for
from apps.vault.models import SealedSecret
from apps.vault.sealing.address import Address
from apps.vault.sealing.envelope import open_sealed


def open_blob(blob: bytes, *, at: Address) -> Secret:
    """Open bytes that were read together with their address. Raises SealBroken, never saying which part failed."""
    return open_sealed(blob, keks=lambda key_id, version: kek_for(at.tenant_id, key_id, version), at=at)


def open_at(*, table: str, row_id: UUID, column: str) -> Secret | None:
    """Open the secret at an address of the open tenant; None when there is none. Raises SealBroken."""
    row = SealedSecret.objects.filter(table=table, row_id=row_id, column=column).first()
    if row is None:
        return None
    address = Address(
        tenant_id=current_tenant_id(),
        table=table,
        row_id=row_id,
        column=column,
        secret_version=row.version,
        purpose=row.purpose,
    )
    return open_blob(bytes(row.blob), at=address)
