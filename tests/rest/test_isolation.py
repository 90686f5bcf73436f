"""Nothing of one tenant is reachable from another: every address, with every identifier the other one has.

Generated from the routes: an address with a label that has no entry here fails the day it appears.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.agents.models import Agent
from apps.authn.models import AccessKey, TrustedIssuer, WorkloadToken
from apps.connections.models import Connection, ConsentSession, Principal
from apps.providers.models import Provider
from apps.tenants.models import Membership
from apps.tenants.scope import tenant_scope
from tests.conftest import make_tenant
from tests.console.conftest import make_person
from tests.rest.api import Api, must
from tests.rest.routes import ROUTES, Route
from tests.walls.samples import SAMPLES

LABELLED = [route for route in ROUTES if route.labels]


class Theirs:
    """What another tenant has, by label of an address."""

    def __init__(self) -> None:
        self.tenant = make_tenant()
        theirs = Api.of(self.tenant)
        must(theirs.post("agents", {"name": "their-agent"}))
        github = {"vendor": "GithubOauth2", "client_id": "c", "client_secret": "s"}
        must(theirs.post("oauth-providers", {"name": "their-provider", **github}))
        must(theirs.post("api-key-providers", {"name": "their-provider", "api_key": "k"}))
        key = must(theirs.post("access-keys", {"label": "x"}))["access_key_id"]
        client = must(theirs.post("api-clients", {"name": "x", "scopes": ["agents:read"]}))["client_id"]
        gateway = must(theirs.post("agents/their-agent/gateway-keys", {}))["id"]
        self.member = make_person(self.tenant, "approver")
        with tenant_scope(self.tenant.id):
            connection = SAMPLES["connections.Connection"]()
            self.labels: dict[tuple[str, str], str] = {
                ("agents", "name"): "their-agent",
                ("oauth-providers", "name"): "their-provider",
                ("api-key-providers", "name"): "their-provider",
                ("providers", "provider_id"): str(Provider.objects.filter(name="their-provider")[0].id),
                ("connections", "connection_id"): str(connection.id),
                ("consent-sessions", "session_id"): str(SAMPLES["connections.ConsentSession"]().id),
                ("access-keys", "access_key_id"): key,
                ("api-clients", "client_id"): client,
                ("gateway-keys", "gateway_key_id"): gateway,
                ("trusted-issuers", "issuer_id"): str(SAMPLES["authn.TrustedIssuer"]().id),
                ("members", "user_id"): str(self.member.id),
                ("principals", "principal_id"): str(connection.principal_id),
            }

    def of(self, route: Route) -> dict[str, str]:
        return {label: self.labels[(route.path.split("/")[3], label)] for label in route.labels}

    def snapshot(self) -> Any:
        with tenant_scope(self.tenant.id):
            tables = (Agent, AccessKey, TrustedIssuer, WorkloadToken, Connection, ConsentSession, Principal, Provider)
            rows = [list(table.objects.order_by("id").values()) for table in tables]
        return rows, list(Membership.objects.filter(tenant_id=self.tenant.id).order_by("id").values())


def never(text: str) -> str:
    """Of the same form, and nobody's."""
    try:
        uuid.UUID(text)
        return str(uuid.uuid4())
    except ValueError:
        return ("never-was-" + "x" * 100)[: len(text)]


@pytest.fixture(scope="module")
def theirs() -> Theirs:
    return Theirs()


@pytest.fixture(scope="module")
def ours() -> Any:
    return make_tenant()


@pytest.fixture(params=["access key", "person"])
def us(request, ours) -> Api:
    return Api.of(ours) if request.param == "access key" else Api.as_person(ours)


@pytest.mark.case("T088")
@pytest.mark.parametrize("route", LABELLED, ids=str)
def test_T088_theirs_and_nothing_are_one_and_the_same_answer(route, theirs, us):
    before = theirs.snapshot()
    foreign = us.send(route.method, route.at(**theirs.of(route)), route.body)
    nothing = us.send(route.method, route.at(**{k: never(v) for k, v in theirs.of(route).items()}), route.body)
    assert foreign.comparable == nothing.comparable
    assert (foreign.status, foreign.kind) == (404, "not-found")
    assert theirs.snapshot() == before


@pytest.mark.case("T088")
def test_T088_their_own_key_finds_each_of_these(theirs):
    """The oracle: what is 404 for us is there for them."""
    for route in LABELLED:
        if route.method == "GET":
            assert Api.of(theirs.tenant).send("GET", route.at(**theirs.of(route))).status == 200, route


@pytest.mark.case("T088")
@pytest.mark.case("T094")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("tokens/workload", {"agent": "their-agent"}),
        ("tokens/workload", {"agent": "their-agent", "user_id": "dana"}),
        ("access-keys", {"agent": "their-agent"}),
        (
            "trusted-issuers",
            {
                "agent": "their-agent",
                "discovery_url": "https://x.example/.well-known/openid-configuration",
                "audiences": ["a"],
            },
        ),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_T094_a_body_cannot_name_what_is_theirs(path, body, theirs, ours):
    before = theirs.snapshot()
    us = Api.of(ours)
    foreign, nothing = us.post(path, body), us.post(path, {**body, "agent": never("their-agent")})
    assert foreign.comparable == nothing.comparable
    assert foreign.status == 404
    assert theirs.snapshot() == before


@pytest.mark.case("T094")
def test_T094_their_people_are_nobody_to_us(theirs, ours):
    us = Api.of(ours)
    must(us.post("agents", {"name": "owned"}))
    email, nobody = theirs.member.email, f"nobody-{uuid.uuid4().hex}@example.org"
    foreign, nothing = (us.patch("agents/owned", {"owner": who}) for who in (email, nobody))
    assert foreign.comparable == nothing.comparable
    assert foreign.status == 400
    foreign, nothing = (us.post("principals/links", {"email": who, "user_id": "dana"}) for who in (email, nobody))
    assert foreign.comparable == nothing.comparable
    assert foreign.status == 404


@pytest.mark.case("T096")
@pytest.mark.parametrize("route", [r for r in ROUTES if r.operation.id.startswith("list")], ids=str)
def test_T096_lists_hold_what_is_ours_only(route, theirs, acme):
    """A tenant of its own: in another's trail stand the names it asked for in vain."""
    text = Api.of(acme).send("GET", route.path).body.decode()
    mine = {str(v) for v in theirs.labels.values()} | {str(theirs.tenant.id), theirs.member.email}
    assert [word for word in mine if word in text] == []
    assert Api.of(acme).send("GET", route.path).status == 200


@pytest.mark.case("T096")
@pytest.mark.parametrize("query", ["agent=their-agent", "provider=their-provider", "principal_id={}"])
def test_T096_filters_find_what_is_ours_only(query, theirs, ours):
    query = query.format(theirs.labels[("principals", "principal_id")])
    assert must(Api.of(ours).get(f"connections?{query}")) == {"items": [], "next_cursor": None}


@pytest.mark.case("T097")
def test_T097_a_name_they_have_is_free_for_us(theirs, ours):
    made = Api.of(ours).post("agents", {"name": "their-agent"})
    assert made.status == 201
    must(Api.of(ours).delete("agents/their-agent"))
