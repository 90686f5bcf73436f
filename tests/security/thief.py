"""A server of the attacker's on a port the operator allowed: it keeps whatever is sent to it and gives nothing."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Taken:
    """One request as it came."""

    target: str
    headers: str
    body: str

    @property
    def grant_type(self) -> str:
        return parse_qs(self.body).get("grant_type", [""])[0]

    def __str__(self) -> str:
        return f"{self.target}\n{self.headers}\n{self.body}"


class Thief:
    """Use as a context manager. `number` chooses one of the spare ports of the test run."""

    def __init__(self, number: int = 0) -> None:
        taken: list[Taken] = []

        class Handler(BaseHTTPRequestHandler):
            def _take(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                taken.append(Taken(self.path, str(self.headers), self.rfile.read(length).decode()))
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = do_HEAD = _take

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        port = int(os.environ["PORTAL_TEST_SPARE_PORTS"].split(",")[number])
        self.taken = taken
        self.url = f"http://127.0.0.1:{port}"
        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def everything(self) -> str:
        return "\n\n".join(map(str, self.taken))
