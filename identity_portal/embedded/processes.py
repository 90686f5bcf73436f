"""Small facts about processes that both embedded servers and the supervisor need."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: importing between fork and exec can deadlock.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

# Children that this very process started: they must be waited for, or they stay as zombies that look alive.
_OURS: dict[int, subprocess.Popen[bytes]] = {}


def adopt(process: subprocess.Popen[bytes]) -> None:
    """Remember a child so that `is_alive` reaps it."""
    _OURS[process.pid] = process


def dies_with_parent(with_signal: signal.Signals) -> Callable[[], None] | None:
    """Return a `preexec_fn` that makes Linux send `with_signal` to the child when its parent dies, however.

    It is bound to the thread that starts the child, so start children from the main thread. None where the
    system has nothing like it; the supervisor's guard covers those.
    """
    if _LIBC is None:
        return None
    libc = _LIBC
    parent = os.getpid()

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above took effect
            os._exit(1)

    return before_exec


def is_alive(pid: int) -> bool:
    """Say whether the process exists and is not a zombie."""
    child = _OURS.get(pid)
    if child is not None:
        if child.poll() is None:
            return True
        _OURS.pop(pid, None)
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def works_in(pid: int, folder: Path) -> bool | None:
    """Say whether the process has `folder` as its working directory; None where that cannot be seen."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder.resolve()
    except OSError:
        return None


def wait_gone(pid: int, timeout_s: float) -> bool:
    """Wait until the process has ended; False when it still runs after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _is_zombie(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[:1] == ["Z"]
