"""Signed requests to the portal, whole or spoilt, over a socket of their own each; and the same without a server."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import uuid
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from apps.entrypoints.aws_wire.contract import CONTRACT

REGION = "us-east-1"


@dataclass(frozen=True)
class Reply:
    """What came back. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The modelled exception's name; empty for a success."""
        return self.headers.get("x-amzn-errortype", "")

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else {}

    @property
    def comparable(self) -> tuple[int, bytes, dict[str, str]]:
        """Everything a caller can see, without what names this one request."""
        ours = {k: v for k, v in self.headers.items() if k not in ("x-amzn-requestid", "date")}
        return self.status, self.body, ours

    def __getitem__(self, member: str) -> Any:
        return self.json[member]


@dataclass(frozen=True)
class Signed:
    """One signed request. Its parts can be exchanged after signing, which is what an attacker does."""

    url: str
    method: str
    target: str
    body: bytes
    lines: tuple[tuple[str, str], ...] = field(default=())

    def line(self, name: str) -> str:
        return next(value for key, value in self.lines if key.lower() == name.lower())

    def with_line(self, name: str, value: str) -> Signed:
        """One more header line, unsigned."""
        return replace(self, lines=(*self.lines, (name, value)))

    def instead(self, name: str, value: str) -> Signed:
        """Another value for a header line."""
        return replace(self, lines=tuple((k, value if k.lower() == name.lower() else v) for k, v in self.lines))

    def send(self) -> Reply:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=40)
        try:
            connection.putrequest(self.method, self.target, skip_host=True, skip_accept_encoding=True)
            for name, value in self.lines:
                connection.putheader(name, value)
            # A body that is too large is answered before it was read.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.endheaders(self.body or None)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def send_here(self) -> Reply:
        """Answered inside this process: for what needs this process's clock, settings or query log."""
        from apps.entrypoints.aws_wire.view import answer

        path, _, query = self.target.partition("?")
        from urllib.parse import unquote_to_bytes

        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "RAW_URI": self.target,
            "QUERY_STRING": query,
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.input": io.BytesIO(self.body),
        }
        for name, value in self.lines:
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        found = answer(environ, lambda: self.body)
        return Reply(found.status, {k.lower(): v for k, v in found.headers.items()}, found.body)


class Wire:
    """One access key at one portal. `call` sends an operation of the contract."""

    def __init__(self, url: str, key_id: str, secret: str, *, prefix: str = "", here: bool = False) -> None:
        self.url, self.key_id, self.secret, self.prefix, self.here = url, key_id, secret, prefix, here

    def call(self, operation: str, members: dict[str, Any] | None = None, **options: Any) -> Reply:
        signed = self.sign(operation, members, **options)
        return signed.send_here() if self.here else signed.send()

    def sign(self, operation: str, members: dict[str, Any] | None = None, **options: Any) -> Signed:
        spec = CONTRACT.operations[operation]
        path, query, body = spec.path, [], dict(members or {})
        for member in spec.input.members.values() if spec.input else ():
            if member.location == "uri" and member.name in body:
                path = path.replace(f"{{{member.name}}}", quote(body.pop(member.name), safe=""))
            elif member.location == "querystring" and member.name in body:
                given = body.pop(member.name)
                query += [(member.wire_name, value) for value in (given if isinstance(given, list) else [given])]
        target = path + (
            "?" + "&".join(f"{quote(k, safe='')}={quote(str(v), safe='')}" for k, v in query) if query else ""
        )
        empty = spec.method in ("GET", "DELETE") and not body
        return self.sign_raw(spec.method, target, b"" if empty else json.dumps(body).encode(), **options)

    def sign_raw(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        invocation: str | None = None,
        headers: dict[str, str] | None = None,
        service: str = "bedrock-agentcore",
    ) -> Signed:
        target = self.prefix + target
        given = {"Content-Type": "application/json"} if body else {}
        # Signed, as clients do: so that the same call a moment later is another request.
        given |= {"amz-sdk-invocation-id": invocation or str(uuid.uuid4()), "amz-sdk-request": "attempt=1"}
        aws = AWSRequest(method, self.url + target, headers={**given, **(headers or {})}, data=body)
        SigV4Auth(Credentials(self.key_id, self.secret), service, REGION).add_auth(aws)
        lines = (
            ("Host", urlsplit(self.url).netloc),
            *aws.headers.items(),
            ("Content-Length", str(len(body))),
        )
        return Signed(self.url, method, target, body, lines)
