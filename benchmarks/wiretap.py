"""A proxy between the portal and PostgreSQL that counts what the portal says.

Every wait for the database is a Query or a Sync of the frontend protocol (PostgreSQL manual, "Message Flow"), so
their number is the number of round trips, whatever the driver or the framework believes it did.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

_PORT = 5432


class Wiretap:
    """Messages of the frontend since the last `clear()`: (type, begin of the text where there is one)."""

    def __init__(self, target: str, port: int) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="tap-")
        self.messages: list[tuple[str, str]] = []
        self._target, self._port = target, port
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(Path(self.folder.name) / f".s.PGSQL.{_PORT}"))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def host(self) -> str:
        return self.folder.name

    def clear(self) -> None:
        self.messages = []

    @property
    def round_trips(self) -> int:
        return sum(kind in "QS" for kind, _ in self.messages)

    def close(self) -> None:
        self._listener.close()
        self.folder.cleanup()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                threading.Thread(target=self._listen, args=(client, server), daemon=True).start()
                threading.Thread(target=_pass_on, args=(server, client), daemon=True).start()

    def _connect(self) -> socket.socket:
        if self._target.startswith("/"):
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.connect(f"{self._target}/.s.PGSQL.{self._port}")
            return server
        return socket.create_connection((self._target, self._port))

    def _listen(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on the frontend's bytes, noting each message before the server can answer it."""
        pending, head = b"", 0  # the first message, the start-up packet, has no type byte
        with contextlib.suppress(OSError), client, server:
            while chunk := client.recv(65536):
                pending += chunk
                while len(pending) >= head + 4:
                    size = head + struct.unpack_from(">I", pending, head)[0]
                    if len(pending) < size:
                        break
                    if head:
                        self._note(pending[:1].decode("ascii"), pending[5:size])
                    pending, head = pending[size:], 1
                server.sendall(chunk)

    def _note(self, kind: str, body: bytes) -> None:
        texts = body.split(b"\0")
        text = texts[0] if kind == "Q" else texts[1] if kind == "P" else b""
        self.messages.append((kind, text.decode("utf-8", "replace")[:200]))


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError), source, sink:
        while chunk := source.recv(65536):
            sink.sendall(chunk)


@contextlib.contextmanager
def tapped() -> Iterator[Wiretap]:
    """Send Django's default connection of this thread through a wiretap for the length of the block."""
    from django.db import connection

    before = {name: connection.settings_dict[name] for name in ("HOST", "PORT")}
    tap = Wiretap(str(before["HOST"]), int(before["PORT"] or _PORT))
    connection.close()
    connection.settings_dict.update(HOST=tap.host, PORT=str(_PORT))
    try:
        yield tap
    finally:
        connection.close()
        connection.settings_dict.update(before)
        tap.close()
