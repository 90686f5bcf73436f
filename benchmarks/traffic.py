"""Signed requests as boto3 sends them, as raw bytes that are ready to be replayed."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.issuer import Issuer
from benchmarks.manifest import API_KEY_PROVIDER, PROVIDERS, SCOPE, Manifest, Tenant, provider_name

PATHS = {
    "fetch": "/identities/oauth2/token",
    "api_key": "/identities/api-key",
    "mint": "/identities/GetWorkloadAccessTokenForJWT",
}
ANSWERS = {"fetch": "accessToken", "api_key": "apiKey", "mint": "workloadAccessToken"}
_REGION = "us-east-1"
_AGENT = "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11.7 md/pyimpl#CPython"


class Traffic:
    """Bodies are made once; `signed()` signs them anew, as signatures are good for five minutes."""

    def __init__(self, manifest: Manifest, issuer: Issuer, *, count: int = 1_500, seed: int = 1) -> None:
        choose = random.Random(seed)
        tokens = [choose.choice(manifest.tokens) for _ in range(count)]
        self._tenants = [manifest.tenants[token.tenant] for token in tokens]
        people = {(token.tenant, token.user) for token in tokens}
        jwts = {person: issuer.token(person[1]) for person in people}
        self._bodies: dict[str, list[bytes]] = {
            "fetch": [
                _json(
                    workloadIdentityToken=token.text,
                    resourceCredentialProviderName=provider_name(choose.randrange(PROVIDERS)),
                    scopes=[SCOPE],
                    oauth2Flow="USER_FEDERATION",
                )
                for token in tokens
            ],
            "api_key": [
                _json(workloadIdentityToken=token.text, resourceCredentialProviderName=API_KEY_PROVIDER)
                for token in tokens
            ],
            "mint": [_json(workloadName=token.agent, userToken=jwts[(token.tenant, token.user)]) for token in tokens],
        }

    def signed(self, kind: str, url: str) -> list[bytes]:
        """The whole requests, signed now for this server."""
        return [
            raw_request(tenant, f"{url}{PATHS[kind]}", body)
            for tenant, body in zip(self._tenants, self._bodies[kind], strict=True)
        ]


def hello(url: str) -> list[bytes]:
    return [f"GET /hello HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nUser-Agent: {_AGENT}\r\n\r\n".encode()]


def raw_request(tenant: Tenant, url: str, body: bytes) -> bytes:
    """One POST, signed as this tenant."""
    request = AWSRequest(
        method="POST",
        url=url,
        data=body,
        headers={
            "Content-Type": "application/json",
            "User-Agent": _AGENT,
            "amz-sdk-invocation-id": str(uuid.uuid4()),
            "amz-sdk-request": "attempt=1",
        },
    )
    request.context["timestamp"] = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    SigV4Auth(Credentials(tenant.key_id, tenant.secret), "bedrock-agentcore", _REGION).add_auth(request)
    parts = urlsplit(url)
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in _lines(request.headers.items())]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def _lines(headers: Iterable[tuple[str, str | bytes]]) -> Iterable[tuple[str, str]]:
    for name, value in headers:
        yield name, value.decode() if isinstance(value, bytes) else value


def _json(**members: object) -> bytes:
    return json.dumps(members).encode()
