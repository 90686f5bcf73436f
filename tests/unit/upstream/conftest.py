"""An honest provider to start from; each test bends one thing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from apps.core.net.guarded import GuardedTransport
from apps.core.secret import Secret
from apps.upstream.protocol.types import ClientCredentials, Endpoints
from tests.fakes.hostile_server import HostileServer

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ENDPOINTS = Endpoints(
    issuer="https://as.example.com",
    authorization_endpoint="https://as.example.com/authorize",
    token_endpoint="https://as.example.com/token",
    revocation_endpoint="https://as.example.com/revoke",
)
CLIENT = ClientCredentials("client-1", Secret("s3cret"), "client_secret_basic")
TENANT = "tenant-a"


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as running:
        yield running


@pytest.fixture
def transport(server: HostileServer) -> GuardedTransport:
    return GuardedTransport(allowed_private=frozenset({server.address}))


def endpoints_of(server: HostileServer, **changes: object) -> Endpoints:
    given: dict[str, object] = {
        "issuer": server.url("").rstrip("/"),
        "authorization_endpoint": server.url("/authorize"),
        "token_endpoint": server.url("/token"),
        "revocation_endpoint": server.url("/revoke"),
    }
    return Endpoints(**{**given, **changes})  # type: ignore[arg-type]
