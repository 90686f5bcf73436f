"""The REST API from outside, without a server in between: signed with an access key, or with a person's session."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from django.conf import settings
from django.test import Client

from tests.console.conftest import make_person

HOST = settings.PUBLIC_URL.removeprefix("http://")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    def __getitem__(self, member: str) -> Any:
        return self.json[member]

    @property
    def kind(self) -> str:
        """The kind of problem; empty for a success."""
        return self.json["type"].rsplit("/", 1)[1] if self.status >= 400 else ""

    @property
    def comparable(self) -> Any:
        """All a caller can see, without what names this one request."""
        body = self.json
        if isinstance(body, dict):
            body.pop("request_id", None)
        headers = {k: v for k, v in self.headers.items() if k not in ("x-request-id", "ratelimit", "content-length")}
        return self.status, body, headers


class Api:
    """One credential at the API."""

    def __init__(self, *, key: tuple[str, str] | None = None, client: Client | None = None) -> None:
        self.key, self.client = key, client or Client(enforce_csrf_checks=True)

    @classmethod
    def of(cls, tenant: Any) -> Api:
        return cls(key=(tenant.access_key_id, tenant.secret_access_key))

    @classmethod
    def as_person(cls, tenant: Any, role: str = "tenant_owner") -> Api:
        """A person's browser, with the token of the portal's own pages."""
        browser = Client(enforce_csrf_checks=True, headers={"host": HOST})
        browser.force_login(make_person(tenant, role), backend="django.contrib.auth.backends.ModelBackend")
        return cls(client=browser)

    @classmethod
    def with_grants(cls, tenant: Any, *grants: tuple[str, str], **options: Any) -> Api:
        """A key of the tenant with these permissions only."""
        from apps.broker import contracts as c
        from apps.broker.control_plane.tenants import system_caller
        from apps.broker.run import run

        made = run(c.CreateAccessKey(label="test", grants=grants, **options), system_caller(tenant.tenant, "test"))
        return cls(key=(made.access_key_id, made.secret_access_key.reveal()))

    def get(self, path: str, **options: Any) -> Reply:
        return self.send("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.send("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.send("PUT", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.send("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> Reply:
        return self.send("DELETE", path, **options)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
        tamper: dict[str, str] | None = None,
    ) -> Reply:
        """`headers` are signed with the rest; `tamper` are put on afterwards, as an attacker would."""
        path = path if path.startswith("/") else f"/api/v1/{path}"
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        lines = {"Host": HOST, **({"Content-Type": "application/json"} if content else {}), **(headers or {})}
        if self.key is not None:
            lines["X-Amz-Nonce"] = secrets.token_hex(8)  # two equal requests in one second stay two requests
            lines = signed(self.key, method, path, content, lines)
        elif method != "GET" and "X-CSRFToken" not in lines:
            lines["X-CSRFToken"] = csrf_of(self.client)
        return self.replay(method, path, content, {**lines, **(tamper or {})})

    def replay(self, method: str, path: str, content: bytes, lines: dict[str, str]) -> Reply:
        """Exactly this request, whoever made it."""
        environ = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in lines.items() if k.lower() != "content-type"}
        media_type = next((v for k, v in lines.items() if k.lower() == "content-type"), "")
        if media_type:
            environ["CONTENT_TYPE"] = media_type  # the client drops it where there is no body
        self.client.raise_request_exception = False
        answer = self.client.generic(method, path, content, content_type=media_type, **environ)
        return Reply(answer.status_code, {k.lower(): v for k, v in answer.items()}, answer.content)


def signed(key: tuple[str, str], method: str, path: str, content: bytes, lines: dict[str, str]) -> dict[str, str]:
    """The headers of a request signed with an access key."""
    request = AWSRequest(method, settings.PUBLIC_URL + path, headers=lines, data=content)
    SigV4Auth(Credentials(*key), "bedrock-agentcore", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def csrf_of(browser: Client) -> str:
    """The token a page of ours would hold: the cookie's own secret is accepted as one."""
    from django.middleware.csrf import _get_new_csrf_string

    if settings.CSRF_COOKIE_NAME not in browser.cookies:
        browser.cookies[settings.CSRF_COOKIE_NAME] = _get_new_csrf_string()
    return browser.cookies[settings.CSRF_COOKIE_NAME].value


def must(reply: Reply) -> Any:
    assert reply.status < 300, (reply.status, reply.body[:500])
    return reply.json
