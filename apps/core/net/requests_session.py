"""The guarded transport in the shape of a `requests.Session`, for libraries that insist on one (social login)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from apps.core.errors import PortalError
from apps.core.net.guarded import GuardedTransport
from apps.core.net.messages import Outbound
from apps.core.secret import Secret

# What a library may say about its request. Everything else, cookies above all, stays here.
_PASSED_ON = ("accept", "authorization", "content-type")


class GuardRefused(requests.exceptions.ConnectionError):
    """What libraries see when the guard refuses or nothing answers; the cause is the PortalError."""


def session(transport: GuardedTransport, *, for_tenant: Hashable | None = None) -> requests.Session:
    """A session whose every request goes through the guard: no proxies, netrc, cookies or redirects."""
    made = requests.Session()
    made.trust_env = False
    made.max_redirects = 0
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    made.adapters.clear()
    made.mount("https://", _Adapter(transport, for_tenant))
    made.mount("http://", _Adapter(transport, for_tenant))
    return made


class _Adapter(BaseAdapter):
    def __init__(self, transport: GuardedTransport, for_tenant: Hashable | None) -> None:
        super().__init__()
        self._transport = transport
        self._for_tenant = for_tenant

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Ignores `verify`, `cert`, `proxies` and `timeout`: those are not a caller's to decide."""
        headers: dict[str, str | Secret] = {
            name: Secret(value) if name.lower() == "authorization" else value
            for name, value in ((name, _text(value)) for name, value in request.headers.items())
            if name.lower() in _PASSED_ON
        }
        raw = request.body.encode() if isinstance(request.body, str) else request.body
        outbound = Outbound(
            method=request.method or "GET",
            url=request.url or "",
            headers=headers,
            raw=bytes(raw) if raw is not None else None,
            max_bytes=256_000,
        )
        try:
            answer = self._transport.send(outbound, for_tenant=self._for_tenant)
        except PortalError as refused:
            raise GuardRefused(refused.public, request=request) from refused
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response._content = answer.body  # complete already; there is no stream behind it
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """Nothing is kept open."""


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
