"""Root keys in a file that only this account can read.

One base64 line of 32 random bytes per key. The first key wraps; the others only unwrap, so a rotation is: put a
new line on top, restart, re-wrap the tenant keys, remove the old line. Lines starting with # are notes.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import itertools
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.core.errors import SealBroken
from apps.vault.keyrings.base import KeyRingProblem

_FORMAT = b"\x01"
_KEY_BYTES = 32
_ID_BYTES = 8
_NONCE = 12
_TAG = 16
_LABEL = b"identity-portal/key-ring/local-file"
_MAX_FILE_BYTES = 64 * 1024
_MIN_DISTINCT_BYTES = 16  # 32 random bytes have about 30; fewer than 16 happens once in 10^14 files


class LocalFileKeyRing:
    """Key ring of a local key file, read once. Raises KeyRingProblem when the file must not be used."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        materials = _read_keys(self._path)
        self._keys = {_fingerprint(material): AESGCM(material) for material in materials}
        if len(self._keys) != len(materials):
            raise KeyRingProblem(f"The key file {self._path} has the same key twice. Remove one of the lines.")
        self._current = _fingerprint(materials[0])

    @property
    def key_id(self) -> str:
        return f"local:{self._current.hex()}"

    def wrap(self, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        # A root key wraps one small key per tenant and version, far below the 2^32 a random nonce is good for.
        nonce = os.urandom(_NONCE)
        box = self._keys[self._current].encrypt(nonce, plaintext, _aad(self._current, context))
        return _FORMAT + self._current + nonce + box

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        fingerprint = wrapped[1 : 1 + _ID_BYTES]
        key = self._keys.get(fingerprint)
        if wrapped[:1] != _FORMAT or key is None or len(wrapped) < 1 + _ID_BYTES + _NONCE + _TAG:
            raise _broken("the key ring holds no key for this")
        body = wrapped[1 + _ID_BYTES :]
        try:
            return key.decrypt(body[:_NONCE], body[_NONCE:], _aad(fingerprint, context))
        except InvalidTag:
            raise _broken("the key ring cannot unwrap this") from None

    def describe(self) -> str:
        return f"local key file, current key {self.key_id}, {len(self._keys)} in all"

    def __repr__(self) -> str:
        return f"LocalFileKeyRing({self.key_id})"


def create_key_file(path: str | os.PathLike[str]) -> str:
    """Make a new key file, mode 0600, with one random key. Returns its key id.

    The only place that makes a root key, and it never replaces one. Raises KeyRingProblem when the file
    exists or cannot be written; the folder must exist.
    """
    target = Path(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    material = os.urandom(_KEY_BYTES)
    try:
        descriptor = os.open(target, flags, 0o600)
    except FileExistsError:
        raise KeyRingProblem(f"{target} exists already. A key file is never overwritten.") from None
    except OSError as refused:
        raise KeyRingProblem(f"The key file {target} cannot be made: {refused.strerror}.") from None
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # whatever the umask says
        file.write(b"# identity portal root key. Back it up apart from the database; without it the vault is lost.\n")
        file.write(base64.b64encode(material) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # a key that vanishes in a power cut takes everything sealed under it along
    finally:
        os.close(folder)
    return f"local:{_fingerprint(material).hex()}"


def _read_keys(path: Path) -> list[bytes]:
    try:
        # Non-blocking: a pipe in place of the file must not hang the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeyRingProblem(
            f"The key file {path} is missing. Restore it from your backup; "
            "only for a new, empty database make a new one."
        ) from None
    except OSError as refused:
        raise KeyRingProblem(f"The key file {path} cannot be read: {refused.strerror}.") from None
    try:
        # The opened file is checked, not the name: the name may point elsewhere a moment later.
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise KeyRingProblem(f"{path} is not a regular file.")
        if facts.st_mode & 0o077:
            raise KeyRingProblem(f"Other accounts can use the key file {path}. Run: chmod 600 {path}")
        content = os.read(descriptor, _MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MAX_FILE_BYTES:
        raise KeyRingProblem(f"{path} is too long to be a key file.")
    lines = [line.strip() for line in content.splitlines()]
    keys = [_decode(line, path) for line in lines if line and not line.startswith(b"#")]
    if not keys:
        raise KeyRingProblem(f"The key file {path} is empty. Restore it from your backup.")
    return keys


def _decode(line: bytes, path: Path) -> bytes:
    try:
        material = base64.b64decode(line, validate=True)
    except binascii.Error:
        raise KeyRingProblem(f"A line of the key file {path} is not base64.") from None
    if len(material) != _KEY_BYTES:
        raise KeyRingProblem(
            f"A key of {path} has {len(material)} bytes; a root key has exactly {_KEY_BYTES} random bytes."
        )
    if _looks_made_up(material):
        raise KeyRingProblem(f"A key of {path} is not random. Make one with: head -c 32 /dev/urandom | base64")
    return material


def _looks_made_up(material: bytes) -> bool:
    """Zeros, repetitions, counting sequences, and passphrases or hex text put through base64.

    This cannot prove that a key is random; it catches what people type.
    """
    if len(set(material)) < _MIN_DISTINCT_BYTES:
        return True
    if all(32 <= byte < 127 for byte in material):
        return True
    return len({(after - before) % 256 for before, after in itertools.pairwise(material)}) == 1


def _fingerprint(material: bytes) -> bytes:
    """Names a key without telling it: HKDF-Expand with a label of its own."""
    return hmac.digest(material, _LABEL + b"/id\x01", "sha256")[:_ID_BYTES]


def _aad(fingerprint: bytes, context: Mapping[str, str]) -> bytes:
    # The length before each text keeps {"a": "bc"} and {"ab": "c"} apart.
    texts = [text.encode() for name in sorted(context) for text in (name, context[name])]
    return b"".join((_LABEL, _FORMAT, fingerprint, *(len(text).to_bytes(4, "big") + text for text in texts)))


def _broken(private: str) -> SealBroken:
    return SealBroken("The stored credential cannot be opened.", reason="vault_integrity", private=private)
