"""The process's key ring, loaded once, and the check that it fits the data."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.db import transaction

from apps.core.errors import Unavailable
from apps.vault.keyrings.base import KeyRingProblem
from apps.vault.keyrings.canary import check_canary, make_canary
from apps.vault.keyrings.local_file import LocalFileKeyRing
from apps.vault.models import KeyRingCanary


@cache
def key_ring() -> LocalFileKeyRing:
    """Raises the key ring's own error when the key file is missing, weak or readable by others: the operator acts."""
    return LocalFileKeyRing(settings.VAULT_ROOT_KEY_FILE)


def lay_canary(using: str) -> None:
    """Seal the known value into a new database. Only `migrate` does this: a process that serves, started with the
    wrong key, must not be able to declare it the right one.
    """
    ring = key_ring()
    with transaction.atomic(using=using):
        if not KeyRingCanary.objects.using(using).exists():
            KeyRingCanary.objects.using(using).create(ring=ring.key_id, blob=make_canary(ring))


def ensure_ring_fits() -> None:
    """Open the canary.

    Raises Unavailable when the ring's key does not open what this database was sealed under: serving on would
    answer every fetch with an error, and sealing on would split the data between two keys.
    """
    ring = key_ring()
    canary = KeyRingCanary.objects.order_by("created_at").first()
    if canary is None:
        raise Unavailable(
            "This database was not prepared for a key ring yet. Run `manage.py migrate`.", reason="key_ring_no_canary"
        )
    try:
        check_canary(ring, bytes(canary.blob))
    except KeyRingProblem as wrong:
        raise Unavailable(
            "The key ring does not open this database's vault. Restore the key file that belongs to it.",
            reason="key_ring_mismatch",
        ) from wrong
