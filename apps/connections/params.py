"""The part of a request that tells two connections of the same agent, person and provider apart. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestParams:
    """`m2m_scopes` only for machine-to-machine: there a token is for exactly the scopes asked."""

    custom: Mapping[str, str] = field(default_factory=dict)
    resources: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    m2m_scopes: tuple[str, ...] | None = None

    def as_json(self) -> dict[str, object]:
        out: dict[str, object] = {
            "custom": dict(sorted(self.custom.items())),
            "resources": sorted(set(self.resources)),
            "audiences": sorted(set(self.audiences)),
        }
        if self.m2m_scopes is not None:
            out["scopes"] = sorted(set(self.m2m_scopes))
        return out

    def digest(self) -> bytes:
        """SHA-256 over the canonical form."""
        if self == _PLAIN:
            return _PLAIN_DIGEST
        return self._digest()

    def _digest(self) -> bytes:
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True, separators=(",", ":")).encode()).digest()


_PLAIN = RequestParams()
_PLAIN_DIGEST = _PLAIN._digest()


def refresh_after(asked_at: datetime, expires_at: datetime | None) -> datetime | None:
    """From when on a use refreshes first: min(60 s, 10 % of the lifetime) before the end."""
    if expires_at is None:
        return None
    life = expires_at - asked_at
    return expires_at - min(timedelta(seconds=60), life / 10)
