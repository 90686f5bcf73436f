"""A deadline that holds.

Library timeouts bound one read, not an exchange: with `urllib3.Timeout(total=1)` a server that drips one byte
every half second held a caller for six seconds and then succeeded. Here a watchdog shuts the socket down when the
time is over, whatever the other side does.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self


class Deadline:
    """Use as a context manager around one exchange; give it each socket as soon as it exists."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._over = False
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._timer.cancel()

    @property
    def over(self) -> bool:
        """Has the time run out? Ask after every read: a socket shut by the watchdog looks like a clean end."""
        return self._over or time.monotonic() >= self._end

    def left_s(self) -> float:
        """Seconds left. Raises TimeoutError when there are none."""
        left = self._end - time.monotonic()
        if self._over or left <= 0:
            raise TimeoutError("deadline")
        return left

    def watch(self, sock: socket.socket) -> None:
        """From now on, end this socket when the time is over. Replaces the one watched before."""
        with self._lock:
            self._socket = sock
            if self._over:
                _shut(sock)

    def release(self) -> None:
        """Stop watching. Call it before closing the socket.

        Under the lock, so that the watchdog can never shut a descriptor number that was closed here and has
        meanwhile been given to somebody else's socket.
        """
        with self._lock:
            self._socket = None

    def _expire(self) -> None:
        with self._lock:
            self._over = True
            if self._socket is not None:
                _shut(self._socket)


def _shut(sock: socket.socket) -> None:
    # The plain socket's method on purpose: SSLSocket.shutdown() first drops its TLS layer, and a thread that is
    # just sending would then write its secrets to the wire in clear.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
