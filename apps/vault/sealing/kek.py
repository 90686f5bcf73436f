"""A tenant's key-encryption key: in memory, and wrapped under the root key ring for the database."""

from __future__ import annotations

from typing import NoReturn, final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.core.errors import SealBroken
from apps.vault.keyrings.base import KeyRing

KEY_BYTES = 32
SENTENCE = "The stored credential cannot be opened."


@final
class Kek:
    """A key-encryption key that can be used but not read: only the cipher object keeps the material.

    Building that object is most of the cost of a small decryption, so keep a Kek for as long as policy allows
    instead of making it anew per secret.
    """

    __slots__ = ("_aead", "key_id", "version")

    def __init__(self, key_id: UUID, version: int, material: bytes) -> None:
        if len(material) != KEY_BYTES:
            raise ValueError("a key-encryption key has 32 bytes")
        if not 0 <= version < 2**32:
            raise ValueError("a key version fits four bytes")
        self.key_id = key_id
        self.version = version
        self._aead = AESGCM(material)

    def encrypt(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """AES-256-GCM; the caller brings a nonce that is fresh for this key."""
        return self._aead.encrypt(nonce, plaintext, aad)

    def decrypt(self, nonce: bytes, box: bytes, aad: bytes) -> bytes:
        """Raises cryptography's InvalidTag."""
        return self._aead.decrypt(nonce, box, aad)

    def __repr__(self) -> str:
        return f"Kek({self.key_id}, version {self.version})"

    def __copy__(self) -> NoReturn:
        raise TypeError("keys do not travel")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("keys do not travel")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("keys do not travel")


def _context(tenant_id: UUID, key_id: UUID, version: int) -> dict[str, str]:
    # Bound into the wrapping, and what a cloud key service sees as its encryption context: tenant A's
    # wrapped key, put into tenant B's row, does not unwrap there.
    return {"purpose": "tenant-kek", "tenant": str(tenant_id), "key": str(key_id), "version": str(version)}


def wrap_kek(material: bytes, *, ring: KeyRing, tenant_id: UUID, key_id: UUID, version: int) -> bytes:
    """Wrap 32 fresh random bytes for the database. Raises ValueError for another length."""
    if len(material) != KEY_BYTES:
        raise ValueError("a key-encryption key has 32 bytes")
    return ring.wrap(material, _context(tenant_id, key_id, version))


def unwrap_kek(wrapped: bytes, *, ring: KeyRing, tenant_id: UUID, key_id: UUID, version: int) -> Kek:
    """Open a wrapped tenant key.

    Raises SealBroken when it was wrapped for another tenant, id or version, under another root key, or was
    changed; Unavailable when the key ring cannot be reached.
    """
    try:
        return Kek(key_id, version, ring.unwrap(wrapped, _context(tenant_id, key_id, version)))
    except (InvalidTag, ValueError):
        raise SealBroken(SENTENCE, reason="vault_integrity", private="a wrapped tenant key does not open") from None


def rewrap_kek(wrapped: bytes, *, ring: KeyRing, tenant_id: UUID, key_id: UUID, version: int) -> bytes:
    """Wrap the same tenant key under the ring's current root key. Raises as unwrap_kek does."""
    context = _context(tenant_id, key_id, version)
    return ring.wrap(ring.unwrap(wrapped, context), context)
