"""Reads a bearer token from the Authorization header (RFC 6750 2.1), the only place it may stand."""

from __future__ import annotations

import re
from collections.abc import Sequence

from apps.core.errors import Unauthenticated

# One space, one token of RFC 6750's b64token characters: no comma list, no second credential.
_BEARER = re.compile(r"bearer ([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


def bearer_token(values: Sequence[str]) -> str:
    """The token of a request's Authorization header values.

    Two headers are refused even when one is good: which of them counts would depend on the proxy in front.
    Raises Unauthenticated: `credential_missing` or `malformed`.
    """
    if not values:
        raise Unauthenticated(reason="credential_missing")
    match = _BEARER.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        raise Unauthenticated(reason="malformed")
    return match.group(1)
