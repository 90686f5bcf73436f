"""Ways for a `HostileServer` to answer: one good one, and many bad ones."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence

from tests.fakes.hostile_server import Act, Line

Headers = Sequence[tuple[str, str]]


def head(status: int = 200, headers: Headers = ()) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def body(content: bytes, *, status: int = 200, media_type: str | None = "application/json", extra: Headers = ()) -> Act:
    """A complete answer with this content."""
    kind = [] if media_type is None else [("Content-Type", media_type)]
    return raw(head(status, [*kind, ("Content-Length", str(len(content))), *extra]) + content)


def json_answer(value: object, *, status: int = 200, extra: Headers = ()) -> Act:
    """The good one."""
    return body(json.dumps(value).encode(), status=status, extra=[("Connection", "close"), *extra])


def raw(data: bytes) -> Act:
    def act(line: Line) -> None:
        line.send(data)

    return act


def redirect(status: int, location: str) -> Act:
    return raw(head(status, [("Location", location), ("Content-Length", "0")]))


def silence(seconds: float = 60) -> Act:
    """Take the request and never answer."""

    def act(line: Line) -> None:
        line.stopping.wait(seconds)

    return act


def drip(data: bytes, *, first: bytes = b"", every_s: float = 0.5) -> Act:
    """Send `first` at once and then `data` one byte at a time, for ever if need be."""

    def act(line: Line) -> None:
        line.send(first)
        at = 0
        while not line.stopping.wait(every_s):
            line.send(data[at % len(data) : at % len(data) + 1])
            at += 1

    return act


def endless_chunks(size: int = 8192) -> Act:
    """A chunked body that never ends."""

    def act(line: Line) -> None:
        line.send(head(200, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]))
        chunk = b"%x\r\n%s\r\n" % (size, b" " * size)
        while not line.stopping.is_set():
            line.send(chunk)

    return act


def endless_trailer() -> Act:
    """A finished body followed by trailer lines without end."""

    def act(line: Line) -> None:
        line.send(head(200, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]))
        line.send(b"2\r\n{}\r\n0\r\n")
        while not line.stopping.is_set():
            line.send(b"X-More: " + b"y" * 4000 + b"\r\n")

    return act


def endless_continue() -> Act:
    """100 Continue, again and again."""

    def act(line: Line) -> None:
        while not line.stopping.is_set():
            line.send(b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" * 50)

    return act


def header_flood(count: int) -> Act:
    """A good answer with this many headers."""
    return body(b"{}", extra=[(f"X-{at}", "y") for at in range(count)])


def long_header(size: int) -> Act:
    return body(b"{}", extra=[("X-Long", "y" * size)])


def zipped(value: object, *, times: int = 1, label: str = "gzip", padding: int = 0) -> Act:
    """Compressed content, `times` over. `padding` makes it a bomb."""
    data = json.dumps(value).encode() + b" " * padding
    for _ in range(times):
        data = gzip.compress(data)
    return body(data, extra=[("Content-Encoding", label)])


def negative_chunk() -> Act:
    """A chunk of length -1, which some readers take for "everything", followed by as much as they like."""

    def act(line: Line) -> None:
        line.send(head(200, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]))
        line.send(b"-1\r\n")
        while not line.stopping.is_set():
            line.send(b"x" * 65_536)

    return act


def cut_short(content: bytes, *, promised: int) -> Act:
    """Promise more than is sent, then hang up."""
    return raw(head(200, [("Content-Type", "application/json"), ("Content-Length", str(promised))]) + content)
