"""Every address of the pages, from the URL map: what names something of another tenant is answered as if it were not
there. A pattern without an entry fails the day it appears. What the wire does is in `test_two_tenants`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver

from apps.core import tickets
from apps.tenants.models import Membership, Tenant, User
from apps.tenants.scope import tenant_scope
from tests.conftest import TenantHandle, make_tenant
from tests.security import oracle
from tests.support import mutated
from tests.walls.samples import SAMPLES

# Public pages by what their address names. Possession of a ticket is the proof there (test_consent_people has who).
NAMES_NOTHING = {
    "connect:index",
    "connect:signin",
    "connect:signout",
    "connect:language",
    "connect:me",
    "ops:live",
    "ops:ready",
    "admin:index",
    "admin:choose",
    "admin:search",
    "admin:explain",
    "admin:bindings_in_use",
    "admin:login",
    "admin:logout",
    "admin:jsi18n",
    "admin:app_list",
    "admin:None",  # the console's own 404
}
NAMES_A_SESSION = {"connect:consent", "connect:decision", "connect:done", "connect:problem"}
NAMES_A_PROVIDER = {"connect:callback"}
# An agent's door. The first two name it in a body or header and take a proof of the caller (tests/security/
# test_authorizer_*); the document of RFC 9728 is for anybody who knows the address.
NAMES_AN_AGENT = {
    "inbound_authorize",
    "inbound_forward_auth",
    "inbound_protected_resource",
    "inbound_protected_resource_below",
}
# A tenant's authorization server. Its name is public; clients, codes and tokens of another tenant are unknown below it
# (tests/oauth, T087), and a name that is no tenant is 404 everywhere.
NAMES_A_TENANT = {
    "connect:authorize",
    "oauth:jwks",
    "oauth:metadata",
    "oauth:openid_configuration",
    "oauth:token",
    "oauth:revoke",
    "oauth:introspect",
}


def patterns() -> Iterator[tuple[str, str]]:
    """(name with namespace, path with its parameters) of every pattern but the REST API's, which has its own
    generated test (tests/rest/test_isolation.py)."""

    def walk(resolver: Any, prefix: str, namespace: str) -> Iterator[tuple[str, str]]:
        for entry in resolver.url_patterns:
            if isinstance(entry, URLPattern):
                yield f"{namespace}{entry.name}", prefix + str(entry.pattern)
            else:
                inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
                yield from walk(entry, prefix + str(entry.pattern), inner)

    return ((name, path) for name, path in walk(get_resolver(), "", "") if not name.startswith("rest:"))


OBJECT_PAGES = sorted({(name, path) for name, path in patterns() if "<path:object_id>" in path})
LIST_PAGES = sorted(
    {(name, path) for name, path in patterns() if name.startswith("admin:") and re.search(r"_(changelist|add)$", name)}
)
POST = {"why": "x", "post": "yes", "decision": "approve", "role": "approver", "tenant": "x", "name": "x"}


@pytest.mark.case("T088")
def test_T088_every_pattern_has_an_entry() -> None:
    named = NAMES_NOTHING | NAMES_A_SESSION | NAMES_A_PROVIDER | NAMES_A_TENANT | NAMES_AN_AGENT
    known = named | {name for name, _ in [*OBJECT_PAGES, *LIST_PAGES]}
    missing = sorted((name, path) for name, path in patterns() if name not in known)
    assert missing == [], "say what this address names, and how a foreign name is answered"


@pytest.mark.case("T088")
def test_T088_a_tenant_that_is_not_there_is_404_at_every_address_that_names_one() -> None:
    there = make_tenant()
    for name, path in patterns():
        if name not in NAMES_A_TENANT:
            continue
        form = {"client_id": "x", "grant_type": "client_credentials", "token": "x"}
        answers = []
        for slug in (f"none-{secrets.token_hex(4)}", "UPPER", "x" * 64, there.slug):
            address = "/" + path.replace("<str:slug>", slug)
            if name in ("oauth:token", "oauth:revoke", "oauth:introspect"):
                body = "&".join(f"{key}={value}" for key, value in form.items())
                answers.append(Client().post(address, body, content_type="application/x-www-form-urlencoded"))
            else:
                answers.append(Client().get(address))
        assert [answer.status_code for answer in answers[:3]] == [404, 404, 404], name
        assert answers[3].status_code != 404, "the check can see one that is there"


# --- two tenants and an owner of the first -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mine() -> TenantHandle:
    return make_tenant()


@pytest.fixture(scope="module")
def theirs() -> TenantHandle:
    return make_tenant()


def person(tenant: TenantHandle) -> User:
    user = User.objects.create_user(f"{secrets.token_hex(8)}@example.org", name="Somebody")
    Membership.objects.create(tenant_id=tenant.id, user=user, role="tenant_owner")
    return user


@pytest.fixture(scope="module")
def owner(mine: TenantHandle) -> Client:
    return browser(person(mine))


def browser(user: User | None = None) -> Client:
    client = Client(headers={"host": "127.0.0.1"})
    if user is not None:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def foreign_id(name: str, theirs: TenantHandle) -> Any:
    """The key of a row of the other tenant behind this page; of the platform's tables, one that concerns it."""
    app, model, _ = name.removeprefix("admin:").split("_", 2)
    label = next((found for found in SAMPLES if found.lower() == f"{app}.{model}"), None)
    if label is not None:
        with tenant_scope(theirs.id):
            return SAMPLES[label]().pk
    match f"{app}.{model}":
        case "tenants.tenant":
            return theirs.id
        case "tenants.membership":
            person(theirs)
            return Membership.objects.filter(tenant_id=theirs.id).values_list("pk", flat=True)[0]
        case "tenants.user":
            return person(theirs).pk
    return 123_456_789  # staff's own tables: whatever is in them, the answer is the same for everybody else


def same(answer: Any, *identifiers: object) -> tuple[int, str]:
    """Status and text without what names this one request."""
    text = f"{answer.headers.get('Location', '')}\n{answer.content.decode()}"
    for identifier in identifiers:
        text = text.replace(str(identifier), "ID")
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "UUID", text)
    return answer.status_code, re.sub(r'(csrfmiddlewaretoken" value=|nonce=)"[^"]+"', "TOKEN", text)


@pytest.mark.case("T088")
@pytest.mark.parametrize(("name", "path"), OBJECT_PAGES, ids=[name for name, _ in OBJECT_PAGES])
def test_T088_a_foreign_object_is_an_absent_one(
    name: str, path: str, mine: TenantHandle, theirs: TenantHandle, owner: Client
) -> None:
    foreign = foreign_id(name, theirs)
    absent = uuid4() if not isinstance(foreign, int) else 999_999_999
    before = oracle.snapshot(mine, theirs)
    for method in ("get", "post", "put", "delete"):
        answers = []
        for pk in (foreign, absent):
            address = "/" + path.replace("<path:object_id>", str(pk))
            answers.append(same(getattr(owner, method)(address, POST if method == "post" else {}), pk))
        assert answers[0] == answers[1], method
        assert answers[0][0] in (302, 403, 404, 405), method
        assert theirs.slug not in answers[0][1] and theirs.account_id not in answers[0][1]
    assert oracle.changed(before, oracle.snapshot(mine, theirs)) == set()


@pytest.mark.case("T088")
@pytest.mark.case("T096")
@pytest.mark.parametrize(("name", "path"), LIST_PAGES, ids=[name for name, _ in LIST_PAGES])
def test_T096_lists_and_forms_show_nothing_of_theirs(name: str, path: str, theirs: TenantHandle, owner: Client) -> None:
    foreign = str(foreign_id(name, theirs))
    for query in ("", f"?q={theirs.slug}", f"?id__exact={foreign}", f"?pk={foreign}", "?tenant__slug=" + theirs.slug):
        answer = owner.get(f"/{path}{query}")
        assert answer.status_code in (200, 302, 400, 403, 404), query
        text = answer.content.decode().replace(f'value="{theirs.slug}"', "").replace(f"q={theirs.slug}", "")
        for theirs_only in (foreign if len(foreign) > 8 else "\0", theirs.account_id, str(theirs.id)):
            assert theirs_only not in text.replace(query, ""), query


@pytest.mark.case("T088")
def test_T088_pages_that_name_nothing_say_nothing_of_theirs(theirs: TenantHandle, owner: Client) -> None:
    for path in ("/", "/me/", "/signin/", "/console/", "/console/choose/", "/console/search/?s=a", "/console/nothing/"):
        for page in (owner.get(path), browser().get(path)):
            assert page.status_code in (200, 302, 303, 404), path
            text = page.content.decode()
            assert theirs.slug not in text and theirs.account_id not in text and str(theirs.id) not in text


@pytest.mark.case("T088")
def test_T088_the_metadata_of_an_agent_that_is_not_there_is_one_answer_whosever_it_would_be(
    mine: TenantHandle, theirs: TenantHandle
) -> None:
    for path in (
        "/.well-known/oauth-protected-resource/runtimes/{}/invocations",
        "/runtimes/{}/invocations/.well-known/oauth-protected-resource",
    ):
        answers = set()
        for account in (mine.account_id, theirs.account_id, "100000000000"):
            arn = f"arn:aws:bedrock-agentcore:local:{account}:runtime/nobody-0123456789"
            answers.add(same(Client().get(path.format(arn)), arn))
        assert len(answers) == 1 and next(iter(answers))[0] == 404


@pytest.mark.case("T088")
@pytest.mark.parametrize("name", sorted(NAMES_A_SESSION))
def test_T088_an_unknown_link_is_one_answer_whatever_tenant_it_names(
    name: str, mine: TenantHandle, theirs: TenantHandle, owner: Client
) -> None:
    """Of the other tenant, of one's own, of no tenant, or no link at all."""
    path = next(path for found, path in patterns() if found == name)
    links = [
        tickets.mint(tickets.Kind.CONSENT_SESSION, account).reveal()
        for account in (theirs.account_id, mine.account_id, "100000000000")
    ]
    links += [tickets.mint(tickets.Kind.STATE, theirs.account_id).reveal(), "acs_x", mutated(links[0])]
    for client in (owner, browser()):
        method = client.post if name == "connect:decision" else client.get
        answers = {
            same(method("/" + path.replace("<str:session>", link), {"decision": "approve"}), link) for link in links
        }
        assert len(answers) == 1
        assert next(iter(answers))[0] == 404


@pytest.mark.case("T088")
def test_T088_an_unknown_callback_is_one_answer_whatever_tenant_it_names(
    mine: TenantHandle, theirs: TenantHandle, owner: Client
) -> None:
    ids = [account + "a" * 32 for account in (theirs.account_id, mine.account_id, "100000000000")] + [
        "not-a-callback",
        "1" * 44,
    ]
    for client in (owner, browser()):
        answers = [same(client.get(f"/connect/callback/{one}?state=s&code=c"), one) for one in ids]
        assert answers == [answers[0]] * len(ids) and answers[0][0] == 404


@pytest.mark.case("T090")
def test_T090_no_header_moves_a_page_to_another_tenant_or_host(
    mine: TenantHandle, theirs: TenantHandle, owner: Client
) -> None:
    plain = owner.get("/console/agents/agent/")
    assert plain.status_code == 200
    for header, value in {
        "X-Tenant-Id": str(theirs.id),
        "X-Tenant": theirs.slug,
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-For": "1.2.3.4",
        "X-Original-URL": "/console/tenants/tenant/",
        "X-HTTP-Method-Override": "DELETE",
    }.items():
        assert same(owner.get("/console/agents/agent/", headers={header: value})) == same(plain), header
    assert owner.get("/console/", headers={"host": "evil.example"}).status_code == 400
    assert Tenant.objects.filter(id=theirs.id).exists()
