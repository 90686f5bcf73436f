"""Put secrets to rest. Record apps and the broker may store; opening is another module, for few."""

from __future__ import annotations

from uuid import UUID

from apps.core.secret import Secret
from apps.tenants.scope import current_tenant_id
from apps.vault.keys import current_kek
from apps.vault.models import SealedSecret
from apps.vault.sealing.address import Address
from apps.vault.sealing.envelope import seal


def put(secret: Secret, *, table: str, row_id: UUID, column: str, purpose: str) -> int:
    """Seal a secret at its address, replacing what was there. Returns the new version, 1 for the first."""
    row = SealedSecret.objects.select_for_update().filter(table=table, row_id=row_id, column=column).first()
    version = row.version + 1 if row else 1
    kek = current_kek()
    blob = seal(
        secret,
        kek=kek,
        at=Address(
            tenant_id=current_tenant_id(),
            table=table,
            row_id=row_id,
            column=column,
            secret_version=version,
            purpose=purpose,
        ),
    )
    if row is None:
        SealedSecret.objects.create(
            table=table,
            row_id=row_id,
            column=column,
            version=version,
            purpose=purpose,
            key_version=kek.version,
            blob=blob,
        )
    else:
        row.version, row.blob, row.key_version = version, blob, kek.version
        row.save(update_fields=["version", "blob", "key_version", "updated_at"])
    return version


def forget(*, table: str, row_ids: list[UUID], column: str | None = None) -> None:
    """Delete sealed secrets; what is not there is no error."""
    rows = SealedSecret.objects.filter(table=table, row_id__in=row_ids)
    (rows if column is None else rows.filter(column=column)).delete()


def has(*, table: str, row_id: UUID, column: str) -> bool:
    return bool(SealedSecret.objects.filter(table=table, row_id=row_id, column=column).exists())
