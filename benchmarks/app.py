"""The portal's WSGI application with one constant view beside it, in the same processes.

`/hello` is the yardstick of every ratio: Django's handler, URL resolving and response, without the middlewares that
the data plane does without. Everything else is the portal, unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from identity_portal.wsgi import application as portal

# After the line above: Django is set up there.
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest  # isort: skip
from django.http import HttpRequest, HttpResponse  # isort: skip
from django.test.utils import override_settings  # isort: skip
from django.urls import path  # isort: skip

_BODY = b'{"hello":"world"}'


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_BODY, content_type="application/json")


urlpatterns = [path("hello", hello)]


class _Request(WSGIRequest):
    urlconf = __name__


class _Plain(WSGIHandler):
    request_class = _Request

    def load_middleware(self, is_async: bool = False) -> None:
        with override_settings(MIDDLEWARE=[]):
            super().load_middleware(is_async)


_hello = _Plain()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/hello":
        return _hello(environ, start_response)  # type: ignore[no-any-return]
    return portal(environ, start_response)
