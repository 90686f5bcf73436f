"""A tenant with an agent, a provider and people, and a browser in front of the public pages."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from apps.broker import contracts as c
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.connections.models import ConsentSession
from apps.core.secret import Secret
from apps.demo_hub.htmlform import Document
from apps.providers.models import Provider
from apps.tenants.models import User
from apps.tenants.scope import tenant_scope
from tests.support import rows

RETURN = "https://bot.example/cb?kept=1"
PASSWORD = "quiet harbour lantern"
LIMITS = "apps.entrypoints.consent.middleware.SessionLimitsMiddleware"


class World:
    """One tenant, made for one test."""

    def __init__(self, tenant: Any) -> None:
        self.tenant = tenant
        self.system = system_caller(tenant.tenant, "test")
        self.word = secrets.token_hex(4)
        run(c.CreateAgent(name="release-notes-bot", return_urls=(RETURN, "org.example.app:/cb")), tenant.caller())
        settings = c.OAuthSettings(vendor="GithubOauth2", client_id="client", client_secret=Secret("shh"))
        run(c.CreateOAuthProvider(name="github", settings=settings), tenant.caller())

    def email(self, who: str) -> str:
        return f"{who}.{self.word}@acme.example"

    def user(self, who: str, *, role: str = "end_user", linked: bool = True) -> User:
        add = c.AddMember(email=self.email(who), role=role, name=who.title(), password=Secret(PASSWORD))
        user: User = run(add, self.system)
        if linked:
            run(c.LinkPrincipal(email=self.email(who), user_id=who), self.system)
        return user

    def ask(self, who: str = "dana", *, scopes: tuple[str, ...] = ("repo",), **more: Any) -> c.ConsentNeeded:
        """An agent asks for a person's token. `return_url=None`: the portal has to know the person."""
        more.setdefault("return_url", RETURN)
        more.setdefault("provider", "github")
        agent = more.pop("agent", "release-notes-bot")
        token = run(c.IssueWorkloadTokenForUserId(agent=agent, user_id=who), self.tenant.caller())
        asked = c.FetchOAuthToken(workload_token=token, scopes=scopes, flow=c.Flow.USER_FEDERATION, **more)
        needed: c.ConsentNeeded = run(asked, self.tenant.caller())
        return needed

    def link(self, who: str = "dana", **more: Any) -> str:
        """The path of the consent page."""
        return urlsplit(self.ask(who, **more).authorization_url).path

    def session(self) -> ConsentSession:
        """The newest consent session, as it is stored."""
        with tenant_scope(self.tenant.id):
            return ConsentSession.objects.order_by("-created_at")[0]

    def sessions(self, **where: Any) -> list[ConsentSession]:
        return rows(self.tenant, ConsentSession, **where)

    def callback_path(self) -> str:
        (provider,) = rows(self.tenant, Provider, name="github")
        return f"/connect/callback/{provider.callback_id}"


@pytest.fixture
def world(new_tenant: Callable[..., Any]) -> World:
    return World(new_tenant())


@pytest.fixture
def dev_world(new_tenant: Callable[..., Any]) -> World:
    return World(new_tenant(dev=True))


@pytest.fixture(autouse=True)
def _as_served(settings: Any) -> None:
    """Static files come from where they were written, nothing was collected."""
    settings.STATIC_ROOT = None
    if LIMITS not in settings.MIDDLEWARE:
        after = settings.MIDDLEWARE.index("django.contrib.auth.middleware.AuthenticationMiddleware") + 1
        settings.MIDDLEWARE = [*settings.MIDDLEWARE[:after], LIMITS, *settings.MIDDLEWARE[after:]]


@pytest.fixture
def browser() -> Client:
    return Client()


@pytest.fixture
def other_browser() -> Client:
    return Client()


@pytest.fixture
def strict_browser() -> Client:
    """A browser whose forms need their CSRF token, as outside of tests."""
    return Client(enforce_csrf_checks=True)


def sign_in(browser: Client, world: World, who: str) -> Any:
    return browser.post("/signin/", {"email": world.email(who), "password": PASSWORD})


def seen(response: Any) -> Document:
    """The page, as far as a person sees it."""
    return Document(response.content.decode())


def text(response: Any, testid: str) -> str:
    (found,) = seen(response).testids[testid]
    return " ".join(found.split())


def problem(response: Any) -> tuple[int, str]:
    """Status and error code of a problem page, which has to say what to do and which request it was."""
    page = seen(response)
    assert page.testids["error-next"][0].strip() and page.testids["request-id"][0].strip()
    return response.status_code, text(response, "error-code")


def approve(browser: Client, link: str, **form: str) -> Any:
    return browser.post(f"{link}/decision", {"decision": "approve", "duration": "86400", **form})


def state_in(handover: Any) -> str:
    """The `state` on its way to the provider."""
    refresh = seen(handover).refresh
    assert refresh is not None
    return parse_qs(urlsplit(refresh[1]).query)["state"][0]
