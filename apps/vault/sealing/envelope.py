"""Seal and open one secret.

Record, format 1:

    version 1 | algorithm 1 | kek id 16 | kek version 4
    | wrapped data key 60 (nonce 12, ciphertext 32, tag 16)
    | nonce 12 | ciphertext, tag 16 | commitment 16

The data key is made for exactly one encryption, so a nonce can never repeat under it, whatever is restored
from whatever backup. Both layers are AES-256-GCM with the address as associated data.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Callable
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.core.errors import SealBroken
from apps.core.secret import Secret
from apps.vault.sealing.address import Address, data_key_aad, payload_aad
from apps.vault.sealing.kek import SENTENCE, Kek

FORMAT = 1
AES_256_GCM = 1
# Bound into both layers: nobody turns a record of a later, stronger format back into this one.
_FORMAT_HEADER = bytes((FORMAT, AES_256_GCM))

_HEAD = struct.Struct(">BB16sI")
_NONCE = 12
_TAG = 16
_DEK = 32
_COMMIT = 16
_WRAPPED_BOX_AT = _HEAD.size + _NONCE
_PAYLOAD_AT = _WRAPPED_BOX_AT + _DEK + _TAG
_BOX_AT = _PAYLOAD_AT + _NONCE
OVERHEAD = _BOX_AT + _TAG + _COMMIT
_COMMIT_LABEL = b"identity-portal/seal/commit\x01"  # the last byte is HKDF's block counter

Keks = Callable[[UUID, int], Kek]


def seal(plaintext: Secret | bytes, *, kek: Kek, at: Address) -> bytes:
    """Encrypt a secret for one address. The result is `OVERHEAD` bytes longer than the UTF-8 text.

    Raises ValueError for bytes that are not UTF-8: they could never be opened again as a Secret.
    """
    if isinstance(plaintext, Secret):
        raw = plaintext.reveal().encode()
    else:
        raw = plaintext
        raw.decode()  # UnicodeDecodeError is a ValueError
    place = at.encode()
    chance = os.urandom(_DEK + 2 * _NONCE)
    dek, nonce, wrap_nonce = chance[:_DEK], chance[_DEK : _DEK + _NONCE], chance[_DEK + _NONCE :]
    box = AESGCM(dek).encrypt(nonce, raw, payload_aad(_FORMAT_HEADER, place))
    return b"".join((_head(kek), _wrap(dek, wrap_nonce, kek, place), nonce, box, _commitment(dek)))


def open_sealed(blob: bytes | bytearray | memoryview, *, keks: Keks, at: Address) -> Secret:
    """Decrypt the secret of one address. `keks` finds a key-encryption key by id and version.

    Raises SealBroken, always with the same sentence, for a wrong or missing key, another address, or any
    changed byte. A PortalError from `keks` (a key service that is down) passes through unchanged.
    """
    raw = bytes(blob)
    place = at.encode()
    dek = _unwrap(raw, _find(keks, *_read_head(raw)), place)
    nonce, box = raw[_PAYLOAD_AT:_BOX_AT], raw[_BOX_AT:-_COMMIT]
    try:
        return Secret(AESGCM(dek).decrypt(nonce, box, payload_aad(_FORMAT_HEADER, place)).decode())
    except (InvalidTag, UnicodeDecodeError):
        raise _broken("the payload does not open") from None


def rewrap(blob: bytes | bytearray | memoryview, *, old: Kek, new: Kek, at: Address) -> bytes:
    """The same secret under another key-encryption key. The payload is neither decrypted nor changed.

    This ends the use of an old key; after a suspected compromise of it, seal the secret anew instead.
    Raises SealBroken as open_sealed does.
    """
    raw = bytes(blob)
    place = at.encode()
    if _read_head(raw) != (old.key_id, old.version):
        raise _broken("the record names another key")
    dek = _unwrap(raw, old, place)
    return _head(new) + _wrap(dek, os.urandom(_NONCE), new, place) + raw[_PAYLOAD_AT:]


def key_of(blob: bytes | bytearray | memoryview) -> tuple[UUID, int]:
    """Which key-encryption key the record names, unproven. Raises SealBroken for anything but a record."""
    return _read_head(bytes(blob))


def _head(kek: Kek) -> bytes:
    return _HEAD.pack(FORMAT, AES_256_GCM, kek.key_id.bytes, kek.version)


def _read_head(blob: bytes) -> tuple[UUID, int]:
    if len(blob) < OVERHEAD:
        raise _broken("the record is too short")
    version, algorithm, kek_id, kek_version = _HEAD.unpack_from(blob)
    if version != FORMAT or algorithm != AES_256_GCM:
        raise _broken("the record has an unknown format")
    return UUID(bytes=kek_id), kek_version


def _find(keks: Keks, kek_id: UUID, kek_version: int) -> Kek:
    try:
        return keks(kek_id, kek_version)  # what comes back binds its own id and version, so a mix-up does not open
    except LookupError:
        raise _broken("the key it names does not exist") from None


def _wrap(dek: bytes, nonce: bytes, kek: Kek, place: bytes) -> bytes:
    # A tenant key wraps one data key per stored secret; random nonces are safe to 2^32 of them (SP 800-38D 8.3).
    return nonce + kek.encrypt(nonce, dek, data_key_aad(_FORMAT_HEADER, kek.key_id, kek.version, place))


def _unwrap(blob: bytes, kek: Kek, place: bytes) -> bytes:
    nonce, box = blob[_HEAD.size : _WRAPPED_BOX_AT], blob[_WRAPPED_BOX_AT:_PAYLOAD_AT]
    try:
        dek = kek.decrypt(nonce, box, data_key_aad(_FORMAT_HEADER, kek.key_id, kek.version, place))
    except InvalidTag:
        raise _broken("the data key does not unwrap") from None
    if not hmac.compare_digest(_commitment(dek), blob[-_COMMIT:]):
        raise _broken("the commitment does not match")
    return dek


def _commitment(dek: bytes) -> bytes:
    """HKDF-Expand(data key, label) of RFC 5869 2.3: one HMAC block. No extract step: the input is uniform.

    AES-GCM alone lets somebody build one ciphertext that opens under two keys; this pins the key.
    """
    return hmac.digest(dek, _COMMIT_LABEL, "sha256")[:_COMMIT]


def _broken(private: str) -> SealBroken:
    return SealBroken(SENTENCE, reason="vault_integrity", private=private)
