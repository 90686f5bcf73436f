"""The WSGI application: the AWS wire on a path of its own, without page middleware; everything else is pages.

The wire needs no session, cookie, CSRF or template machinery, and what is not there cannot be attacked or slow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_portal.settings")

from django.core.wsgi import get_wsgi_application

pages = get_wsgi_application()

from apps.entrypoints.aws_wire.handler import WireHandler, is_wire_call  # noqa: E402
from identity_portal.startup import refuse_unsafe_start  # noqa: E402

refuse_unsafe_start()
wire = WireHandler()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if is_wire_call(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
        return wire(environ, start_response)
    return pages(environ, start_response)
