"""Where views find the one Hub of this process."""

from __future__ import annotations

from .hub import Hub

_hub: Hub | None = None


def install(hub: Hub) -> None:
    """Make this the Hub of the process."""
    global _hub
    _hub = hub


def the_hub() -> Hub:
    """The Hub of this process.

    Raises:
        RuntimeError: nothing was installed; only `python -m apps.demo_hub` serves these views.
    """
    if _hub is None:
        raise RuntimeError("Demo Hub is not running in this process")
    return _hub
