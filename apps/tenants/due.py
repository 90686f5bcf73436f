"""The queue of record for work across tenants: ids only, leased row by row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from apps.tenants.models import DueItem


@dataclass(frozen=True, slots=True)
class Item:
    """One leased piece of work."""

    row_id: int
    tenant_id: UUID
    item_id: UUID


def schedule(*, tenant_id: UUID, kind: str, item_id: UUID, due_at: datetime) -> None:
    """Say when something is due next; one row per tenant, kind and thing. Safe to repeat."""
    DueItem.objects.update_or_create(
        tenant_id=tenant_id, kind=kind, item_id=item_id, defaults={"due_at": due_at, "lease_until": None}
    )


def claim(kind: str, *, now: datetime, limit: int, lease_s: int) -> list[Item]:
    """Lease the longest overdue items. Two workers never get the same one; a dead worker's lease runs out."""
    with transaction.atomic():
        rows = list(
            DueItem.objects.select_for_update(skip_locked=True)
            .filter(Q(lease_until=None) | Q(lease_until__lt=now), kind=kind, due_at__lte=now)
            .order_by("due_at")[:limit]
        )
        DueItem.objects.filter(id__in=[row.id for row in rows]).update(lease_until=now + timedelta(seconds=lease_s))
    return [Item(row.id, row.tenant_id, row.item_id) for row in rows]


def again(item: Item, *, due_at: datetime) -> None:
    """Done for now; due again then."""
    DueItem.objects.filter(id=item.row_id).update(due_at=due_at, lease_until=None)


def done(item: Item) -> None:
    DueItem.objects.filter(id=item.row_id).delete()
