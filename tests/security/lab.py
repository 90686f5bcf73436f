"""A tenant ready to be attacked: an agent, Demo Hub as its provider, an API key, and a neighbour that mirrors it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from apps.broker.run import run
from apps.core.secret import Secret
from tests.conftest import TenantHandle
from tests.security import oracle
from tests.security.wire import Reply, Wire

RETURN = "http://127.0.0.1:9/cb"
_users = itertools.count(1)
PASSWORD = "correct horse battery staple 7"


@dataclass
class Flow:
    """One consent request, as the application that opened it remembers it."""

    wat: str
    user: str
    session_uri: str
    url: str
    asked: dict[str, Any] = field(default_factory=dict)

    @property
    def ticket(self) -> str:
        return self.url.rsplit("/", 1)[1]


class Lab:
    """One tenant at the running portal, with what its users, administrators and people do."""

    def __init__(self, portal: Any, hub: Any, **tenant: bool) -> None:
        self.portal, self.hub = portal, hub
        self.tenant: TenantHandle = portal.new_tenant(**{"dev": True, **tenant})
        self.wire = Wire(portal.url, self.tenant.access_key_id, self.tenant.secret_access_key)
        self.client = hub.register_client(name="Portal", redirect_uris=["http://127.0.0.1:9/none"])
        self.api_key = hub.create_api_key()
        must(self.wire.call("CreateWorkloadIdentity", {"name": "bot", "allowedResourceOauth2ReturnUrls": [RETURN]}))
        made = must(self.wire.call("CreateOauth2CredentialProvider", self.provider_input()))
        self.callback_url: str = made["callbackUrl"]
        hub.change_client(self.client, redirect_uris=[self.callback_url])
        must(self.wire.call("CreateApiKeyCredentialProvider", {"name": "weather", "apiKey": self.api_key}))

    # --- configuration ----------------------------------------------------------------------------------------

    def provider_input(self, name: str = "hub", *, client: Any = None, secret: str | None = None, **config: Any) -> Any:
        """The members of a CreateOauth2CredentialProvider for Demo Hub."""
        client = client or self.client
        settings: dict[str, Any] = {
            "oauthDiscovery": {"discoveryUrl": f"{self.hub.url}/.well-known/openid-configuration"},
            "clientId": client.client_id,
            "clientSecret": client.client_secret if secret is None else secret,
            **config,
        }
        return {
            "name": name,
            "credentialProviderVendor": "CustomOauth2",
            "oauth2ProviderConfigInput": {
                "customOauth2ProviderConfig": {key: value for key, value in settings.items() if value is not None}
            },
        }

    def add_provider(self, name: str, **client: Any) -> tuple[Any, str]:
        """Another provider at Demo Hub with a client of its own. Returns the client and the callback URL."""
        made = self.hub.register_client(name=name, redirect_uris=["http://127.0.0.1:9/none"], **client)
        callback = must(self.wire.call("CreateOauth2CredentialProvider", self.provider_input(name, client=made)))[
            "callbackUrl"
        ]
        self.hub.change_client(made, redirect_uris=[callback])
        return made, callback

    def add_agent(self, name: str) -> None:
        must(self.wire.call("CreateWorkloadIdentity", {"name": name, "allowedResourceOauth2ReturnUrls": [RETURN]}))

    def run(self, command: Any, **caller: Any) -> Any:
        """A command of the tenant's owner, as the console would give it."""
        return run(command, self.admin(**caller))

    def admin(self, **changes: Any) -> Any:
        """A signed-in owner of the tenant."""
        from apps.authn.caller import CallerKind

        return self.tenant.caller(
            kind=CallerKind.PERSON, name=str(self.owner.id), row_id=self.owner.id, proof="session", **changes
        )

    @cached_property
    def owner(self) -> Any:
        return self.member("tenant_owner", signs_in=False)

    def member(self, role: str = "end_user", *, linked_to: str | None = None, signs_in: bool = True) -> Any:
        """A portal account in this tenant; `linked_to` is the user id it is. Hashing a password takes its time."""
        from apps.authn.caller import CallerKind
        from apps.broker import contracts as c

        email = f"person{next(_users)}-{self.tenant.slug}@example.org"
        system = self.tenant.caller(kind=CallerKind.SYSTEM, name="tests", row_id=None, proof="local")
        user = run(c.AddMember(email=email, role=role, password=Secret(PASSWORD) if signs_in else None), system)
        if linked_to is not None:
            run(c.LinkPrincipal(email=email, user_id=linked_to), system)
        return user

    def key(self, *grants: tuple[str, str], **options: Any) -> Wire:
        """Another access key of the tenant, with these permissions."""
        from apps.broker import contracts as c

        made = self.run(c.CreateAccessKey(label="test", grants=grants, **options))
        return Wire(self.portal.url, made.access_key_id, made.secret_access_key.reveal())

    def arn(self, path: str) -> str:
        return f"arn:aws:bedrock-agentcore:us-east-1:{self.tenant.account_id}:{path}"

    # --- what applications do ---------------------------------------------------------------------------------

    def new_user(self) -> str:
        return f"user-{next(_users)}"

    def wat(self, user: str | None = None, agent: str = "bot", *, wire: Wire | None = None) -> str:
        """A workload access token for this user, or for the agent itself."""
        wire = wire or self.wire
        if user is None:
            return must(wire.call("GetWorkloadAccessToken", {"workloadName": agent}))["workloadAccessToken"]
        members = {"workloadName": agent, "userId": user}
        return must(wire.call("GetWorkloadAccessTokenForUserId", members))["workloadAccessToken"]

    def ask(self, wat: str, scopes: Iterable[str] = ("repo:read",), *, wire: Wire | None = None, **more: Any) -> Reply:
        """GetResourceOauth2Token, as it comes."""
        members = {
            "workloadIdentityToken": wat,
            "resourceCredentialProviderName": "hub",
            "scopes": list(scopes),
            "oauth2Flow": "USER_FEDERATION",
            **more,
        }
        return (wire or self.wire).call("GetResourceOauth2Token", members)

    def ask_api_key(self, wat: str, *, wire: Wire | None = None, name: str = "weather") -> Reply:
        members = {"workloadIdentityToken": wat, "resourceCredentialProviderName": name}
        return (wire or self.wire).call("GetResourceApiKey", members)

    def start(
        self, user: str | None = None, scopes: Iterable[str] = ("repo:read",), *, agent: str = "bot", **more: Any
    ) -> Flow:
        """Open a consent request; application-verified unless `resourceOauth2ReturnUrl=None`."""
        user = user or self.new_user()
        wat = self.wat(user, agent)
        asked = {"resourceOauth2ReturnUrl": RETURN, **more, "scopes": list(scopes)}
        asked = {key: value for key, value in asked.items() if value is not None}
        found = must(self.ask(wat, **asked))
        assert "accessToken" not in found
        return Flow(wat, user, found["sessionUri"], found["authorizationUrl"], asked)

    def poll(self, flow: Flow, **more: Any) -> Reply:
        return self.ask(flow.wat, **{**flow.asked, "sessionUri": flow.session_uri, **more})

    def complete(self, flow: Flow, *, wire: Wire | None = None, **identifier: str) -> Reply:
        """CompleteResourceTokenAuth for the flow's own user, unless told otherwise."""
        members = {"sessionUri": flow.session_uri, "userIdentifier": identifier or {"userId": flow.user}}
        return (wire or self.wire).call("CompleteResourceTokenAuth", members)

    # --- what people do ---------------------------------------------------------------------------------------

    def browser(self, name: str = "dana", *, account: Any = None) -> Any:
        """A fresh browser of one of Demo Hub's people; `account` is the portal account they know."""
        person = self.hub.person(name, stop_at=[RETURN])
        if account is not None:
            person.knows_login(self.portal.url, account.email, PASSWORD)
        return person

    @cached_property
    def dana(self) -> Any:
        """One browser that is reused where it does not matter."""
        return self.browser()

    def to_callback(self, flow: Flow, browser: Any = None, callback: str | None = None) -> str:
        """Consent at the portal and at the provider. Returns the address the provider sent the browser to, unopened."""
        browser = browser or self.dana
        with _stopping(browser, callback or self.callback_url):
            browser.open(flow.url)
            page = browser.walk()
        assert page.url.startswith(callback or self.callback_url), (page.url, page.status, page.title)
        return page.url

    def consent(self, flow: Flow, browser: Any = None) -> Any:
        """The whole way, back to the application. Returns the last page."""
        browser = browser or self.dana
        return browser.open(self.to_callback(flow, browser))

    def connect(self, user: str | None = None, scopes: Iterable[str] = ("repo:read",), **more: Any) -> Flow:
        """A finished consent: the agent has a token for this user. The flow's `asked` names no return URL any more."""
        flow = self.start(user, scopes, **more)
        page = self.consent(flow)
        assert page.url.startswith(RETURN), (page.url, page.status, page.title)
        must(self.complete(flow))
        flow.asked.pop("resourceOauth2ReturnUrl", None)
        return flow

    def works(self, **more: Any) -> None:
        """The oracle of every negative case: the same thing without the fault succeeds."""
        flow = self.connect(**more)
        assert must(self.ask(flow.wat, **{**flow.asked, "forceAuthentication": False}))["accessToken"]

    # --- what happened ----------------------------------------------------------------------------------------

    @contextmanager
    def refuses(self, reason: str | set[str] | None, **more: Any) -> Iterator[oracle.Watch]:
        with oracle.refused(self.tenant, *more.pop("neighbours", ()), reason=reason, hub=self.hub, **more) as watch:
            yield watch

    @contextmanager
    def watching(self, *neighbours: Any) -> Iterator[oracle.Watch]:
        with oracle.watching(self.tenant, *neighbours, hub=self.hub) as watch:
            yield watch

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of this tenant as the owner sees them. The query's last placeholder is the tenant."""
        return oracle.execute(query, *values, self.tenant.id)


def must(reply: Reply) -> Any:
    """The answer of a call that has to succeed."""
    assert reply.status in (200, 201, 202, 204), (reply.status, reply.code, reply.body[:500])
    return reply.json


def denied(reply: Reply, status: int, code: str) -> Reply:
    """A modelled refusal."""
    assert (reply.status, reply.code) == (status, code), (reply.status, reply.code, reply.body[:500])
    return reply


@contextmanager
def _stopping(browser: Any, prefix: str) -> Iterator[None]:
    before = list(browser.stop_at)
    browser.stop_at = [*before, prefix]
    try:
        yield
    finally:
        browser.stop_at = before


def host(url: str) -> str:
    return urlsplit(url).netloc


def log_of(portal: Any) -> str:
    """What the portal's processes wrote so far; the fixture's file has no name any more, the process still has it."""
    from pathlib import Path

    return Path(f"/proc/{portal.pid}/fd/1").read_text(errors="replace")
