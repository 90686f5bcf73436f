"""One HTTP/1.1 request and its answer over a socket that is already connected and checked.

Deliberately without an HTTP client library: no redirects, cookies, proxies, netrc, retries, decompression or
connection reuse to switch off, because none of them exists here. The standard library parses the answer; what it
may take in is bounded underneath it, on the raw socket.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import socket
from urllib.parse import quote_plus, urlencode

from apps.core.net.failures import encoded, malformed_http, redirected, too_large
from apps.core.net.messages import Field, Inbound, Outbound
from apps.core.net.urls import OutboundUrl
from apps.core.secret import Secret

USER_AGENT = "identity-portal/1 (OAuth client for AI agents)"
_HEAD_LIMIT = 32_768  # bytes of status line and headers together; the parser itself stops at 100 header lines
_FRAMING_ALLOWANCE = 16_384  # chunk sizes and trailers, on top of twice the body limit
_HEADER_NAME = re.compile(r"[A-Za-z0-9\-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
# Set here and nowhere else: each of these could change where a request goes or how its end is found.
_OURS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "cookie"}
) | frozenset({"expect", "te", "trailer", "upgrade"})


def write_request(outbound: Outbound, url: OutboundUrl) -> bytes:
    """The bytes to send. Raises ValueError for a header that our own code must not set, or that holds a line break."""
    body, content_type = _body(outbound)
    headers: dict[str, str] = {"Accept": "application/json", "User-Agent": USER_AGENT}
    if content_type:
        headers["Content-Type"] = content_type
    for name, value in outbound.headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
            raise ValueError(f"header {name!r} is not the caller's to set")
        _put(headers, name, _plain(value))
    if outbound.basic_auth is not None:
        _put(headers, "Authorization", _basic(*outbound.basic_auth))
    if outbound.bearer is not None:
        _put(headers, "Authorization", f"Bearer {outbound.bearer.reveal()}")
    if body is not None or outbound.method in ("POST", "PUT", "PATCH"):
        headers["Content-Length"] = str(len(body or b""))
    lines = [f"{outbound.method} {url.path_and_query} HTTP/1.1", f"Host: {url.host_header}"]
    lines += ["Connection: close", "Accept-Encoding: identity"]
    for name, value in headers.items():
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"header {name!r} has characters that do not belong in a header")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")


def read_answer(sock: socket.socket, *, method: str, max_bytes: int) -> Inbound:
    """Read one complete answer of at most `max_bytes` body.

    Raises UpstreamRefused (`upstream_redirect`, `upstream_too_large`, `upstream_encoding`, `upstream_malformed`).
    OSError and http.client.HTTPException mean that the answer did not arrive whole; the caller knows why.
    """
    source = _Bounded(sock, _HEAD_LIMIT)
    response = http.client.HTTPResponse(source, method=method)  # type: ignore[arg-type]  # it needs makefile() only
    try:
        try:
            response.begin()
        except http.client.HTTPException as problem:
            if isinstance(problem, http.client.RemoteDisconnected):
                raise
            raise _head_problem(problem) from None
        if source.ended:
            # The parser takes an end in the middle of the headers for the end of the headers.
            raise http.client.IncompleteRead(b"")
        _refuse_unwanted(response, max_bytes)
        source.allow(2 * max_bytes + _FRAMING_ALLOWANCE)
        body = response.read(max_bytes + 1)
        if len(body) > max_bytes:
            raise too_large("body")
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return Inbound(response.status, tuple(response.headers.items()), body)
    except _TooMuch:
        raise too_large("head or framing") from None
    except ValueError:
        raise malformed_http("framing") from None  # for example a negative chunk size
    finally:
        response.close()


def _refuse_unwanted(response: http.client.HTTPResponse, max_bytes: int) -> None:
    headers = response.headers
    # A Refresh header is a redirect by another name.
    if 300 <= response.status < 400 or "Refresh" in headers:
        raise redirected()
    # Compressed bodies were not asked for; unpacking them is how a kilobyte becomes a gigabyte.
    if any(value.strip().lower() not in ("", "identity") for value in headers.get_all("Content-Encoding", [])):
        raise encoded("content encoding")
    if any(value.strip().lower() != "chunked" for value in headers.get_all("Transfer-Encoding", [])):
        raise encoded("transfer encoding")
    if response.length is not None and response.length > max_bytes:
        raise too_large("content length")


def _head_problem(problem: http.client.HTTPException) -> Exception:
    if isinstance(problem, http.client.LineTooLong) or "headers" in str(problem):
        return too_large("head")
    return malformed_http(type(problem).__name__)


def _put(headers: dict[str, str], name: str, value: str) -> None:
    for have in [have for have in headers if have.lower() == name.lower()]:
        del headers[have]
    headers[name] = value


def _plain(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _basic(client_id: str, secret: Secret) -> str:
    # RFC 6749 section 2.3.1: both parts are form-encoded first, so that a colon in the id stays in the id.
    pair = f"{quote_plus(client_id)}:{quote_plus(secret.reveal())}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def _body(outbound: Outbound) -> tuple[bytes | None, str | None]:
    if outbound.form is not None:
        return urlencode(_revealed(outbound.form)).encode("ascii"), "application/x-www-form-urlencoded"
    if outbound.json is not None:
        return json.dumps(dict(_revealed(outbound.json))).encode(), "application/json"
    return outbound.raw, None


def _revealed(fields: tuple[Field, ...]) -> list[tuple[str, str]]:
    return [(name, _plain(value)) for name, value in fields]


class _TooMuch(Exception):
    pass


class _Bounded:
    """A socket that gives out no more bytes than allowed, whatever lengths the other side claims."""

    def __init__(self, sock: socket.socket, limit: int) -> None:
        self._sock = sock
        self._left = limit
        self.ended = False

    def allow(self, more: int) -> None:
        self._left += more

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Tap(self))

    def recv_into(self, buffer: memoryview) -> int:
        count = self._sock.recv_into(buffer)
        self.ended = count == 0
        self._left -= count
        if self._left < 0:
            raise _TooMuch
        return count


class _Tap(io.RawIOBase):
    def __init__(self, source: _Bounded) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._source.recv_into(buffer)
