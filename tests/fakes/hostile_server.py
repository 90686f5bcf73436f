"""A small threaded HTTP server that answers exactly as badly as it is told to, and remembers everything it saw.

    with HostileServer() as server:
        server.answer(json_answer({"ok": True}))
        ...
        assert server.connects == 1
        assert server.seen[0].target == "/token"

`connects` counts accepted TCP connections, also those that never sent a request: a test that says "no outbound
connection" means this number. Behaviours are in `hostile_acts`.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Seen:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    server_name: str | None = field(default=None)

    def header(self, name: str) -> str | None:
        return next((value for have, value in self.headers if have.lower() == name.lower()), None)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Line:
    """What a behaviour may use: the connection, the request it answers, and whether the server is stopping."""

    sock: socket.socket
    request: Seen
    stopping: threading.Event

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)


Act = Callable[[Line], None]


class HostileServer:
    """Listens on a loopback port from construction on. Use as a context manager."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, mute: bool = False, host: str = "127.0.0.1", backlog: int = 64
    ) -> None:
        """`tls` speaks TLS with this context. `mute` accepts connections and then says and reads nothing."""
        self._tls = tls
        self._mute = mute
        self._default: list[Act] = []
        self._routes: dict[str, list[Act]] = {}
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.stopping = threading.Event()
        self.connects = 0
        self.handshake_failures = 0
        self.seen: list[Seen] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind((host, 0))
        self._listener.listen(backlog)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        if tls is not None:
            tls.sni_callback = self._remember_name
        self._names: dict[int, str | None] = {}
        self._accepting = threading.Thread(target=self._accept, name="hostile-accept", daemon=True)

    def answer(self, *acts: Act) -> Self:
        """Answer requests with these behaviours in turn; the last one repeats."""
        with self._lock:
            self._default = list(acts)
        return self

    def at(self, path: str, *acts: Act) -> Self:
        """The same for one path."""
        with self._lock:
            self._routes[path] = list(acts)
        return self

    def url(self, path: str = "/") -> str:
        scheme = "http" if self._tls is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{path}"

    @property
    def address(self) -> tuple[str, int]:
        return (self.host, self.port)

    def seen_at(self, path: str) -> list[Seen]:
        return [request for request in self.seen if request.path == path]

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self._accepting.join(2)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connects += 1
                self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), name="hostile-serve", daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        sock = raw
        try:
            if self._mute:
                self.stopping.wait(60)
                return
            if self._tls is not None:
                try:
                    sock = self._tls.wrap_socket(raw, server_side=True)
                except (ssl.SSLError, OSError):
                    self.handshake_failures += 1
                    return
                with self._lock:
                    self._open.append(sock)
            request = self._read(sock)
            if request is None:
                return
            with self._lock:
                self.seen.append(request)
                acts = self._routes.get(request.path, self._default)
                act = acts.pop(0) if len(acts) > 1 else (acts[0] if acts else None)
            if act is not None:
                act(Line(sock, request, self.stopping))
        except OSError:
            return  # the client hung up, which is what most of these tests want
        finally:
            with contextlib.suppress(OSError):
                sock.close()

    def _read(self, sock: socket.socket) -> Seen | None:
        stream = sock.makefile("rb")
        first = stream.readline(70_000).decode("latin-1").split()
        if len(first) != 3:
            return None
        headers: list[tuple[str, str]] = []
        while (line := stream.readline(70_000).decode("latin-1").rstrip("\r\n")) != "":
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        body = stream.read(length) if length else b""
        return Seen(first[0], first[1], tuple(headers), body, self._names.get(id(sock)))

    def _remember_name(self, sock: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
        self._names[id(sock)] = name
