"""A very small process that outlives the supervisor for a moment and leaves nothing of it behind.

The supervisor can be killed in a way it cannot handle (SIGKILL, out of memory). The guard reads a pipe that only
the supervisor writes to; when that closes without a farewell, it ends every process group on its list. It runs as
a plain script without site packages, so that it is up in a few milliseconds and costs little memory.

Lines on standard input: `+ <pid> <signal> <group>` to watch, `- <pid>` to forget, `.` for a farewell.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

PATIENCE_S = 5.0


def main() -> int:
    """Follow the list until the pipe closes; then end what is left on it."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(ignored, signal.SIG_IGN)
    watched: dict[int, tuple[int, bool]] = {}
    for line in sys.stdin:
        words = line.split()
        if words[:1] == ["+"]:
            watched[int(words[1])] = (int(words[2]), words[3] == "1")
        elif words[:1] == ["-"]:
            watched.pop(int(words[1]), None)
        elif words[:1] == ["."]:
            return 0
    end(watched)
    return 0


def end(watched: dict[int, tuple[int, bool]]) -> None:
    """Ask everything to end, wait a little, then kill what is still there."""
    for pid, (first, group) in watched.items():
        _signal(pid, first, group)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and any(_signal(pid, 0, group) for pid, (_, group) in watched.items()):
        time.sleep(0.05)
    for pid, (_, group) in watched.items():
        # PostgreSQL (watched alone, not as a group) ends its own children on SIGQUIT, at once.
        _signal(pid, signal.SIGKILL if group else signal.SIGQUIT, group)
    time.sleep(1.0)
    for pid, (_, group) in watched.items():
        _signal(pid, signal.SIGKILL, group)


def _signal(pid: int, number: int, group: bool) -> bool:
    """Send a signal (0: only ask); say whether anything was there to receive it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, number)
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
