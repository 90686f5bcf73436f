"""Access keys: their ids, and the signing keys behind them.

The key id names its tenant (eight base32 characters of the account id), so no lookup happens outside a scope.
Cached is only the *derived* signing key of one day, region and service, for five minutes: a memory leak is
limited to that. Whether the key may still be used is decided at every call, from the database.
"""

from __future__ import annotations

import base64
import secrets
import threading
import time
from dataclasses import dataclass
from uuid import UUID

from apps.authn.models import AccessKey
from apps.authn.sigv4 import derive_signing_key
from apps.core.secret import Secret
from apps.tenants.models import Tenant
from apps.tenants.scope import tenant_scope
from apps.vault import storing
from apps.vault.opening import open_at

_PREFIX = "IPAK"
_B32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TTL_S = 300.0
_MAX = 50_000
_TABLE, _COLUMN, _PURPOSE = "authn_accesskey", "secret", "sigv4-secret"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What the gate needs to verify one signature, and who it would be."""

    tenant_id: UUID
    account_id: str
    slug: str
    row_id: UUID
    pseudonym_key: Secret
    key: bytes


_cache: dict[tuple[str, str, str, str], tuple[float, SigningKey]] = {}
_lock = threading.Lock()

# For unknown keys the same work is done against this one, so that the answer takes the same path.
_DUMMY = Secret(secrets.token_urlsafe(30))


def forget_cached() -> None:
    with _lock:
        _cache.clear()


def new_key_id(account_id: str) -> str:
    """`IPAK`, the account in base32, twelve random characters."""
    account = base64.b32encode(int(account_id).to_bytes(5, "big")).decode()
    return _PREFIX + account + "".join(secrets.choice(_B32) for _ in range(12))


def account_of(key_id: str) -> str | None:
    """The account a key id names; None when it is not one of ours."""
    if len(key_id) != 24 or not key_id.startswith(_PREFIX) or any(c not in _B32 for c in key_id[4:]):
        return None
    number = int.from_bytes(base64.b32decode(key_id[4:12]), "big")
    return f"{number:012d}" if number < 10**12 else None


def create(*, label: str = "", full_access: bool = False, **fields: object) -> tuple[AccessKey, Secret]:
    """Make a key pair in the open tenant. The secret is returned once and never again."""
    from apps.tenants.scope import current_tenant_id

    tenant = Tenant.objects.get(id=current_tenant_id())
    key = AccessKey.objects.create(key_id=new_key_id(tenant.account_id), label=label, full_access=full_access, **fields)
    secret = Secret(secrets.token_urlsafe(30))
    storing.put(secret, table=_TABLE, row_id=key.id, column=_COLUMN, purpose=_PURPOSE)
    return key, secret


def dummy_signing_key(date: str, region: str, service: str) -> bytes:
    return derive_signing_key(_DUMMY, date, region, service)


def signing_key(key_id: str, *, date: str, region: str, service: str) -> SigningKey | None:
    """The derived key for a credential scope, None when there is no such access key.

    Status and expiry are not looked at here; `policy` does that at every call.
    """
    slot = (key_id, date, region, service)
    hit = _cache.get(slot)
    if hit is not None and hit[0] > time.monotonic():
        return hit[1]
    account_id = account_of(key_id)
    tenant = Tenant.objects.filter(account_id=account_id).first() if account_id else None
    if tenant is None:
        return None
    with tenant_scope(tenant.id):
        row = AccessKey.objects.filter(key_id=key_id).first()
        secret = open_at(table=_TABLE, row_id=row.id, column=_COLUMN) if row else None
    if row is None or secret is None:
        return None
    found = SigningKey(
        tenant_id=tenant.id,
        account_id=tenant.account_id,
        slug=tenant.slug,
        row_id=row.id,
        pseudonym_key=tenant.pseudonym_key,
        key=derive_signing_key(secret, date, region, service),
    )
    with _lock:
        if len(_cache) >= _MAX:
            _cache.clear()
        _cache[slot] = (time.monotonic() + _TTL_S, found)
    return found
