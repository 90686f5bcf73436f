"""The tenant's key-encryption keys: wrapped in the database, unwrapped for five minutes in memory."""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction

from apps.core.errors import SealBroken
from apps.tenants.scope import current_tenant_id, tenant_scope
from apps.vault.models import TenantKey
from apps.vault.ring import key_ring
from apps.vault.sealing.kek import Kek, unwrap_kek, wrap_kek

_TTL_S = 300.0
_MAX = 10_000
_cache: dict[tuple[UUID, UUID, int], tuple[float, Kek]] = {}
_lock = threading.Lock()


def _remember(tenant_id: UUID, kek: Kek) -> Kek:
    with _lock:
        if len(_cache) >= _MAX:
            _cache.clear()
        _cache[(tenant_id, kek.key_id, kek.version)] = (time.monotonic() + _TTL_S, kek)
    return kek


def forget_cached() -> None:
    """Drop every unwrapped key, for rotation, shredding and tests."""
    with _lock:
        _cache.clear()


def _unwrap(row: TenantKey, tenant_id: UUID) -> Kek:
    return unwrap_kek(bytes(row.wrapped), ring=key_ring(), tenant_id=tenant_id, key_id=row.id, version=row.version)


def current_kek() -> Kek:
    """The key new secrets of the open tenant are sealed under; made on first use."""
    tenant_id = current_tenant_id()
    row = TenantKey.objects.filter(state=TenantKey.State.ACTIVE).first()
    if row is None:
        key_id, version, ring = uuid4(), 1, key_ring()
        wrapped = wrap_kek(os.urandom(32), ring=ring, tenant_id=tenant_id, key_id=key_id, version=version)
        try:
            with transaction.atomic():
                row = TenantKey.objects.create(id=key_id, version=version, ring=ring.key_id, wrapped=wrapped)
        except IntegrityError:  # somebody else's first secret was faster
            row = TenantKey.objects.get(state=TenantKey.State.ACTIVE)
    found = _cached(tenant_id, row.id, row.version)
    return found or _remember(tenant_id, _unwrap(row, tenant_id))


def _cached(tenant_id: UUID, key_id: UUID, version: int) -> Kek | None:
    hit = _cache.get((tenant_id, key_id, version))
    return hit[1] if hit is not None and hit[0] > time.monotonic() else None


def kek_for(tenant_id: UUID, key_id: UUID, version: int) -> Kek:
    """The key a blob names. Opens a scope of its own when the key is not in memory. Raises SealBroken."""
    found = _cached(tenant_id, key_id, version)
    if found is not None:
        return found
    with tenant_scope(tenant_id):
        row = TenantKey.objects.filter(id=key_id, version=version).first()
        if row is None:
            raise SealBroken("The stored credential cannot be opened.", reason="vault_integrity")
        return _remember(tenant_id, _unwrap(row, tenant_id))
