"""The hot calls without a web server in between, and the one statement each of them makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.authn.caller import Caller, CallerKind
from apps.broker import contracts as c
from apps.broker.hot_path import fast
from apps.broker.run import run
from apps.core.secret import Secret
from benchmarks.issuer import Issuer
from benchmarks.manifest import API_KEY_PROVIDER, SCOPE, Manifest, Tenant, Token, provider_name

Statement = tuple[str, Sequence[Any]]


@dataclass(frozen=True)
class Calls:
    """Commands as an agent's application gives them. Without an issuer there is no `mint`."""

    manifest: Manifest
    issuer: Issuer | None = None

    def fetch(self, token: Token, provider: str = provider_name(0)) -> Any:
        command = c.FetchOAuthToken(
            workload_token=Secret(token.text), provider=provider, scopes=(SCOPE,), flow=c.Flow.USER_FEDERATION
        )
        return run(command, self._caller(token))

    def api_key(self, token: Token) -> Any:
        command = c.FetchApiKey(workload_token=Secret(token.text), provider=API_KEY_PROVIDER)
        return run(command, self._caller(token))

    def mint(self, token: Token) -> Any:
        assert self.issuer is not None
        command = c.IssueWorkloadTokenForJwt(agent=token.agent, jwt=Secret(self.issuer.token(token.user)))
        return run(command, self._caller(token))

    def _caller(self, token: Token) -> Caller:
        return caller_of(self.manifest.tenants[token.tenant])


def caller_of(tenant: Tenant) -> Caller:
    return Caller(
        tenant_id=UUID(tenant.id),
        account_id=tenant.account_id,
        kind=CallerKind.ACCESS_KEY,
        name=tenant.key_id,
        row_id=UUID(tenant.key_row),
        proof="sigv4",
        request_id="00000000-0000-4000-8000-000000000000",
        source_ip="127.0.0.1",
        region="us-east-1",
    )


@contextmanager
def overheard() -> Iterator[list[Statement]]:
    """Collect the statements the hot path sends, with their values."""
    heard: list[Statement] = []
    real = fast.one_row

    def listening(statement: str, values: Sequence[Any]) -> Any:
        heard.append((statement, values))
        return real(statement, values)

    fast.one_row = listening
    try:
        yield heard
    finally:
        fast.one_row = real
