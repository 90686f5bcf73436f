"""Requests that no honest client sends, over a plain socket to a running portal."""

from __future__ import annotations

import http.client
import json
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CREATE = "/identities/CreateWorkloadIdentity"
GET = "/identities/GetWorkloadIdentity"


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return self.headers.get("x-amzn-errortype", "")

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Request:
    """A signed request whose parts can be spoilt before it is sent."""

    url: str
    method: str
    target: str
    body: bytes
    lines: list[tuple[str, str]] = field(default_factory=list)

    def send(self) -> Reply:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        connection.putrequest(self.method, self.target, skip_host=True, skip_accept_encoding=True)
        for name, value in self.lines:
            connection.putheader(name, value)
        connection.endheaders(self.body or None)
        answer = connection.getresponse()
        reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return reply

    def line(self, name: str) -> str:
        return next(value for key, value in self.lines if key.lower() == name.lower())


def sign(
    portal: Any,
    tenant: Any,
    target: str,
    members: Any = None,
    *,
    method: str = "POST",
    body: bytes | None = None,
    invocation: str | None = None,
    headers: dict[str, str] | None = None,
) -> Request:
    content = json.dumps(members).encode() if body is None else body
    given = {"Content-Type": "application/json", **(headers or {})} if content else dict(headers or {})
    aws = AWSRequest(method, portal.url + target, headers=given, data=content)
    SigV4Auth(Credentials(tenant.access_key_id, tenant.secret_access_key), "bedrock-agentcore", "local").add_auth(aws)
    lines = [
        ("Host", urlsplit(portal.url).netloc),
        *aws.headers.items(),
        ("amz-sdk-invocation-id", invocation or str(uuid.uuid4())),
        ("amz-sdk-request", "attempt=1"),
        ("Content-Length", str(len(content))),
    ]
    return Request(portal.url, method, target, content, lines)


def exists(portal: Any, tenant: Any, name: str) -> bool:
    return sign(portal, tenant, GET, {"name": name}).send().status == 200


@pytest.mark.case("T030")
def test_T030_a_repeated_change_gets_its_first_answer_and_has_no_second_effect(portal: Any, tenant: Any) -> None:
    request = sign(portal, tenant, CREATE, {"name": "agent-1"})
    first = request.send()
    assert first.status == 201
    sign(portal, tenant, "/identities/DeleteWorkloadIdentity", {"name": "agent-1"}).send()
    again = request.send()
    assert (again.status, again.body) == (201, first.body)
    assert not exists(portal, tenant, "agent-1"), "the repetition made nothing"
    assert again.headers["x-amzn-requestid"] != first.headers["x-amzn-requestid"]


@pytest.mark.case("T030")
def test_T030_a_retry_with_a_new_signature_is_known_by_its_invocation_id(portal: Any, tenant: Any) -> None:
    invocation = str(uuid.uuid4())
    answers = [
        sign(portal, tenant, CREATE, {"name": "agent-1"}, invocation=invocation, headers={"X-Amz-Try": str(n)}).send()
        for n in range(3)
    ]
    assert [answer.status for answer in answers] == [201, 201, 201]
    assert sign(portal, tenant, CREATE, {"name": "agent-1"}).send().code == "ConflictException"
    other = sign(portal, tenant, CREATE, {"name": "agent-2"}, invocation=invocation).send()
    assert other.status == 201 and other.json()["name"] == "agent-2", "another body is another request"


@pytest.mark.case("T030")
def test_T030_a_repeated_refusal_stays_a_refusal(portal: Any, tenant: Any) -> None:
    request = sign(portal, tenant, "/identities/DeleteWorkloadIdentity", {"name": "agent-1"})
    assert request.send().code == "ResourceNotFoundException"
    assert sign(portal, tenant, CREATE, {"name": "agent-1"}).send().status == 201
    again = request.send()
    assert (again.status, again.code) == (404, "ResourceNotFoundException")
    assert exists(portal, tenant, "agent-1")


@pytest.mark.case("T030")
def test_T030_reads_may_repeat(portal: Any, tenant: Any) -> None:
    sign(portal, tenant, CREATE, {"name": "agent-1"}).send()
    request = sign(portal, tenant, GET, {"name": "agent-1"})
    assert [request.send().status for _ in range(3)] == [200, 200, 200]


@pytest.mark.case("T031")
@pytest.mark.parametrize("name", ["Authorization", "X-Amz-Date", "Host", "X-Amz-Content-SHA256"])
@pytest.mark.parametrize("same", [True, False])
def test_T031_duplicated_headers_are_refused(portal: Any, tenant: Any, name: str, same: bool) -> None:
    from hashlib import sha256

    body = b'{"name": "agent-1"}'
    request = sign(portal, tenant, CREATE, body=body, headers={"X-Amz-Content-SHA256": sha256(body).hexdigest()})
    request.lines.append((name, request.line(name) if same else "other"))
    reply = request.send()
    assert reply.status == 400
    assert not exists(portal, tenant, "agent-1")


@pytest.mark.case("T033")
@pytest.mark.parametrize(
    "sent",
    [
        "/identities//CreateWorkloadIdentity",
        "//identities/CreateWorkloadIdentity",
        "/identities/./CreateWorkloadIdentity",
        "/identities/x/../CreateWorkloadIdentity",
        "/identities/%2e%2e/identities/CreateWorkloadIdentity",
        "/identities/CreateWorkloadIdentity/",
        "/Identities/CreateWorkloadIdentity",
    ],
)
def test_T033_other_spellings_of_a_path_reach_no_handler(portal: Any, tenant: Any, sent: str) -> None:
    request = sign(portal, tenant, CREATE, {"name": "agent-1"})
    request.target = sent
    assert request.send().status in (400, 401, 403, 404)
    assert not exists(portal, tenant, "agent-1")


@pytest.mark.case("T034")
def test_T034_presigned_requests_are_refused(portal: Any, tenant: Any) -> None:
    request = sign(portal, tenant, GET, {"name": "agent-1"})
    request.target += "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=abc"
    reply = request.send()
    assert (reply.status, reply.code) == (400, "ValidationException")


@pytest.mark.case("T037")
def test_T037_the_body_is_what_was_signed(portal: Any, tenant: Any) -> None:
    request = sign(portal, tenant, CREATE, {"name": "agent-1"})
    request.body = request.body.replace(b"agent-1", b"agent-2")
    assert (request.send().status, exists(portal, tenant, "agent-2")) == (401, False)
    chunked = sign(portal, tenant, CREATE, {"name": "agent-3"})
    chunked.lines = [line for line in chunked.lines if line[0] != "Content-Length"]
    chunked.lines.append(("Transfer-Encoding", "chunked"))
    chunked.body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(chunked.body), chunked.body)
    assert (chunked.send().status, exists(portal, tenant, "agent-3")) == (401, False)


@pytest.mark.case("T040")
@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Original-URL", "X-Rewrite-Url", "X-Method-Override"])
def test_T040_override_headers_are_ignored(portal: Any, tenant: Any, name: str) -> None:
    request = sign(portal, tenant, CREATE, {"name": "agent-1"})
    value = "DELETE" if "Method" in name else "/identities/DeleteWorkloadIdentity"
    request.lines.append((name, value))
    assert request.send().status == 201
    assert exists(portal, tenant, "agent-1")


@pytest.mark.case("T089")
def test_T089_a_member_the_operation_does_not_have_is_refused(portal: Any, tenant: Any) -> None:
    reply = sign(portal, tenant, CREATE, {"name": "agent-1", "tenant_id": str(uuid.uuid4())}).send()
    assert (reply.status, reply.code) == (400, "ValidationException")
    assert reply.json()["fieldList"][0]["name"] == "tenant_id"
    assert not exists(portal, tenant, "agent-1")


@pytest.mark.case("T090")
def test_T090_headers_name_neither_tenant_nor_host(portal: Any, tenant: Any) -> None:
    other = portal.new_tenant()
    request = sign(portal, tenant, CREATE, {"name": "agent-1"})
    request.lines += [
        ("X-Tenant-Id", other.slug),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("Forwarded", "host=evil.example"),
        ("X-Real-IP", "1.2.3.4"),
    ]
    assert request.send().status == 201
    assert exists(portal, tenant, "agent-1") and not exists(portal, other, "agent-1")
    foreign = sign(portal, tenant, GET, {"name": "agent-1"}, headers={})
    foreign.lines = [("Host", "evil.example") if name == "Host" else (name, value) for name, value in foreign.lines]
    assert foreign.send().status == 400


@pytest.mark.case("T111")
@pytest.mark.parametrize(
    "body", [b"[]", b"null", b"{", b'{"name": "a", "name": "b"}', b'{"name": NaN}', b"\xff", b"[" * 100_000]
)
def test_T111_malformed_json_is_a_validation_error(portal: Any, tenant: Any, body: bytes) -> None:
    reply = sign(portal, tenant, CREATE, body=body).send()
    assert (reply.status, reply.code, reply.json()["reason"]) == (400, "ValidationException", "CannotParse")


@pytest.mark.case("T113")
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
        "application/json;charset=utf-7",
        "json",
    ],
)
def test_T113_only_json_is_read(portal: Any, tenant: Any, kind: str) -> None:
    good = {"Content-Type": "application/json; charset=utf-8"}
    assert sign(portal, tenant, CREATE, {"name": "agent-1"}, headers=good).send().status == 201
    reply = sign(portal, tenant, CREATE, {"name": "agent-2"}, headers={"Content-Type": kind}).send()
    assert (reply.status, reply.code) == (400, "ValidationException")
    assert not exists(portal, tenant, "agent-2")


@pytest.mark.case("T113")
def test_T113_large_and_compressed_bodies_are_refused(portal: Any, tenant: Any) -> None:
    large = sign(portal, tenant, CREATE, {"name": "agent-1", "tags": {"a": "x" * 300_000}}).send()
    assert (large.status, large.code) == (400, "ValidationException")
    squeezed = sign(portal, tenant, CREATE, {"name": "agent-1"}, headers={"Content-Encoding": "gzip"}).send()
    assert (squeezed.status, squeezed.code) == (400, "ValidationException")
    assert not exists(portal, tenant, "agent-1")


@pytest.mark.case("T114")
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE", "PATCH", "TRACE", "OPTIONS", "FOO"])
def test_T114_other_methods_reach_no_handler(portal: Any, tenant: Any, method: str) -> None:
    reply = sign(portal, tenant, CREATE, {"name": "agent-1"}, method=method).send()
    assert reply.status in (400, 404, 405)
    assert "access-control-allow-origin" not in reply.headers
    assert not exists(portal, tenant, "agent-1")


def test_a_member_of_older_models_is_read_past(portal: Any, tenant: Any) -> None:
    members = {
        "workloadIdentityToken": "x",
        "resourceCredentialProviderName": "gh",
        "scopes": [],
        "oauth2Flow": "M2M",
        "userId": "u1",
    }
    reply = sign(portal, tenant, "/identities/oauth2/token", members).send()
    assert reply.code == "UnauthorizedException", "the workload token is what is wrong, not the extra member"


def test_every_answer_has_a_request_id_of_its_own(portal: Any, tenant: Any) -> None:
    sign(portal, tenant, CREATE, {"name": "agent-1"}).send()
    request = sign(portal, tenant, GET, {"name": "agent-1"})
    spoilt = sign(portal, tenant, GET, {"name": "agent-1"})
    spoilt.body = spoilt.body.replace(b"1", b"2")
    replies = [request.send(), request.send(), spoilt.send(), sign(portal, tenant, "/identities/nothing", {}).send()]
    assert [reply.status for reply in replies] == [200, 200, 401, 404]
    assert len({reply.headers["x-amzn-requestid"] for reply in replies}) == 4
    assert all(reply.headers["content-type"] == "application/json" for reply in replies)
