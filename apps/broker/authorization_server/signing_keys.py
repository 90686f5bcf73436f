"""A tenant's signing keys: made when first needed, published before they sign, published until nothing of theirs lives.

`next` is published and silent, `active` signs, `retiring` is published and silent again. A rotation moves each one
step on. Relying parties cache key sets, so between two rotations by the clock a key waits as `next` for longer than
any cache we allow, and it stays as `retiring` for longer than any token it signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from apps.authn.jwt import signing
from apps.authn.models import SigningKey
from apps.broker import contracts as c
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import clock, names
from apps.core.errors import Invalid, SealBroken
from apps.tenants import due
from apps.tenants.models import Tenant
from apps.tenants.scope import current_tenant_id
from apps.vault import storing
from apps.vault.opening import open_at

KIND = "signing_keys"
EVERY = timedelta(days=30)
PUBLISHED_AFTER = timedelta(hours=25)  # above the longest life of a signed token, one hour
_TABLE, _COLUMN, _PURPOSE = "authn_signingkey", "private_key", "signing-key"
_State = SigningKey.State


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateSigningKeys(c.Command):
    """Move every signing key of the tenant one step on. Answers the key ids that sign from now on.

    `compromised`: the active keys are withdrawn at once instead of retiring; what they signed no longer verifies.
    """

    action = "signing_key.rotate"
    compromised: bool = False


@handles(RotateSigningKeys)
def rotate(command: RotateSigningKeys, work: Work) -> tuple[str, ...]:
    with work.change():
        work.require(names.VAULT)
        _lock_tenant()
        signing_now = [
            _rotate_one(algorithm, now=work.now, compromised=command.compromised)
            for algorithm in signing.SIGNING_ALGORITHMS
        ]
        _schedule(work.now)
        work.note(kids=signing_now, compromised=command.compromised)
        return tuple(signing_now)


def signer(algorithm: str, *, now: datetime) -> tuple[signing.PrivateKey, str]:
    """The active key and its id, made now if the tenant has none yet. Call it inside a scope.

    Raises Invalid for an algorithm we do not sign with, SealBroken when the stored key does not open.
    """
    if algorithm not in signing.SIGNING_ALGORITHMS:
        raise Invalid.field(
            "SigningAlgorithm", f"One of {', '.join(signing.SIGNING_ALGORITHMS)}.", reason="alg_not_allowed"
        )
    row = SigningKey.objects.filter(algorithm=algorithm, state=_State.ACTIVE).first()
    if row is None:
        _lock_tenant()
        row = SigningKey.objects.filter(algorithm=algorithm, state=_State.ACTIVE).first()
    if row is None:
        row = _make(algorithm, _State.ACTIVE, now=now)
        _make(algorithm, _State.NEXT, now=now)
        _schedule(now)
    pem = open_at(table=_TABLE, row_id=row.id, column=_COLUMN)
    if pem is None:
        raise SealBroken("The tenant's signing key cannot be opened.", reason="signing_key_missing")
    return signing.load(pem, algorithm), row.kid


def published(*, now: datetime) -> list[dict[str, str]]:
    """The public halves of the open tenant's keys that sign, will sign, or signed something that still lives."""
    over = {"state": _State.RETIRING, "state_since__lt": now - PUBLISHED_AFTER}
    return [dict(row.public_jwk) for row in SigningKey.objects.exclude(**over).order_by("-created_at", "kid")]


def _rotate_one(algorithm: str, *, now: datetime, compromised: bool) -> str:
    rows = {row.state: row for row in SigningKey.objects.filter(algorithm=algorithm).exclude(state=_State.RETIRING)}
    active, following = rows.get(_State.ACTIVE), rows.get(_State.NEXT)
    if active is not None:
        if compromised:
            _remove([active])
        else:
            _move(active, _State.RETIRING, now)
    if following is None:
        following = _make(algorithm, _State.ACTIVE, now=now)
    else:
        _move(following, _State.ACTIVE, now)
    _make(algorithm, _State.NEXT, now=now)
    _remove(list(SigningKey.objects.filter(state=_State.RETIRING, state_since__lt=now - PUBLISHED_AFTER)))
    return following.kid


def _make(algorithm: str, state: str, *, now: datetime) -> SigningKey:
    pem, public = signing.generate(algorithm)
    row: SigningKey = SigningKey.objects.create(
        kid=public["kid"], algorithm=algorithm, state=state, public_jwk=public, state_since=now
    )
    storing.put(pem, table=_TABLE, row_id=row.id, column=_COLUMN, purpose=_PURPOSE)
    return row


def _move(row: SigningKey, state: str, now: datetime) -> None:
    row.state, row.state_since = state, now
    row.save(update_fields=["state", "state_since"])


def _remove(rows: list[SigningKey]) -> None:
    storing.forget(table=_TABLE, row_ids=[row.id for row in rows])
    SigningKey.objects.filter(id__in=[row.id for row in rows]).delete()


def _lock_tenant() -> None:
    """Two processes must not make, or rotate, the same key twice."""
    Tenant.objects.select_for_update().only("id").get(id=current_tenant_id())


def _schedule(now: datetime) -> None:
    tenant_id = current_tenant_id()
    due.schedule(tenant_id=tenant_id, kind=KIND, item_id=tenant_id, due_at=now + EVERY)


def sweep(*, limit: int = 50) -> int:
    """Rotate the keys of the tenants that are due. Returns how many."""
    from apps.broker.control_plane.tenants import system_caller
    from apps.broker.run import run

    items = due.claim(KIND, now=clock.now(), limit=limit, lease_s=300)
    for item in items:
        tenant = _tenant(item.tenant_id)
        if tenant is None:
            due.done(item)
        else:
            run(RotateSigningKeys(), system_caller(tenant, "clock"))  # sets when it is due again
    return len(items)


def _tenant(tenant_id: UUID) -> Tenant | None:
    return Tenant.objects.filter(id=tenant_id).first()
