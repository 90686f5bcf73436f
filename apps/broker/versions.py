"""Which state of a thing somebody looked at, so that no two people overwrite each other unseen (RFC 9110 13.1.1)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Protocol
from uuid import UUID

from apps.core.errors import Conflict


class Versioned(Protocol):
    @property
    def id(self) -> UUID: ...
    @property
    def updated_at(self) -> datetime: ...


def of(thing: Versioned) -> str:
    """The version of a row or of its view: it changes with every change."""
    return hashlib.sha256(f"{thing.id}|{thing.updated_at.isoformat()}".encode()).hexdigest()[:32]


def require(thing: Versioned, expected: str | None) -> None:
    """Call it with the row locked. Raises Conflict (`changed_meanwhile`); None expects nothing."""
    if expected is not None and of(thing) != expected:
        raise Conflict("It was changed meanwhile. Get it again and decide anew.", reason="changed_meanwhile")
