"""A token that has been taken apart and not yet believed."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass

from apps.authn.jwt import strict_json
from apps.core.errors import Unauthenticated

MAX_TOKEN_CHARS = 16 * 1024
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
# Base64 of one or two trailing bytes leaves 4 or 2 unused bits. They must be zero, or one token has many spellings.
_LAST = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class UnverifiedJwt:
    """Parts of a compact JWS (RFC 7515 7.1). Everything in it is a claim of whoever sent it.

    Use it to find out which issuer to ask, and for nothing else; `verify()` makes VerifiedClaims of it.
    """

    header: Mapping[str, object]
    payload: Mapping[str, object]
    signing_input: bytes
    signature: bytes

    def claimed_issuer(self) -> str:
        """The `iss` the token gives itself. Raises Unauthenticated `issuer_mismatch` unless it is a non-empty text."""
        issuer = self.payload.get("iss")
        if not isinstance(issuer, str) or not issuer:
            raise Unauthenticated(reason="issuer_mismatch")
        return issuer

    def __repr__(self) -> str:
        return "UnverifiedJwt(****)"


def parse(text: str) -> UnverifiedJwt:
    """Take a compact JWS apart. Nothing is verified.

    Raises Unauthenticated: `too_large` above 16,384 characters, `malformed` for everything but three strict
    base64url segments with a JSON object in the first two. Five segments are an encrypted token: never decrypted.
    """
    if len(text) > MAX_TOKEN_CHARS:
        raise Unauthenticated(reason="too_large")
    segments = text.split(".")
    if len(segments) != 3:
        raise _malformed("not three segments")
    header, payload, signature = segments
    try:
        return UnverifiedJwt(
            header=_json_object(header, nul_allowed=True),
            payload=_json_object(payload, nul_allowed=False),
            signing_input=text[: len(header) + 1 + len(payload)].encode("ascii"),
            # Empty is how `alg: none` looks; it gets past this point only to be refused for its algorithm.
            signature=decode_segment(signature) if signature else b"",
        )
    except (ValueError, RecursionError):
        raise _malformed("a segment is not what RFC 7515 says") from None


def decode_segment(segment: str) -> bytes:
    """Strict base64url: its alphabet only, no padding, one spelling per value. Raises ValueError."""
    if not _SEGMENT.fullmatch(segment):
        raise ValueError("not base64url")
    rest = len(segment) % 4
    if rest == 1 or (rest and segment[-1] not in _LAST[rest]):
        raise ValueError("not canonical base64url")
    return base64.urlsafe_b64decode(segment + "=" * (-rest % 4))


def _json_object(segment: str, *, nul_allowed: bool) -> dict[str, object]:
    raw = decode_segment(segment)
    value = strict_json.loads(raw)
    if not nul_allowed and b"\\u0000" in raw:
        raise ValueError("a NUL character: PostgreSQL text cannot hold it")
    if isinstance(value, dict):
        return value
    raise ValueError("not an object")


def _malformed(private: str) -> Unauthenticated:
    return Unauthenticated(reason="malformed", private=private)
