"""The wire as a bare WSGI application: no session, cookie, CSRF or template machinery in the way of the data plane."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from apps.entrypoints.aws_wire import sts
from apps.entrypoints.aws_wire.view import announced_length, answer

# Pages of a tenant's authorization server, below the same prefix as the wire: nothing on the wire is called that.
_AUTHORIZATION_SERVER = re.compile(r"/t/[^/]+/(?:oauth2|\.well-known)(?:/|$)")
_PATHS = ("/identities/", "/tags/", "/resourcepolicy/", "/runtimes/", "/capacity-providers/", "/t/")


def is_wire_path(path_info: str) -> bool:
    """Whether a (decoded) path belongs to the wire.

    Extra slashes in front do not make a page of it: such a path is refused by the verifier, not by accident.
    """
    if _AUTHORIZATION_SERVER.match(path_info):
        return False
    return ("/" + path_info.lstrip("/")).startswith(_PATHS)


def is_wire_call(method: str, path_info: str) -> bool:
    """`is_wire_path`, and STS, which has no path of its own."""
    return is_wire_path(path_info) or sts.is_sts_call(method, path_info)


class WireHandler:
    """A WSGI application. Callable from many threads; it keeps nothing between requests."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            path = environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]
            serve = sts.answer if sts.is_sts_call(environ["REQUEST_METHOD"], path) else answer
            response = serve(environ, lambda: environ["wsgi.input"].read(announced_length(environ)))
        finally:
            # What Django does at the end of a request: a connection that broke is not kept for the next one.
            connections[DEFAULT_DB_ALIAS].close_if_unusable_or_obsolete()
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", list(response.headers.items()))
        return [response.body]
