"""Nothing of one tenant is reachable from another: for every operation of the contract, with every kind of name.

Generated: an operation without an entry fails the day it appears.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from apps.broker import contracts as c
from apps.core import tickets
from apps.core.errors import NotFound, PortalError
from apps.entrypoints.aws_wire.contract import CONTRACT
from tests.security import oracle
from tests.security.calls import SUCCEEDS, github, outside, runtime
from tests.security.lab import RETURN, Lab, denied, must
from tests.security.wire import Reply

Members = dict[str, Any]
AGENT = "only-theirs-agent"
OAUTH = "only-theirs-oauth"
API_KEY = "only-theirs-api-key"


class Theirs:
    """What tenant B has, by kind, beside something of the same form that never was anywhere."""

    def __init__(self, mine: Lab, lab: Lab) -> None:
        self.mine, self.lab = mine, lab
        must(lab.wire.call("CreateWorkloadIdentity", {"name": AGENT, "allowedResourceOauth2ReturnUrls": [RETURN]}))
        must(lab.wire.call("CreateOauth2CredentialProvider", github(OAUTH)))
        must(lab.wire.call("CreateApiKeyCredentialProvider", {"name": API_KEY, "apiKey": "theirs"}))
        self.connected = lab.connect()
        self.returned = lab.start()
        lab.consent(self.returned)
        for n in range(3):
            lab.add_agent(f"page-{n}")
            must(lab.wire.call("CreateOauth2CredentialProvider", github(f"page-{n}")))
            must(lab.wire.call("CreateApiKeyCredentialProvider", {"name": f"page-{n}", "apiKey": "k"}))
        self.runtimes = [must(lab.wire.call("CreateAgentRuntime", runtime(lab)))["agentRuntimeId"] for _ in range(2)]

    def cursor(self, operation: str) -> str:
        return str(must(self.lab.wire.call(operation, {"maxResults": 1}))["nextToken"])

    def arns(self, account_id: str, agent: str, oauth: str, key: str) -> list[str]:
        prefix = f"arn:aws:bedrock-agentcore:us-east-1:{account_id}:"
        return [
            f"{prefix}workload-identity-directory/default/workload-identity/{agent}",
            f"{prefix}token-vault/default/oauth2credentialprovider/{oauth}",
            f"{prefix}token-vault/default/apikeycredentialprovider/{key}",
        ]


def never(name: str) -> str:
    """A name of the same length that nobody has."""
    return ("never-was-" + "x" * 100)[: len(name)]


@pytest.fixture(scope="module")
def theirs(lab: Lab, neighbour: Lab) -> Theirs:
    return Theirs(lab, neighbour)


NO_ACCOUNT = "100000000000"
Pair = tuple[Members, Members]  # with their identifier, with one that never was


def named(**more: Any) -> Callable[[str], Callable[[Theirs], list[Pair]]]:
    return lambda name: lambda theirs: [({"name": name, **more}, {"name": never(name), **more})]


def paged(operation: str) -> Callable[[Theirs], list[Pair]]:
    from apps.broker import cursors

    kinds = {"Runtimes": "runtimes", "Workload": "agents", "Oauth2": "oauth_providers", "ApiKey": "api_keys"}
    kind = next(value for word, value in kinds.items() if word in operation)

    def pairs(theirs: Theirs) -> list[Pair]:
        foreign = theirs.cursor(operation)
        return [
            ({"nextToken": foreign}, {"nextToken": cursors.write(uuid4(), kind, "bot")}),
            ({"nextToken": foreign}, {"nextToken": "garbage"}),
            ({"nextToken": foreign}, {"nextToken": foreign[:-1] + ("A" if foreign[-1] != "A" else "B")}),
        ]

    return pairs


def tagged(**more: Any) -> Callable[[Theirs], list[Pair]]:
    def pairs(theirs: Theirs) -> list[Pair]:
        account, mine = theirs.lab.tenant.account_id, theirs.mine.tenant.account_id
        foreign = theirs.arns(account, AGENT, OAUTH, API_KEY)
        borrowed = theirs.arns(mine, AGENT, OAUTH, API_KEY)
        nowhere = theirs.arns(NO_ACCOUNT, AGENT, OAUTH, API_KEY)
        absent = theirs.arns(mine, never(AGENT), never(OAUTH), never(API_KEY))
        vaults = [
            f"arn:aws:bedrock-agentcore:us-east-1:{number}:token-vault/default" for number in (account, NO_ACCOUNT)
        ]
        found = [(one, other) for row in (foreign, borrowed, nowhere) for one, other in zip(row, absent, strict=True)]
        return [
            ({"resourceArn": one, **more}, {"resourceArn": other, **more}) for one, other in [*found, tuple(vaults)]
        ]

    return pairs


def fetched(theirs: Theirs, **more: Any) -> list[Pair]:
    own, their_token = theirs.mine.wat(theirs.connected.user), theirs.connected.wat
    account = theirs.mine.tenant.account_id
    unknown = tickets.mint(tickets.Kind.WORKLOAD_TOKEN, account).reveal()
    elsewhere = tickets.mint(tickets.Kind.WORKLOAD_TOKEN, NO_ACCOUNT).reveal()
    return [
        ({"workloadIdentityToken": their_token, **more}, {"workloadIdentityToken": unknown, **more}),
        ({"workloadIdentityToken": their_token, **more}, {"workloadIdentityToken": elsewhere, **more}),
        ({"workloadIdentityToken": own, **more}, {"workloadIdentityToken": own, **more}),
    ]


def oauth_token(theirs: Theirs) -> list[Pair]:
    base = {"scopes": ["repo:read"], "oauth2Flow": "USER_FEDERATION"}
    own = theirs.mine.wat(theirs.connected.user)
    unknown = tickets.mint(tickets.Kind.CONSENT_SESSION, theirs.mine.tenant.account_id).reveal()
    urn = "urn:ietf:params:oauth:request_uri:"
    mine = {"workloadIdentityToken": own, "resourceCredentialProviderName": "hub", **base}
    return [
        *(
            (
                {**one, "resourceCredentialProviderName": "hub"},
                {**other, "resourceCredentialProviderName": "hub"},
            )
            for one, other in fetched(theirs, **base)[:2]
        ),
        (
            {**mine, "resourceCredentialProviderName": OAUTH},
            {**mine, "resourceCredentialProviderName": never(OAUTH)},
        ),
        ({**mine, "sessionUri": theirs.returned.session_uri}, {**mine, "sessionUri": urn + unknown}),
    ]


def api_key(theirs: Theirs) -> list[Pair]:
    own = theirs.mine.wat()
    tokens = fetched(theirs, resourceCredentialProviderName="weather")[:2]
    mine = {"workloadIdentityToken": own}
    return [
        *tokens,
        (
            {**mine, "resourceCredentialProviderName": API_KEY},
            {**mine, "resourceCredentialProviderName": never(API_KEY)},
        ),
    ]


def completed(theirs: Theirs) -> list[Pair]:
    who = {"userIdentifier": {"userId": theirs.returned.user}}
    urn = "urn:ietf:params:oauth:request_uri:"
    pairs = []
    for account in (theirs.mine.tenant.account_id, NO_ACCOUNT):
        unknown = urn + tickets.mint(tickets.Kind.CONSENT_SESSION, account).reveal()
        pairs.append(({"sessionUri": theirs.returned.session_uri, **who}, {"sessionUri": unknown, **who}))
    return pairs


def minted(**more: Any) -> Callable[[Theirs], list[Pair]]:
    return lambda theirs: [({"workloadName": AGENT, **more}, {"workloadName": never(AGENT), **more})]


def runtimes(described: bool = False) -> Callable[[Theirs], list[Pair]]:
    def pairs(theirs: Theirs) -> list[Pair]:
        more = runtime(theirs.mine) if described else {}
        more.pop("agentRuntimeName", None)
        foreign = theirs.runtimes[0]
        return [({"agentRuntimeId": foreign, **more}, {"agentRuntimeId": foreign[:-10] + "x" * 10, **more})]

    return pairs


def oauth_update(theirs: Theirs) -> list[Pair]:
    return [(github(OAUTH), github(never(OAUTH)))]


def nothing_foreign(theirs: Theirs) -> list[Pair]:
    """The operation names nothing that exists: creations, and the vault that every tenant has one of."""
    return []


# Operation -> pairs that must be answered alike.
FOREIGN: dict[str, Callable[[Theirs], list[Pair]]] = {
    "CreateWorkloadIdentity": nothing_foreign,
    "CreateOauth2CredentialProvider": nothing_foreign,
    "CreateApiKeyCredentialProvider": nothing_foreign,
    "GetWorkloadIdentity": named()(AGENT),
    "UpdateWorkloadIdentity": named(allowedResourceOauth2ReturnUrls=[RETURN])(AGENT),
    "DeleteWorkloadIdentity": named()(AGENT),
    "ListWorkloadIdentities": paged("ListWorkloadIdentities"),
    "GetOauth2CredentialProvider": named()(OAUTH),
    "UpdateOauth2CredentialProvider": oauth_update,
    "DeleteOauth2CredentialProvider": named()(OAUTH),
    "ListOauth2CredentialProviders": paged("ListOauth2CredentialProviders"),
    "GetApiKeyCredentialProvider": named()(API_KEY),
    "UpdateApiKeyCredentialProvider": named(apiKey="mine-now")(API_KEY),
    "DeleteApiKeyCredentialProvider": named()(API_KEY),
    "ListApiKeyCredentialProviders": paged("ListApiKeyCredentialProviders"),
    "CreateAgentRuntime": nothing_foreign,
    "GetAgentRuntime": runtimes(),
    "UpdateAgentRuntime": runtimes(described=True),
    "DeleteAgentRuntime": runtimes(),
    "ListAgentRuntimes": paged("ListAgentRuntimes"),
    "GetTokenVault": lambda theirs: [({"tokenVaultId": theirs.lab.tenant.slug}, {"tokenVaultId": "never-was"})],
    "TagResource": tagged(tags={"mine": "now"}),
    "UntagResource": tagged(tagKeys=["team"]),
    "ListTagsForResource": tagged(),
    "GetWorkloadAccessToken": minted(),
    "GetWorkloadAccessTokenForUserId": minted(userId="dana"),
    "GetWorkloadAccessTokenForJWT": minted(userToken="x.y.z"),
    "GetResourceOauth2Token": oauth_token,
    "GetResourceApiKey": api_key,
    "CompleteResourceTokenAuth": completed,
}


@pytest.mark.case("T088")
@pytest.mark.parametrize("operation", sorted(CONTRACT.operations))
def test_T088_their_identifiers_are_answered_like_ones_that_never_were(
    lab: Lab, neighbour: Lab, theirs: Theirs, operation: str
) -> None:
    if operation not in SUCCEEDS:
        # Outside the product: one answer for everybody, whatever is in it.
        denied(lab.wire.call(operation, outside(operation)), 400, "ValidationException")
        return
    pairs = FOREIGN[operation](theirs)
    with oracle.watching(neighbour.tenant, lab.tenant, hub=lab.hub) as watch:
        for foreign, absent in pairs:
            replies = [lab.wire.call(operation, members) for members in (foreign, absent)]
            assert replies[0].comparable == replies[1].comparable, foreign
            assert replies[0].status in (400, 401, 403, 404), (foreign, replies[0].body)
            for secret in (AGENT, OAUTH, API_KEY, neighbour.tenant.account_id, neighbour.tenant.slug):
                assert secret not in replies[0].body.decode()
    assert watch.changed == set() and watch.calls == []
    assert {record.tenant for record in watch.records} <= {lab.tenant.id, None}, "nothing lands in their trail"
    assert len(watch.records) == 2 * len(pairs)


@pytest.mark.case("T088")
def test_T088_every_operation_has_an_entry() -> None:
    assert set(FOREIGN) == set(SUCCEEDS)


@pytest.mark.case("T088")
def test_T088_lists_show_ones_own_and_nothing_else(lab: Lab, neighbour: Lab, theirs: Theirs) -> None:
    for operation in ("ListWorkloadIdentities", "ListOauth2CredentialProviders", "ListApiKeyCredentialProviders"):
        text = lab.wire.call(operation, {"maxResults": 20}).body.decode()
        assert "only-theirs" not in text and neighbour.tenant.account_id not in text
        assert "page-" not in text


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.case("T097")
@pytest.mark.case("T095")
def test_T097_a_name_that_exists_elsewhere_is_free_here(lab: Lab, neighbour: Lab, theirs: Theirs) -> None:
    before = oracle.snapshot(neighbour.tenant)
    must(lab.wire.call("CreateWorkloadIdentity", {"name": AGENT}))
    must(lab.wire.call("CreateOauth2CredentialProvider", github(OAUTH)))
    must(lab.wire.call("CreateApiKeyCredentialProvider", {"name": API_KEY, "apiKey": "mine"}))
    wat = lab.wat(agent=AGENT)
    assert must(lab.ask_api_key(wat, name=API_KEY))["apiKey"] == "mine"
    assert must(neighbour.ask_api_key(neighbour.wat(agent=AGENT), name=API_KEY))["apiKey"] == "theirs"
    assert must(lab.ask_api_key(wat, name=API_KEY))["apiKey"] == "mine"
    must(lab.wire.call("DeleteWorkloadIdentity", {"name": AGENT}))
    must(lab.wire.call("DeleteOauth2CredentialProvider", {"name": OAUTH}))
    must(lab.wire.call("DeleteApiKeyCredentialProvider", {"name": API_KEY}))
    # Only their own call moved something: their agent acted for itself.
    assert oracle.changed(before, oracle.snapshot(neighbour.tenant)) <= {"authn_workloadtoken", "connections_principal"}


@pytest.mark.case("T097")
def test_T097_a_foreign_name_costs_the_same_queries_as_an_absent_one(lab: Lab, theirs: Theirs) -> None:
    import re

    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from tests.security.wire import Wire

    here = Wire(lab.portal.url, lab.wire.key_id, lab.wire.secret, here=True)

    def steps(call: Callable[[], Reply]) -> list[str]:
        call()
        with CaptureQueriesContext(connection) as queries:
            call()
        return [re.sub(r"'[^']*'|s\d+_x\d+", "?", query["sql"]) for query in queries]

    wat = lab.wat()
    for foreign, absent in (
        ({"name": AGENT}, {"name": never(AGENT)}),
        ({"name": "page-0"}, {"name": "nope-0"}),
    ):
        assert steps(lambda m=foreign: here.call("GetWorkloadIdentity", m)) == steps(
            lambda m=absent: here.call("GetWorkloadIdentity", m)
        )
    assert steps(lambda: lab.ask_api_key(wat, wire=here, name=API_KEY)) == steps(
        lambda: lab.ask_api_key(wat, wire=here, name=never(API_KEY))
    )


# --- parents and children ------------------------------------------------------------------------------------------


@pytest.mark.case("T093")
@pytest.mark.case("T094")
def test_T093_nothing_of_theirs_can_be_tied_to_something_of_mine(lab: Lab, neighbour: Lab, theirs: Theirs) -> None:
    """The commands behind the console take ids: a foreign one is an absent one."""
    ids = {
        table: neighbour.rows(f"SELECT id FROM {table} WHERE tenant_id = %s LIMIT 1")[0][0]
        for table in ("providers_provider", "connections_connection", "agents_agent")
    }
    binding_of_theirs = _their_binding(neighbour)
    assert lab.owner and neighbour.owner  # made before anything is compared
    commands: dict[str, Callable[[Any], c.Command]] = {
        "binding": lambda id_: c.SetBinding(agent="bot", provider_id=id_),
        "suspend provider": lambda id_: c.SuspendProvider(provider_id=id_, why="x"),
        "resume provider": lambda id_: c.ResumeProvider(provider_id=id_, why="x"),
    }
    targets = [
        *((name, make, ids["providers_provider"]) for name, make in commands.items()),
        ("revoke", lambda id_: c.RevokeConnection(connection_id=id_, why="x"), ids["connections_connection"]),
        ("unbind", lambda id_: c.DeleteBinding(binding_id=id_), binding_of_theirs),
        ("distrust", lambda id_: c.DistrustIssuer(issuer_id=id_), uuid4()),
        ("disable key", lambda id_: c.DisableAccessKey(access_key_id=id_), neighbour.wire.key_id),
        ("delete key", lambda id_: c.DeleteAccessKey(access_key_id=id_), neighbour.wire.key_id),
        ("suspend agent", lambda id_: c.SuspendAgent(name=id_, why="x"), AGENT),
        ("resume agent", lambda id_: c.ResumeAgent(name=id_, why="x"), AGENT),
        ("key for an agent", lambda id_: c.CreateAccessKey(agent=id_), AGENT),
        ("member", lambda id_: c.RemoveMember(user_id=id_), neighbour.owner.id),
    ]
    for name, make, foreign in targets:
        absent: Any = uuid4() if not isinstance(foreign, str) else never(foreign)
        said = []
        with oracle.watching(neighbour.tenant, lab.tenant) as watch:
            for identifier in (foreign, absent):
                with pytest.raises(NotFound) as refused:
                    lab.run(make(identifier))
                said.append((refused.value.public, refused.value.reason))
        assert said[0] == said[1], name
        assert watch.changed == set(), name
    with pytest.raises(PortalError):
        lab.run(c.LinkPrincipal(email=neighbour.owner.email, user_id="dana"))


def _their_binding(neighbour: Lab) -> Any:
    provider = neighbour.rows("SELECT id FROM providers_provider WHERE name = 'hub' AND tenant_id = %s")[0][0]
    neighbour.run(c.SetBinding(agent="bot", provider_id=provider))
    return neighbour.rows("SELECT id FROM policy_binding WHERE tenant_id = %s LIMIT 1")[0][0]


@pytest.mark.case("T093")
def test_T093_a_resource_named_twice_must_be_named_once(lab: Lab) -> None:
    from tests.security.calls import agent_arn

    good = {"resourceArn": agent_arn(lab, "bot"), "tags": {"a": "b"}}
    must(lab.wire.call("TagResource", good))
    import json

    path = lab.wire.sign("TagResource", good).target
    body = json.dumps({"resourceArn": agent_arn(lab, "other"), "tags": {"a": "b"}}).encode()
    with lab.refuses({"unknown_field", "field_invalid"}):
        denied(lab.wire.sign_raw("POST", path, body).send(), 400, "ValidationException")


@pytest.mark.case("T093")
def test_T093_every_handler_runs_in_its_callers_tenant_only(lab: Lab, neighbour: Lab) -> None:
    """A member of one tenant is nobody in another, whatever command they send."""
    from apps.authn.caller import CallerKind
    from apps.core.errors import NotAllowed

    intruder = neighbour.tenant.caller(
        kind=CallerKind.PERSON, name=str(lab.owner.id), row_id=lab.owner.id, proof="session"
    )
    from apps.broker.run import run

    before = oracle.snapshot(neighbour.tenant)
    for command in (
        c.GetAgent(name="bot"),
        c.ListAgents(),
        c.DeleteAgent(name="bot"),
        c.CreateAccessKey(full_access=True),
        c.AddMember(email="x@example.org", role="tenant_owner"),
        c.UpdateTenant(name="mine now"),
    ):
        with pytest.raises(NotAllowed):
            run(command, intruder)
    assert oracle.changed(before, oracle.snapshot(neighbour.tenant)) == set()


# --- caches, workers, lists ----------------------------------------------------------------------------------------


@pytest.mark.case("T095")
def test_T095_what_one_tenant_warmed_another_does_not_read(portal: Any, hub: Any) -> None:
    """Same names, same user id, same scopes; each gets its own, however the calls alternate and on every process."""
    labs = [Lab(portal, hub), Lab(portal, hub)]
    flows = [one.connect("dana") for one in labs]
    tokens = [must(one.ask(flow.wat))["accessToken"] for one, flow in zip(labs, flows, strict=True)]
    assert tokens[0] != tokens[1]
    for _ in range(10):
        for one, flow, token in zip(labs, flows, tokens, strict=True):
            assert must(one.ask(flow.wat))["accessToken"] == token
            assert must(one.ask_api_key(flow.wat))["apiKey"] == one.api_key
    # A signature of one is worth nothing with the other's key id, warm caches or not.
    from tests.security.wire import Wire

    crossed = Wire(portal.url, labs[0].wire.key_id, labs[1].wire.secret)
    for _ in range(4):
        denied(crossed.call("GetTokenVault"), 401, "UnauthorizedException")


@pytest.mark.case("T095")
def test_T095_keys_of_an_issuer_are_remembered_per_tenant() -> None:
    import inspect

    from apps.authn.jwt.jwks_cache import JwksCache

    assert list(inspect.signature(JwksCache.keys_for).parameters)[1] == "tenant_id"


@pytest.mark.case("T095")
def test_T095_work_for_one_tenant_that_names_anothers_object_does_nothing(lab: Lab, neighbour: Lab) -> None:
    """The queue holds ids only; the truth is read in the tenant the work is for."""
    from apps.broker.upkeep import asking, housekeeping, renewal
    from apps.broker.work import Work

    flow = neighbour.connect()
    admin = lab.admin()
    theirs = neighbour.rows(
        "SELECT c.id FROM connections_connection c JOIN connections_principal p ON p.id = c.principal_id "
        "WHERE p.subject = %s AND c.tenant_id = %s",
        flow.user,
    )[0][0]
    with oracle.watching(neighbour.tenant, lab.tenant, hub=lab.hub) as watch:
        work = Work("connection.renew", admin)
        found = renewal.renew(theirs, work, prepare=asking.refresh_with)
        assert isinstance(found, renewal.ConsentLost)
    assert watch.changed == set() and watch.calls == []
    oracle.execute("UPDATE authn_workloadtoken SET expires_at = now() WHERE tenant_id = %s", neighbour.tenant.id)
    before = neighbour.rows("SELECT count(*) FROM authn_workloadtoken WHERE tenant_id = %s")
    housekeeping.clean(lab.tenant.id)
    assert neighbour.rows("SELECT count(*) FROM authn_workloadtoken WHERE tenant_id = %s") == before


@pytest.mark.case("T096")
def test_T096_pages_of_a_list_hold_together_and_a_cursor_is_for_one_list(lab: Lab, neighbour: Lab) -> None:
    for n in range(5):
        lab.add_agent(f"listed-{n}")
    names, cursor = [], None
    while True:
        page = must(
            lab.wire.call("ListWorkloadIdentities", {"maxResults": 2, **({"nextToken": cursor} if cursor else {})})
        )
        names += [item["name"] for item in page["workloadIdentities"]]
        cursor = page.get("nextToken")
        if cursor is None:
            break
    assert names == sorted(set(names)) and {f"listed-{n}" for n in range(5)} <= set(names)
    own = must(lab.wire.call("ListWorkloadIdentities", {"maxResults": 1}))["nextToken"]
    for other in ("ListOauth2CredentialProviders", "ListApiKeyCredentialProviders"):
        with lab.refuses("cursor_invalid"):
            denied(lab.wire.call(other, {"nextToken": own}), 400, "ValidationException")
    for spoilt in (own[:-1], own + "=", own[::-1], "' OR 1=1--", own.replace(own[0], "Z", 1)):
        with lab.refuses({"cursor_invalid", "field_invalid"}):
            denied(lab.wire.call("ListWorkloadIdentities", {"nextToken": spoilt}), 400, "ValidationException")
    assert must(lab.wire.call("ListWorkloadIdentities", {"nextToken": own}))["workloadIdentities"]


@pytest.mark.case("T092")
def test_T092_two_tenants_at_once_through_the_server_never_see_each_other(portal: Any, hub: Any) -> None:
    labs = [Lab(portal, hub), Lab(portal, hub)]
    wats = [one.wat() for one in labs]

    def ask(number: int) -> tuple[int, bool]:
        one, wat = labs[number % 2], wats[number % 2]
        if number % 7 == 0:  # somebody's mistake in between, on the same connections
            one.wire.call("GetWorkloadIdentity", {"name": "nobody-here"})
        if number % 3 == 0:
            arn = must(one.wire.call("GetWorkloadIdentity", {"name": "bot"}))["workloadIdentityArn"]
            return number, one.tenant.account_id in arn
        return number, must(one.ask_api_key(wat))["apiKey"] == one.api_key

    with ThreadPoolExecutor(6) as pool:
        assert [number for number, own in pool.map(ask, range(300)) if not own] == []


@pytest.mark.case("T092")
def test_T092_a_fault_in_the_middle_leaves_no_tenant_behind_on_the_connection(lab: Lab, neighbour: Lab) -> None:
    from django.db import connection

    from apps.tenants.scope import in_scope, tenant_scope
    from tests.security.wire import Wire

    here = Wire(lab.portal.url, lab.wire.key_id, lab.wire.secret, here=True)
    theirs = Wire(lab.portal.url, neighbour.wire.key_id, neighbour.wire.secret, here=True)
    for breaks in (
        lambda: here.call("GetWorkloadIdentity", {"name": "absent"}),
        lambda: here.call("CompleteResourceTokenAuth", {"sessionUri": "urn:x"}),
        lambda: lab.ask("garbage", wire=here),
    ):
        assert breaks().status >= 400
        assert not in_scope()
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('portal.tenant_id', true)")
            assert not cursor.fetchone()[0]
        arn = must(theirs.call("GetWorkloadIdentity", {"name": "bot"}))["workloadIdentityArn"]
        assert neighbour.tenant.account_id in arn
    with pytest.raises(ZeroDivisionError), tenant_scope(lab.tenant.id):
        1 / 0
    assert not in_scope()
