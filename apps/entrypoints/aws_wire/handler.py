"""The wire as a bare WSGI application: no session, cookie, CSRF or template machinery in the way of the data plane."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from django.db import close_old_connections

from apps.entrypoints.aws_wire.view import announced_length, answer

_PATHS = ("/identities/", "/tags/", "/resourcepolicy/", "/runtimes/", "/capacity-providers/", "/t/")


def is_wire_path(path_info: str) -> bool:
    """Whether a (decoded) path belongs to the wire, for whoever dispatches.

    Extra slashes in front do not make a page of it: such a path is refused by the verifier, not by accident.
    """
    # Public metadata below an invocation address is a page for anybody, not a call.
    if path_info.endswith("/.well-known/oauth-protected-resource"):
        return False
    return ("/" + path_info.lstrip("/")).startswith(_PATHS)


class WireHandler:
    """A WSGI application. Callable from many threads; it keeps nothing between requests."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            response = answer(environ, lambda: environ["wsgi.input"].read(announced_length(environ)))
        finally:
            # What Django does at the end of a request: a connection that broke is not kept for the next one.
            close_old_connections()
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", list(response.headers.items()))
        return [response.body]
