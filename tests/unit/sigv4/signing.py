"""An honest client to test against: requests signed by botocore, the signer inside boto3 and the AWS CLI."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import time_machine
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from apps.authn.sigv4 import RawRequest, derive_signing_key, parse, verify
from apps.core.secret import Secret

KEY_ID = "IPAKAAAAAAABCDEFGHIJKLMN"
SECRET = "kT9dY2mZ-test-only-secret-0123456789"
NOW = datetime(2026, 11, 23, 18, 7, 32, tzinfo=UTC)
HOST = "portal.example:8443"

# What botocore and urllib3 add after signing; none of it is covered by the signature.
UNSIGNED = [
    ("User-Agent", "Boto3/1.44.5 md/Botocore#1.44.5"),
    ("Accept-Encoding", "identity"),
    ("amz-sdk-invocation-id", "1d6e6f0e-8f0e-4c3b-9f6f-3d9c0a7c1a11"),
    ("amz-sdk-request", "attempt=1"),
    ("X-Amzn-Trace-Id", "Root=1-63441c4a-abcdef012345678912345678"),
]


def signed(
    method: str = "POST",
    target: str = "/identities/CreateWorkloadIdentity",
    body: bytes = b'{"name": "agent-1"}',
    *,
    at: datetime = NOW,
    region: str = "eu-local-1",
    service: str = "bedrock-agentcore",
    headers: dict[str, str] | None = None,
    token: str | None = None,
    key_id: str = KEY_ID,
) -> RawRequest:
    """A request as boto3 would put it on the wire. `target` is path and query, already encoded."""
    given = {"Content-Type": "application/json"} if body else {}
    given.update(headers or {})
    aws = AWSRequest(method, f"https://{HOST}{target}", headers=given, data=body)
    with time_machine.travel(at, tick=False):
        SigV4Auth(Credentials(key_id, SECRET, token), service, region).add_auth(aws)
    parts = urlsplit(target)
    lines = [("Host", HOST), *aws.headers.items(), *UNSIGNED]
    if body:
        lines.append(("Content-Length", str(len(body))))
    return RawRequest(method, parts.path, parts.query, lines, body)


def check(request: RawRequest, *, now: datetime = NOW) -> None:
    """What the portal's gate does with a request, with the right key."""
    parsed = parse(request)
    key = derive_signing_key(Secret(SECRET), parsed.date, parsed.region, parsed.service)
    verify(parsed, request, key, now=now)


def header(request: RawRequest, name: str) -> str:
    return next(value for key, value in request.headers if key.lower() == name.lower())


def with_header(request: RawRequest, name: str, value: str | None) -> RawRequest:
    """The same request with one header replaced, added, or (None) taken away, and nothing signed anew."""
    lines = [(key, old) for key, old in request.headers if key.lower() != name.lower()]
    return replace(request, headers=lines if value is None else [*lines, (name, value)])


def with_authorization(request: RawRequest, old: str, new: str) -> RawRequest:
    before = header(request, "Authorization")
    assert old in before, "the mutation must change something"
    return with_header(request, "Authorization", before.replace(old, new))
