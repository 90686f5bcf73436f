"""A small threaded HTTP/1.1 server for one WSGI application.

Connections are kept alive, bodies are bounded and read before the application runs, and an application can have
a connection closed without an answer, which is how Demo Hub loses a response on purpose.
"""

from __future__ import annotations

import io
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast
from wsgiref.handlers import SimpleHandler
from wsgiref.headers import Headers
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from .web import hangs_up

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_LONGEST_BODY = 1_048_576
_LONGEST_LINE = 65_536
_IDLE_S = 75


class _Answer(SimpleHandler):
    """Runs the application for one request."""

    http_version = "1.1"
    server_software = "DemoHub"
    os_environ: dict[str, str] = {}  # the default puts the environment of the process into every request
    connection: _Connection
    environ: dict[str, Any]
    headers: Headers | None
    status: str | None

    def finish_response(self) -> None:
        if not hangs_up(self.environ):
            super().finish_response()
            return
        self.connection.close_connection = True
        self.close()

    def cleanup_headers(self) -> None:
        super().cleanup_headers()
        if self.headers is None:
            return
        if "Content-Length" not in self.headers and not str(self.status).startswith("204"):
            self.connection.close_connection = True  # the end of the connection is the end of the body
        if self.connection.close_connection:
            self.headers["Connection"] = "close"

    def log_exception(self, exc_info: Any) -> None:
        if not isinstance(exc_info[1], ConnectionError):
            super().log_exception(exc_info)


class _Connection(WSGIRequestHandler):
    """One connection with one request after another."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes; the second must not wait for an ACK
    timeout = _IDLE_S

    def handle(self) -> None:
        self.close_connection = False
        try:
            while not self.close_connection:
                self._one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # the caller went away, or has nothing more to ask

    def _one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(_LONGEST_LINE + 1)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if len(self.raw_requestline) > _LONGEST_LINE:
            self.requestline = self.request_version = self.command = ""
            self._refuse(414)
            return
        if not self.parse_request():
            self.close_connection = True
            return
        with self.server.working():
            self._run()

    def _run(self) -> None:
        if "Transfer-Encoding" in self.headers:
            self._refuse(411)
            return
        lengths = set(self.headers.get_all("Content-Length", ["0"]))
        length = lengths.pop()
        if lengths or not length.isdecimal():
            self._refuse(400)
            return
        if int(length) > _LONGEST_BODY:
            self._refuse(413)
            return
        body = self.rfile.read(int(length))
        for name in set(self.headers):
            if "_" in name:  # X_Control_Key would look like X-Control-Key to the application
                del self.headers[name]
        answer = _Answer(
            io.BytesIO(body), cast(IO[bytes], self.wfile), sys.stderr, self.get_environ(), multithread=True
        )
        answer.connection = self
        answer.run(self.server.application_to_run)

    def _refuse(self, status: int) -> None:
        self.close_connection = True
        self.send_error(status)

    def address_string(self) -> str:
        return str(self.client_address[0])  # the default asks the name service

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: request lines hold codes and states. The control API has a log without secrets."""


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """Listens as soon as it is made; `serve_forever` serves."""

    daemon_threads = True
    request_queue_size = 128

    application_to_run: WSGIApplication

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._at_work = 0
        self._idle = threading.Condition()
        super().__init__((host, port), _Connection)

    def server_bind(self) -> None:
        """Bind without the look-up of our own name that the default does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a mistake of ours; a caller who went away is not one."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @contextmanager
    def working(self) -> Iterator[None]:
        """A context in which the server counts as busy."""
        with self._idle:
            self._at_work += 1
        try:
            yield
        finally:
            with self._idle:
                self._at_work -= 1
                self._idle.notify_all()

    def drain(self, seconds: float) -> None:
        """Wait, at most this long, until nobody is at work."""
        end = time.monotonic() + seconds
        with self._idle:
            while self._at_work and (left := end - time.monotonic()) > 0:
                self._idle.wait(left)
