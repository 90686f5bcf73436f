"""Does this key ring belong to this database? Asked at start, before a wrong key meets a right secret."""

from __future__ import annotations

from apps.core.errors import SealBroken
from apps.vault.keyrings.base import KeyRing, KeyRingProblem

_TEXT = b"identity-portal key ring canary"
_CONTEXT = {"purpose": "key-ring-canary"}


def make_canary(ring: KeyRing) -> bytes:
    """A known text under the ring, to be stored beside the sealed data."""
    return ring.wrap(_TEXT, _CONTEXT)


def check_canary(ring: KeyRing, blob: bytes) -> None:
    """Open a stored canary. Raises KeyRingProblem, meant to stop the start, when the ring does not fit it.

    An Unavailable from the ring (a key service that is down) passes through: that is no proof of a wrong key.
    """
    try:
        fits = ring.unwrap(blob, _CONTEXT) == _TEXT
    except SealBroken:
        fits = False
    if not fits:
        raise KeyRingProblem(
            f"The root key ({ring.describe()}) does not open this database. Restore the key file that belongs to it."
        )
