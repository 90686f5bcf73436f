"""Made-up repositories and weather."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Repository:
    """A repository of one person. `merged` are the changes since the release `released`."""

    id: str
    name: str
    description: str
    private: bool
    released: str
    merged: tuple[str, ...]


_SEEDED: dict[str, tuple[Repository, ...]] = {
    "dana": (
        Repository(
            "dana-atlas", "atlas", "Maps that work without a connection", False, "v2.4.0",
            ("Draw coastlines at low zoom", "Fix a crash on empty tiles", "Add the Welsh translation"),
        ),
        Repository(
            "dana-lighthouse", "lighthouse", "Uptime checks for small teams", True, "v0.9.1",
            ("Retry a check before the alarm", "Show the last outage on the front page"),
        ),
        Repository("dana-field-notes", "field-notes", "A notebook for surveys", True, "v1.0.0", ()),
    ),
    "lee": (
        Repository("lee-orchard", "orchard", "Plans harvests", False, "v3.1.2", ("Import soil samples",)),
        Repository("lee-kettle", "kettle", "A tiny build server", True, "v0.3.0", ("Stop builds on request",)),
    ),
    "priya": (
        Repository("priya-signal-board", "signal-board", "Team dashboards", True, "v5.0.0", ("Add a quiet mode",)),
    ),
    "gus": (
        Repository("gus-ledger", "ledger", "Double-entry bookkeeping", True, "v7.2.0", ("Round half to even",)),
    ),
}  # fmt: skip
_SKIES = ("clear", "light clouds", "overcast", "drizzle", "rain", "wind and sun", "fog")


def repositories_of(username: str) -> list[Repository]:
    """Somebody's repositories; everybody who was not seeded has one."""
    first = Repository(f"{username}-first-steps", "first-steps", "Trying things out", True, "v0.0.1", ("Say hello",))
    return list(_SEEDED.get(username, (first,)))


def weather_in(city: str) -> dict[str, Any]:
    """Weather that is the same every time one asks for the same city."""
    dice = zlib.crc32(city.strip().lower().encode())
    return {"city": city, "sky": _SKIES[dice % len(_SKIES)], "celsius": 4 + dice // 7 % 26}
