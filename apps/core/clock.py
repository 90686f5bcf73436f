"""The one clock."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The current moment, timezone-aware, in UTC. Tests move it with time-machine."""
    return datetime.now(UTC)
