"""An issuer's published keys (RFC 7517), read once and with suspicion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from apps.authn.jwt import strict_json
from apps.authn.jwt.algorithms import ALGORITHMS, Algorithm, KeyKind
from apps.authn.jwt.unverified import decode_segment
from apps.core.errors import UpstreamRefused

MAX_DOCUMENT_BYTES = 256 * 1024
MAX_KEYS = 100
MAX_KID_CHARS = 256
# Two keys under one name happen during a careless rotation; each is one of the issuer's own. More is noise.
MAX_KEYS_PER_KID = 2
_RSA_BITS = range(2048, 8192 + 1)
_RSA_EXPONENT = range(65537, 2**32)
_COORDINATE_BYTES = {"P-256": 32, "P-384": 48}

PublicKey = RSAKey | ECKey | OKPKey


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One usable key. `algorithm` is set when the issuer allows only that one for it."""

    kid: str | None
    kind: KeyKind
    algorithm: Algorithm | None
    key: PublicKey = field(repr=False)

    def fits(self, algorithm: Algorithm) -> bool:
        return algorithm.kind is self.kind and self.algorithm in (None, algorithm)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of one document, and the names of those that were left out with the reason."""

    keys: tuple[VerificationKey, ...]
    by_kid: Mapping[str, tuple[VerificationKey, ...]] = field(repr=False)
    dropped: Mapping[str, str] = field(repr=False)  # kid to reason; a name that is also usable is not here

    def knows(self, kid: str) -> bool:
        """Whether asking the issuer again about this name would be pointless."""
        return kid in self.by_kid or kid in self.dropped


class _Unusable(ValueError):
    """This one key is left out; the text is the reason."""


def is_kid(value: object) -> bool:
    """A key id is 1 to 256 printable ASCII characters, and nothing but a name: never a path, query or index."""
    return isinstance(value, str) and 0 < len(value) <= MAX_KID_CHARS and value.isascii() and value.isprintable()


def parse_key_set(document: bytes) -> KeySet:
    """Read a JWKS document. Keys that are weak, malformed or not for signatures are left out one by one.

    Raises UpstreamRefused `jwks_invalid` for a document above 256 KiB, with more than 100 keys, that is not a
    JSON object with `keys`, or without a single usable key. The issuer's administrator can fix it.
    """
    if len(document) > MAX_DOCUMENT_BYTES:
        raise _invalid("the document is too large")
    try:
        content = strict_json.loads(document)
    except (ValueError, RecursionError):
        raise _invalid("the document is not JSON") from None
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise _invalid("the document has no list of keys")
    if len(entries) > MAX_KEYS:
        raise _invalid(f"more than {MAX_KEYS} keys")
    by_kid: dict[str, tuple[VerificationKey, ...]] = {}
    keys: list[VerificationKey] = []
    dropped: dict[str, str] = {}
    for entry in entries:
        try:
            key = _read_key(entry)
            if key.kid is not None:
                named = by_kid.get(key.kid, ())
                if len(named) >= MAX_KEYS_PER_KID:
                    raise _Unusable("the name is used too often")
                by_kid[key.kid] = (*named, key)
            keys.append(key)
        except _Unusable as reason:
            kid = entry.get("kid") if isinstance(entry, dict) else None
            if isinstance(kid, str) and is_kid(kid):
                dropped[kid] = str(reason)
    if not keys:
        raise _invalid("no usable key")
    return KeySet(
        keys=tuple(keys),
        by_kid=MappingProxyType(by_kid),
        dropped=MappingProxyType({kid: reason for kid, reason in dropped.items() if kid not in by_kid}),
    )


def _read_key(entry: object) -> VerificationKey:
    if not isinstance(entry, dict):
        raise _Unusable("not an object")
    kid, use, operations, name = entry.get("kid"), entry.get("use"), entry.get("key_ops"), entry.get("alg")
    if "kid" in entry and not is_kid(kid):
        raise _Unusable("the key id is not a name")
    if "use" in entry and use != "sig":
        raise _Unusable("not for signatures")
    if "key_ops" in entry and not (isinstance(operations, list) and "verify" in operations):
        raise _Unusable("not for verifying")
    if "d" in entry:
        raise _Unusable("the private key is published")
    algorithm = ALGORITHMS.get(name) if isinstance(name, str) else None
    if "alg" in entry and algorithm is None:
        raise _Unusable("made for another algorithm")
    kind, key = _material(entry)
    if algorithm is not None and algorithm.kind is not kind:
        raise _Unusable("the algorithm is for another kind of key")
    return VerificationKey(kid=kid, kind=kind, algorithm=algorithm, key=key)


def _material(entry: Mapping[str, object]) -> tuple[KeyKind, PublicKey]:
    """Only the members that make the key are handed on; x5u, x5c and the like are never looked at."""
    key_type, curve = entry.get("kty"), entry.get("crv")
    try:
        if key_type == "RSA":
            _check_rsa(_bytes(entry, "n"), _bytes(entry, "e"))
            return KeyKind.RSA, RSAKey.import_key(_pick(entry, "kty", "n", "e"))
        if key_type == "EC" and isinstance(curve, str) and curve in _COORDINATE_BYTES:
            width = _COORDINATE_BYTES[curve]
            if len(_bytes(entry, "x")) != width or len(_bytes(entry, "y")) != width:
                raise _Unusable("a coordinate has the wrong length")
            return KeyKind(curve), ECKey.import_key(_pick(entry, "kty", "crv", "x", "y"))  # refuses points off it
        if key_type == "OKP" and curve == "Ed25519" and len(_bytes(entry, "x")) == 32:
            return KeyKind.ED25519, OKPKey.import_key(_pick(entry, "kty", "crv", "x"))
    except _Unusable:
        raise
    except (JoseError, ValueError, TypeError):
        raise _Unusable("the numbers are not a key") from None
    raise _Unusable("this kind of key is not accepted")


def _check_rsa(modulus: bytes, exponent: bytes) -> None:
    # Before any arithmetic: a 65,536-bit modulus is a denial of service, e = 1 makes every signature valid.
    number = int.from_bytes(modulus, "big") if len(modulus) <= 1025 else 0
    if number.bit_length() not in _RSA_BITS or number % 2 == 0:
        raise _Unusable("the modulus is not 2048 to 8192 bits")
    e = int.from_bytes(exponent, "big")
    if e not in _RSA_EXPONENT or e % 2 == 0:
        raise _Unusable("the exponent is not accepted")


def _bytes(entry: Mapping[str, object], name: str) -> bytes:
    value = entry.get(name)
    if not isinstance(value, str):
        raise _Unusable("a number is missing")
    return decode_segment(value)


def _pick(entry: Mapping[str, object], *names: str) -> dict[str, str | list[str]]:
    return {name: str(entry[name]) for name in names}


def _invalid(private: str) -> UpstreamRefused:
    return UpstreamRefused("The issuer's keys cannot be used.", reason="jwks_invalid", private=private)
