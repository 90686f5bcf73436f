"""Child processes in process groups of their own, none of which outlives the supervisor."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from identity_portal.embedded.processes import dies_with_parent

_GUARD = Path(__file__).with_name("guard.py")


class Guard:
    """Our end of the guard's pipe (see guard.py)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD)],
            stdin=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
            cwd="/",
            env={},  # it needs none of our secrets
        )

    def watch(self, pid: int, first: signal.Signals = signal.SIGTERM, *, group: bool = True) -> None:
        """Have this process (or its group) ended when we die."""
        self._say(f"+ {pid} {int(first)} {int(group)}")

    def forget(self, pid: int) -> None:
        """Stop watching: the number may soon belong to somebody else."""
        self._say(f"- {pid}")

    def farewell(self) -> None:
        """End the guard without further action."""
        self._say(".")
        with contextlib.suppress(OSError):
            self._stream().close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # a dead guard leaves the parent-death signal
            self._stream().write(line + "\n")
            self._stream().flush()

    def _stream(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin


class Child:
    """One running child and its group."""

    def __init__(
        self,
        name: str,
        command: list[str],
        env: Mapping[str, str],
        folder: Path,
        guard: Guard,
        *,
        piped: bool = False,
    ) -> None:
        self.name = name
        self.guard = guard
        self.started_at = time.monotonic()
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else None,
            env=dict(env),
            cwd=folder,
            start_new_session=True,
            preexec_fn=dies_with_parent(signal.SIGTERM),
        )
        self.heard = b""
        if self.process.stdout is not None:
            os.set_blocking(self.process.stdout.fileno(), False)
        guard.watch(self.process.pid)

    def exit_status(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self.process.poll()

    def pass_on_output(self) -> None:
        """Copy what a piped child has written to our terminal, and keep its beginning in `heard`."""
        if self.process.stdout is None:
            return
        while chunk := self.process.stdout.read(65536):
            self.heard = (self.heard + chunk)[:4096]
            sys.stderr.buffer.write(chunk)
            sys.stderr.flush()

    def signal_group(self, number: signal.Signals) -> bool:
        """Signal everything in the group; False when nothing is left of it."""
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def clear_group(self) -> None:
        """Kill what a dead child left of its group, and forget it."""
        self.signal_group(signal.SIGKILL)
        self.guard.forget(self.process.pid)


def end_all(children: Iterable[Child], patience_s: float) -> None:
    """End the children and their groups: ask all at once, wait, then kill."""
    left = list(children)
    for child in left:
        child.signal_group(signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and any(child.exit_status() is None for child in left):
        time.sleep(0.05)
    for child in left:
        child.clear_group()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(timeout=2)
