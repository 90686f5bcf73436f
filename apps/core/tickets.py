"""Opaque artefacts that name their kind and their tenant and carry 256 random bits.

Layout: `<kind>_<12-digit account><43 base62 characters><6 base62 check characters>`. The check is a CRC-32
of everything before it: garbage is turned away without a database read, and secret scanners can tell a
real one from a look-alike. Only the SHA-256 digest is stored; the kind is part of the digest's input, so an
artefact of one kind can never be taken for another (Keycloak CVE-2026-4282).
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from dataclasses import dataclass
from enum import StrEnum

from apps.core.errors import Unauthenticated
from apps.core.secret import Secret

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_CHARS = 43  # 43 * log2(62) = 256.03 bits
_CHECK_CHARS = 6


class Kind(StrEnum):
    WORKLOAD_TOKEN = "awt"  # noqa: S105 - a prefix
    CONSENT_SESSION = "acs"
    STATE = "ast"
    BROWSER = "abb"
    # Of the portal's own authorization server.
    ACCESS_TOKEN = "aot"  # noqa: S105
    REFRESH_TOKEN = "aor"  # noqa: S105
    AUTHORIZATION_CODE = "aoc"
    CLIENT_SECRET = "aos"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Ticket:
    """A well-formed artefact: which tenant it claims, and the digest to look it up by. Not yet proven."""

    account_id: str
    digest: bytes


def _base62(number: int, width: int) -> str:
    out = []
    for _ in range(width):
        number, rest = divmod(number, 62)
        out.append(_ALPHABET[rest])
    return "".join(reversed(out))


def _check(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK_CHARS)


def digest_of(kind: Kind, text: str) -> bytes:
    """The stored form of an artefact: SHA-256 over kind and text. No salt is needed for 256 random bits."""
    return hashlib.sha256(f"{kind.value}\0{text}".encode()).digest()


def mint(kind: Kind, account_id: str) -> Secret:
    """Make a new artefact for the tenant with this 12-digit account id."""
    if len(account_id) != 12 or not account_id.isdigit():
        raise ValueError("an account id has 12 digits")
    body = f"{kind.value}_{account_id}{_base62(secrets.randbits(260), _RANDOM_CHARS)}"
    return Secret(body + _check(body))


def read(kind: Kind, text: str) -> Ticket:
    """Check form and checksum, without a database.

    Raises Unauthenticated with the reasons `ticket_malformed` or `ticket_checksum`.
    """
    prefix = f"{kind.value}_"
    if (
        len(text) != len(prefix) + 12 + _RANDOM_CHARS + _CHECK_CHARS
        or not text.startswith(prefix)
        or not text.isascii()
    ):
        raise Unauthenticated(reason="ticket_malformed")
    account = text[len(prefix) : len(prefix) + 12]
    if not account.isdigit():
        raise Unauthenticated(reason="ticket_malformed")
    if _check(text[:-_CHECK_CHARS]) != text[-_CHECK_CHARS:]:
        raise Unauthenticated(reason="ticket_checksum")
    return Ticket(account_id=account, digest=digest_of(kind, text))
