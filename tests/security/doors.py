"""An agent with a door: a tenant, an issuer, an authorizer, and the gateway that asks the portal."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import Client

from apps.authn.caller import CallerKind
from apps.broker.inbound import contracts as c
from apps.broker.run import run
from tests.fakes.issuer import AUDIENCE, CLIENT, Issuer
from tests.security import oracle

_names = itertools.count(1)


class Door:
    """One agent behind an authorizer, asked about over HTTP as a gateway asks."""

    def __init__(self, tenant: Any, issuer: Issuer, *, kind: str = "CUSTOM_JWT", **settings: Any) -> None:
        from apps.broker.contracts import CreateAgent

        self.tenant, self.issuer = tenant, issuer
        self.agent = f"bot{next(_names)}"
        self.http = Client()
        self.owner = tenant.caller()
        run(CreateAgent(name=self.agent), self.owner)
        self.kind = kind
        self.set(**settings)
        self.key = run(c.CreateGatewayKey(agent=self.agent, label="edge"), self.owner).key.reveal()

    def set(self, *, issuers: tuple[c.IssuerSettings, ...] | None = None, **settings: Any) -> c.AuthorizerView:
        """Set the authorizer; members of an issuer go to the one issuer there usually is."""
        members = {name: settings.pop(name) for name in list(settings) if name in c.IssuerSettings.__slots__}
        if issuers is None:
            issuers = (self.issuer_settings(**members),) if self.kind == "CUSTOM_JWT" else ()
        return run(
            c.SetAuthorizer(
                agent=self.agent, settings=c.AuthorizerSettings(kind=self.kind, issuers=issuers, **settings)
            ),
            self.owner,
        )

    def issuer_settings(self, issuer: Issuer | None = None, **members: Any) -> c.IssuerSettings:
        usual = {"audiences": (AUDIENCE,), "discovery_url": (issuer or self.issuer).discovery_url}
        return c.IssuerSettings(**{**usual, **members})

    @property
    def arn(self) -> str:
        return f"arn:aws:bedrock-agentcore:local:{self.tenant.account_id}:runtime/{self.agent}"

    # --- asking ------------------------------------------------------------------------------------------------

    def post(self, body: Any, *, key: str | None = None) -> Any:
        """The authorize call, as it comes back."""
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.http.post(
            "/api/v1/authorize",
            text,
            content_type="application/json",
            headers={"Authorization": f"Bearer {key or self.key}"},
        )

    def ask(self, token: str | None, **more: Any) -> dict[str, Any]:
        """The answer to whether this token may reach the agent."""
        members = {"agent": self.agent, **({} if token is None else {"token": token}), **more}
        answer = self.post(members)
        assert answer.status_code == 200, (answer.status_code, answer.content)
        return answer.json()

    def knock(self, authorization: str | None, *, key: str | None = None, **headers: str) -> Any:
        """The forward-auth check, as a proxy makes it."""
        headers = {"X-Portal-Gateway-Key": key or self.key, **headers}
        if authorization is not None:
            headers["Authorization"] = authorization
        return self.http.get("/forward-auth", headers=headers)

    # --- oracles -----------------------------------------------------------------------------------------------

    @contextmanager
    def refuses(self, reason: str | set[str], *, fetches: bool = False) -> Iterator[oracle.Watch]:
        """The block is one refused attempt: nothing stored, one record, and nobody asked unless `fetches`."""
        before = len(self.issuer.requests)
        with oracle.refused(self.tenant, reason=reason) as watch:
            yield watch
        if not fetches:
            assert self.issuer.requests[before:] == [], "the issuer was asked although refused"

    def denies(
        self, token: str | None, reason: str | set[str], status: int, *, fetches: bool = False
    ) -> dict[str, Any]:
        """This token is refused for this reason with this status, and a good one passes before and after."""
        self.admits(self.issuer.token())
        with self.refuses(reason, fetches=fetches):
            answer = self.ask(token)
        assert (answer["decision"], answer["status"]) == ("deny", status), answer
        assert answer["reason"] in (reason if isinstance(reason, set) else {reason})
        assert "workload_token" not in answer
        self.admits(self.issuer.token())
        return answer

    def admits(self, token: str) -> dict[str, Any]:
        answer = self.ask(token)
        assert answer["decision"] == "allow", answer
        return answer


def random_kid() -> str:
    return secrets.token_hex(8)


def owner(tenant: Any) -> Any:
    return tenant.caller(kind=CallerKind.SYSTEM, name="tests", row_id=None, proof="local")


__all__ = ["AUDIENCE", "CLIENT", "Door", "owner", "random_kid"]
