"""A WSGI application that answers with what the portal would make of the request. Served by real servers in tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from apps.entrypoints.aws_wire.raw_target import raw_request


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    request = raw_request(environ, environ["wsgi.input"].read(length) if length else b"")
    body = json.dumps(
        {
            "method": request.method,
            "path": request.raw_path,
            "query": request.raw_query,
            "headers": request.headers,
            "body": request.body.decode("latin-1"),
            "raw_keys": [key for key in ("RAW_URI", "REQUEST_URI") if key in environ],
            "path_info": environ["PATH_INFO"],
        }
    ).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
