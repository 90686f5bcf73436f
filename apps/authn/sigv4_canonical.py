"""Canonical path, query and header text of AWS Signature Version 4. Pure functions.

One rule runs through this file: what cannot be read in exactly one way is refused instead of being
repaired. A verifier that normalises `/a/../b` checks a signature over one path while the router may
serve another (security.md T032, T033).
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from apps.core.errors import Unauthenticated

_MAX_PATH_CHARS = 4096
_MAX_QUERY_CHARS = 16_384

_plain_path = re.compile(r"/[A-Za-z0-9_.~/-]*").fullmatch
_legal_path = re.compile(r"/(?:[A-Za-z0-9_.~/!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*").fullmatch
_ambiguous_segment = re.compile(r"//|/\.\.?(?:/|\Z)").search
# Hex of A-Z a-z 0-9 - . _ ~ : RFC 3986 2.3 calls such escapes equal to the bare character.
_encoded_unreserved = re.compile(r"%(?:2[DdEe]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9AaEe])").search
_legal_query = re.compile(r"(?:[A-Za-z0-9_.~/?!$'()*,;=&:@-]|%[0-9A-Fa-f]{2})*").fullmatch


def canonical_path(raw_path: str) -> str:
    """The canonical URI: the path exactly as received, percent-encoded once more.

    Args:
        raw_path: the path of the request target, still encoded, without the query.

    Raises:
        Unauthenticated: `path_not_canonical`. Two spellings of this path could mean different things,
            so no honest signer produces it.
    """
    if len(raw_path) > _MAX_PATH_CHARS:
        raise Unauthenticated(reason="path_not_canonical", private="path too long")
    if _ambiguous_segment(raw_path) is not None:
        raise Unauthenticated(reason="path_not_canonical", private="empty or dot segment")
    if _plain_path(raw_path) is not None:
        return raw_path
    if _legal_path(raw_path) is None or _encoded_unreserved(raw_path) is not None:
        raise Unauthenticated(reason="path_not_canonical", private="character or escape not allowed")
    return quote(raw_path, safe="/-_.~")


def parse_query(raw_query: str) -> list[tuple[str, str]]:
    """Names and values of the query, in the order received.

    The signature is computed from this very list (`canonical_query`), so a handler that reads its
    parameters from here can never see others than the signed ones. A `+` is refused: form parsers read
    it as a space, URI rules read it as itself, and signer and handler might disagree.

    Raises:
        Unauthenticated: `query_not_canonical`.
    """
    if not raw_query:
        return []
    if len(raw_query) > _MAX_QUERY_CHARS or _legal_query(raw_query) is None:
        raise Unauthenticated(reason="query_not_canonical", private="character or escape not allowed, or too long")
    pairs: list[tuple[str, str]] = []
    for piece in raw_query.split("&"):
        name, _, value = piece.partition("=")
        try:
            pairs.append((unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()))
        except UnicodeDecodeError as error:
            raise Unauthenticated(reason="query_not_canonical", private="not UTF-8") from error
        if not name:
            raise Unauthenticated(reason="query_not_canonical", private="empty name")
    return pairs


def canonical_query(raw_query: str) -> str:
    """The canonical query string: every name and value encoded alike, sorted by name, then by value."""
    if not raw_query:
        return ""
    encoded = [(quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parse_query(raw_query)]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def carries_query_signature(raw_query: str) -> bool:
    """Whether the query holds any part of a presigned (query) signature, in whatever spelling."""
    return any(
        unquote_to_bytes(piece.partition("=")[0]).lower().startswith(b"x-amz-") for piece in raw_query.split("&")
    )


def trimmed(value: str) -> str:
    """A header value with outer blanks removed and inner runs collapsed to one space."""
    return " ".join(value.split()) if "  " in value or "\t" in value else value.strip(" ")
