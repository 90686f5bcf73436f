"""What holds for every address of the REST API: proof, strict reading, one effect, versions, pages, problems."""

from __future__ import annotations

import secrets
from base64 import b64encode
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.conf import settings
from django.test import Client

from apps.agents.models import Agent
from apps.audit.models import OperatorRecord
from apps.authn.models import AnsweredRequest
from apps.broker import contracts as c
from apps.broker import idempotency
from apps.broker.run import run
from apps.core import clock
from apps.tenants.scope import tenant_scope
from apps.vault.models import SealedSecret
from tests.rest.api import HOST, Api, csrf_of, must, signed
from tests.support import mutated, rows, trail


@pytest.fixture
def api(acme) -> Api:
    return Api.of(acme)


def operator_reasons(reply) -> list[str]:
    return list(
        OperatorRecord.objects.filter(request_id=reply.headers["x-request-id"]).values_list("reason", flat=True)
    )


def agents_of(tenant) -> list[str]:
    return sorted(agent.name for agent in rows(tenant, Agent))


# --- who is calling ---------------------------------------------------------------------------------------------


def test_an_access_key_and_a_person_see_the_same_thing(acme, api):
    must(api.post("agents", {"name": "first"}))
    for caller in (api, Api.as_person(acme)):
        assert [agent["name"] for agent in must(caller.get("agents"))["items"]] == ["first"]
    assert {record.actor_kind for record in trail(acme, action="agent.list")} == {"access_key", "person"}


def test_without_a_credential_nothing_is_said_and_it_is_recorded():
    refused = Api().get("agents")
    assert (refused.status, refused.kind) == (401, "unauthenticated")
    assert refused.headers["www-authenticate"].startswith("AWS4-HMAC-SHA256")
    assert operator_reasons(refused) == ["credential_missing"]


@pytest.mark.parametrize("header", ["Basic dXNlcjpwYXNz", "Bearer not-a-token", "AWS4-HMAC-SHA256 nonsense", "", "x"])
def test_a_credential_that_does_not_hold_ends_the_request_although_a_session_would(acme, header):
    person = Api.as_person(acme)
    assert person.get("agents").status == 200
    refused = person.get("agents", headers={"Authorization": header})
    assert (refused.status, refused.kind) == (401, "unauthenticated")


def test_a_changed_body_is_not_what_was_signed(acme):
    key = (acme.access_key_id, acme.secret_access_key)
    lines = signed(key, "POST", "/api/v1/agents", b'{"name":"one"}', {"Host": HOST, "Content-Type": "application/json"})
    refused = Api().replay("POST", "/api/v1/agents", b'{"name":"two"}', lines)
    assert refused.status == 401
    assert agents_of(acme) == []
    (record,) = trail(acme, action="authn.failure")
    assert record.reason == "signature_mismatch"


def test_a_signature_for_one_address_is_none_for_another(acme, api):
    must(api.post("agents", {"name": "victim"}))
    key = (acme.access_key_id, acme.secret_access_key)
    lines = signed(key, "DELETE", "/api/v1/agents/other", b"", {"Host": HOST})
    assert Api().replay("DELETE", "/api/v1/agents/victim", b"", lines).status == 401
    assert agents_of(acme) == ["victim"]


def test_a_disabled_key_hears_the_same_as_an_unknown_one(acme):
    key = Api.with_grants(acme, ("*", "*"))
    run(c.DisableAccessKey(access_key_id=key.key[0]), acme.caller())
    unknown = Api(key=(key.key[0][:-4] + "AAAA", key.key[1]))
    for path in ("agents", "me", "agents/nobody"):
        assert key.get(path).comparable == unknown.get(path).comparable


@pytest.mark.case("T106")
@pytest.mark.parametrize("token", ["", "wrong", None])
def test_T106_a_change_with_a_session_needs_the_token_of_our_pages(acme, token):
    person = Api.as_person(acme)
    csrf_of(person.client)
    if token is None:  # another session's
        token = csrf_of(Api.as_person(acme).client)
    refused = person.post("agents", {"name": "forged"}, headers={"X-CSRFToken": token})
    assert (refused.status, refused.kind) == (403, "not-allowed")
    assert operator_reasons(refused) == ["csrf_failed"]
    assert agents_of(acme) == []


@pytest.mark.case("T106")
def test_T106_a_change_from_a_foreign_page_is_refused(acme):
    person = Api.as_person(acme)
    for origin in ("https://evil.example", "null"):
        refused = person.post("agents", {"name": "forged"}, headers={"Origin": origin})
        assert refused.status == 403
    assert agents_of(acme) == []


def test_a_person_without_a_chosen_tenant_is_told_to_choose(acme, globex):
    from apps.tenants.models import Membership, User
    from tests.console.conftest import make_person, open_browser

    person: User = make_person(acme)
    Membership.objects.create(tenant_id=globex.id, user=person, role="tenant_owner")
    refused = Api(client=open_browser(person)).get("agents")
    assert (refused.status, refused.kind) == (403, "not-allowed")


def test_a_person_of_a_suspended_tenant_gets_nothing(acme):
    from apps.tenants.models import Tenant

    person = Api.as_person(acme)
    Tenant.objects.filter(id=acme.id).update(status="suspended")
    assert person.get("agents").status == 403
    assert trail(acme, action="authn.failure")[0].reason == "tenant_suspended"


@pytest.mark.case("T090")
@pytest.mark.parametrize("header", ["X-Tenant-Id", "X_Tenant_Id", "X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_T090_the_tenant_and_the_address_come_from_no_header(acme, globex, header):
    person = Api.as_person(acme)
    must(person.get("me", headers={header: str(globex.id)}))
    assert trail(globex, action="caller.read") == []
    (record,) = trail(acme, action="caller.read")
    assert record.source_ip == "127.0.0.1"


# --- reading strictly -------------------------------------------------------------------------------------------


@pytest.mark.case("T089")
@pytest.mark.parametrize(
    "member", ["tenant", "tenant_id", "id", "status", "created_by", "is_admin", "kek_id", "trusted", "epoch", "arn"]
)
def test_T089_members_nobody_offers_are_refused(acme, api, member):
    for method, path, body in (("POST", "agents", {"name": "mass"}), ("PATCH", "agents/mass", {})):
        refused = api.send(method, path, {**body, member: "x"})
        assert (refused.status, refused.kind) == (400, "invalid")
        assert refused["errors"] == [{"pointer": f"/{member}", "detail": "There is no such member."}]
    assert agents_of(acme) == []


@pytest.mark.case("T111")
@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"null", b'"x"', b'{"name":', b'{"name":"abc",}', b'{"name":NaN}', b'{"name":1e999}']
    + [b'\xef\xbb\xbf{"name":"abc"}', '{"name":"abc"}'.encode("utf-16"), b'{"name":"\xff"}', b"[" * 100_000]
    + [
        b'{"name":' + b"9" * 5000 + b"}",
        b'{"name":"abc","name":"abd"}',
        b'{"name":"a\\u0000bc"}',
        b'{"name":"\\ud800bc"}',
    ],
    ids=range(16),
)
def test_T111_what_is_not_one_strict_json_object_is_not_read(acme, api, raw):
    refused = api.send("POST", "agents", raw=raw, headers={"Content-Type": "application/json"})
    assert (refused.status, refused.kind) == (400, "unreadable")
    assert agents_of(acme) == []
    assert [record.reason for record in trail(acme, outcome="denied")] == ["malformed_json"]


@pytest.mark.case("T112")
@pytest.mark.parametrize(
    ("member", "value"),
    [("name", value) for value in (7, True, None, "", "ab", "a b", "a/b", "x" * 256, ["abc"], {"a": 1}, "ünïcode")]
    + [("return_urls", value) for value in ("https://a.example", [7], [None], {"0": "x"}, ["https://a.example"] * 101)]
    + [("native", value) for value in ("true", 1, 0, None)]
    + [("description", value) for value in (7, False, ["x"], "x" * 2001, "bell \x07")]
    + [("tags", value) for value in ("a=b", [], {"a": 7}, {"a": None})],
)
def test_T112_each_member_has_one_type(acme, api, member, value):
    refused = api.post("agents", {"name": "typed-agent", member: value})
    assert (refused.status, refused.kind) == (400, "invalid")
    assert refused["errors"][0]["pointer"].split("/")[1] == member
    assert agents_of(acme) == []


@pytest.mark.case("T112")
def test_T112_text_is_kept_in_one_normal_form(api):
    made = must(api.post("agents", {"name": "normal", "description": "Ko\u0308ln 🙂"}))
    assert made["description"] == "K\u00f6ln 🙂"


@pytest.mark.case("T113")
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": kind}
        for kind in ("text/plain", "application/json;charset=utf-7", "multipart/form-data; boundary=x")
    ]
    + [
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_T113_only_plain_json_is_taken(acme, api, headers):
    refused = api.post("agents", {"name": "kind"}, headers=headers)
    assert (refused.status, refused.kind) == (415, "media-type")
    assert agents_of(acme) == []


@pytest.mark.case("T113")
def test_T113_too_much_is_refused_before_it_is_read(acme, api):
    refused = api.send("POST", "agents", raw=b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))
    assert (refused.status, refused.kind) == (413, "too-large")


@pytest.mark.case("T114")
@pytest.mark.parametrize("method", ["TRACE", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
def test_T114_other_methods_are_refused_with_those_there_are(api, method):
    refused = api.send(method, "agents")
    assert refused.status == 405
    assert refused.headers["allow"] == "GET, POST"


@pytest.mark.case("T114")
@pytest.mark.parametrize(
    "path", ["/api/v1/agents/", "/api/v1//agents", "/api/v1/Agents", "/api/v1/agents;x", "/api", "/api/v2/"]
)
def test_T114_there_is_one_spelling_of_each_address_and_no_redirect(api, path):
    refused = api.post(path, {"name": "spelling"})
    assert (refused.status, refused.kind) == (404, "not-found")


@pytest.mark.case("T114")
def test_T114_no_other_origin_is_let_in(api):
    answer = api.get("agents", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.case("T115")
@pytest.mark.parametrize(
    "query",
    [
        "_connector=OR",
        "name__regex=%28a%2B%29%2B%24",
        "order_by=tenant__secret",
        "limit=-1",
        "limit=0",
        "limit=1000000000",
    ]
    + ["limit=1&limit=2", "cursor=Z2FyYmFnZQ", "cursor=", "limit=ten", "tenant=x"],
)
def test_T115_the_query_asks_only_what_the_address_offers(api, query):
    refused = api.get(f"agents?{query}")
    assert (refused.status, refused.kind) == (400, "invalid")
    assert set(refused["errors"][0]) & {"parameter", "pointer"}


# --- one effect -------------------------------------------------------------------------------------------------


def key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(16)}


@pytest.mark.parametrize("who", ["access key", "person"])
def test_the_same_key_answers_the_same_and_does_nothing_twice(acme, who):
    caller = Api.of(acme) if who == "access key" else Api.as_person(acme)
    named = key()
    first = caller.post("agents", {"name": "once"}, headers=named)
    again = caller.post("agents", {"name": "once"}, headers=named)
    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert again.headers["location"] == first.headers["location"] == f"{settings.PUBLIC_URL}/api/v1/agents/once"
    assert len(trail(acme, action="agent.create", outcome="allowed")) == 1


def test_the_same_key_for_something_else_is_refused(acme, api):
    named = key()
    must(api.post("agents", {"name": "first"}, headers=named))
    refused = api.post("agents", {"name": "second"}, headers=named)
    assert (refused.status, refused.kind) == (422, "idempotency-key-reused")
    assert agents_of(acme) == ["first"]


def test_a_key_belongs_to_its_caller(acme, globex, api):
    named = key()
    must(api.post("agents", {"name": "same"}, headers=named))
    for other in (Api.of(globex), Api.with_grants(acme, ("*", "*"))):
        answer = other.post("agents", {"name": "same"}, headers=named)
        assert "idempotency-replayed" not in answer.headers


@pytest.mark.parametrize("word", ["", "with blank", "x" * 256, "ümlaut"])
def test_a_key_has_a_form(api, word):
    refused = api.post("agents", {"name": "form"}, tamper={"Idempotency-Key": word})
    assert (refused.status, refused.kind) == (400, "invalid")
    assert refused["errors"][0]["header"] == "Idempotency-Key"


def test_a_secret_that_is_answered_again_rests_sealed(acme, api):
    named = key()
    made = must(api.post("access-keys", {"label": "shown once"}, headers=named))
    again = must(api.post("access-keys", {"label": "shown once"}, headers=named))
    assert again == made
    with tenant_scope(acme.id):
        kept = AnsweredRequest.objects.filter(request_digest__isnull=False)
        assert len(kept) == 2  # by key and by signature
        for row in kept:
            assert bytes(row.body) == b""
            assert made["secret_access_key"].encode() not in bytes(row.fingerprint) + bytes(row.request_digest)
            assert SealedSecret.objects.filter(table="authn_answeredrequest", row_id=row.id).exists()


def test_kept_answers_are_forgotten_with_their_seals(acme, api):
    must(api.post("access-keys", {"label": "old"}, headers=key()))
    with tenant_scope(acme.id):
        ids = list(AnsweredRequest.objects.values_list("id", flat=True))
        assert idempotency.forget_old(clock.now()) == 0
        assert idempotency.forget_old(clock.now() + timedelta(hours=24, seconds=5)) == len(ids)
        assert not SealedSecret.objects.filter(row_id__in=ids).exists()


@pytest.mark.case("T034")
def test_T034_a_captured_change_cannot_be_made_twice(acme, api):
    content, path = b'{"name":"captured"}', "/api/v1/agents"
    key_ = (acme.access_key_id, acme.secret_access_key)
    lines = signed(key_, "POST", path, content, {"Host": HOST, "Content-Type": "application/json"})
    first = Api().replay("POST", path, content, lines)
    assert first.status == 201
    must(api.delete("agents/captured"))
    again = Api().replay("POST", path, content, lines)
    assert (again.status, again.json) == (201, first.json)
    assert agents_of(acme) == []
    with_key = Api().replay("POST", path, content, {**lines, **key()})
    assert (with_key.status, with_key.kind) == (429, "throttled")
    assert agents_of(acme) == []


def test_tokens_are_never_kept(acme, api):
    must(api.post("agents", {"name": "agent"}))
    named = key()
    first, again = (must(api.post("tokens/workload", {"agent": "agent"}, headers=named)) for _ in range(2))
    assert first != again
    with tenant_scope(acme.id):
        assert AnsweredRequest.objects.count() == 1  # the agent's creation


# --- versions ---------------------------------------------------------------------------------------------------


def test_a_change_on_an_old_version_is_refused(acme, api):
    made = api.post("agents", {"name": "versioned"})
    tag = made.headers["etag"]
    assert api.get("agents/versioned").headers["etag"] == tag
    changed = api.patch("agents/versioned", {"description": "one"}, headers={"If-Match": tag})
    assert (changed.status, changed["description"]) == (200, "one")
    assert changed.headers["etag"] != tag
    refused = api.patch("agents/versioned", {"description": "two"}, headers={"If-Match": tag})
    assert (refused.status, refused.kind) == (412, "changed-meanwhile")
    assert must(api.get("agents/versioned"))["description"] == "one"
    assert trail(acme, action="agent.update", outcome="denied")[0].reason == "changed_meanwhile"


def test_any_version_will_do_if_that_is_said_or_nothing_is(api):
    must(api.post("agents", {"name": "any"}))
    must(api.patch("agents/any", {"native": True}, headers={"If-Match": "*"}))
    must(api.patch("agents/any", {"native": False}))
    for bad in ('W/"x"', "x", '"a", "b"'):
        assert api.patch("agents/any", {"native": True}, headers={"If-Match": bad}).status == 400


def test_the_tenant_has_a_version_too(acme):
    owner = Api.as_person(acme)
    tag = owner.get("tenant").headers["etag"]
    assert owner.patch("tenant", {"name": "Acme"}, headers={"If-Match": tag}).status == 204
    assert owner.patch("tenant", {"name": "Acne"}, headers={"If-Match": tag}).status == 412
    assert must(owner.get("tenant"))["name"] == "Acme"


# --- pages ------------------------------------------------------------------------------------------------------


def test_a_list_is_read_to_its_end_without_gap_or_repetition(api):
    names = [f"agent-{n}" for n in range(5)]
    for name in names:
        must(api.post("agents", {"name": name}))
    seen, path = [], "/api/v1/agents?limit=2"
    while path:
        page = api.get(path)
        seen += [agent["name"] for agent in must(page)["items"]]
        link = page.headers.get("link", "")
        assert bool(link) == (page["next_cursor"] is not None)
        path = link.removeprefix(f"<{settings.PUBLIC_URL}").partition(">")[0] if link else ""
    assert seen == names


@pytest.mark.case("T096")
def test_T096_a_cursor_continues_one_list_of_one_tenant(acme, globex, api):
    for name in ("abc", "abd"):
        must(api.post("agents", {"name": name}))
        must(Api.of(globex).post("agents", {"name": name}))
    cursor = quote(must(api.get("agents?limit=1"))["next_cursor"], safe="")
    for caller, path in (
        (Api.of(globex), f"agents?cursor={cursor}"),
        (api, f"oauth-providers?cursor={cursor}"),
        (api, f"agents?cursor={mutated(cursor)}"),
    ):
        refused = caller.get(path)
        assert (refused.status, refused.kind) == (400, "invalid")


@pytest.mark.case("T096")
def test_T096_a_cursor_continues_one_question(acme, api):
    for name in ("abc", "abd"):
        must(api.post("agents", {"name": name}))
    cursor = quote(must(api.get("audit/events?limit=1&action=agent.create"))["next_cursor"], safe="")
    assert must(api.get(f"audit/events?limit=1&action=agent.create&cursor={cursor}"))["items"][0]["agent"] == "abc"
    assert api.get(f"audit/events?limit=1&cursor={cursor}").status == 400
    assert api.get(f"audit/events?limit=1&action=agent.list&cursor={cursor}").status == 400


# --- problems and headers ---------------------------------------------------------------------------------------


def test_every_code_has_a_status_and_every_kind_a_page(client):
    from apps.core.errors import Code
    from apps.entrypoints.rest import problems
    from apps.entrypoints.rest.problem_texts import TEXTS

    assert set(problems.TABLE) == set(Code)
    kinds = {kind.name for kind in (*problems.TABLE.values(), *problems.BY_REASON.values())}
    assert kinds == set(TEXTS)
    for name in kinds:
        page = client.get(f"/problems/{name}", headers={"host": HOST})
        assert page.status_code == 200
        assert TEXTS[name].title in page.content.decode()
    assert client.get("/problems/none", headers={"host": HOST}).status_code == 404


def test_the_reference_lists_every_kind_with_its_status():
    from apps.entrypoints.rest import problems
    from tests.architecture.test_docs import quoted
    from tests.architecture.test_docs import rows as table

    written = [(quoted(row[0])[0], int(row[1])) for row in table("docs/reference/rest-api.md", under="## Answers")[1:]]
    kinds = {(kind.name, kind.status) for kind in (*problems.TABLE.values(), *problems.BY_REASON.values())}
    assert set(written) == kinds


def test_a_problem_leads_to_its_page_and_its_record(acme, api):
    refused = api.get("agents/nobody")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused["status"] == refused.status == 404
    assert refused["request_id"] == refused.headers["x-request-id"]
    assert [record.reason for record in trail(acme, request_id=refused["request_id"])] == ["agent_not_found"]
    page = Client().get(refused["type"].removeprefix(settings.PUBLIC_URL), headers={"host": HOST})
    assert page.status_code == 200
    assert "default-src 'none'" in page["Content-Security-Policy"]


def test_a_fault_of_ours_says_nothing_about_itself(acme, api, monkeypatch):
    from apps.agents import queries

    def broken(*_args, **_options):
        raise RuntimeError("canary-in-the-text")

    monkeypatch.setattr(queries, "page", broken)
    refused = api.get("agents")
    assert (refused.status, refused.kind) == (500, "broken")
    assert b"canary" not in refused.body
    assert [record.outcome for record in trail(acme, action="agent.list")] == ["failed"]


def test_the_limits_are_said_and_kept(acme, api, monkeypatch):
    from apps.authn.rate_limits import counters

    answer = api.get("me")
    limit = settings.RATE_LIMITS["credential"]
    assert answer.headers["ratelimit-policy"] == f'"credential";q={limit};w=1'
    assert answer.headers["ratelimit"].startswith('"credential";r=')
    monkeypatch.setitem(counters.limits, "credential", 0)
    refused = api.get("me")
    assert (refused.status, refused.kind) == (429, "throttled")
    assert refused.headers["retry-after"] == "1"


def test_nothing_may_be_stored_on_the_way(api):
    for path in ("me", "agents/nobody"):
        answer = api.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert {"Authorization", "Cookie"} <= set(answer.headers["vary"].split(", "))
        assert answer.headers["x-content-type-options"] == "nosniff"


# --- access tokens of the portal --------------------------------------------------------------------------------


def client_of(tenant, *scopes: str) -> tuple[str, str]:
    made = must(Api.of(tenant).post("api-clients", {"name": "program", "scopes": list(scopes)}))
    return made["client_id"], made["client_secret"]


def with_token(tenant, *scopes: str) -> dict[str, str]:
    """The header of a program that got a token for these scopes."""
    client_id, secret = client_of(tenant, *scopes)
    answer = Client().post(
        f"/t/{tenant.slug}/oauth2/token",
        "grant_type=client_credentials&scope=" + "+".join(scopes).replace(":", "%3A"),
        content_type="application/x-www-form-urlencoded",
        headers={"host": HOST, "authorization": "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()},
    )
    assert answer.status_code == 200, answer.content
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_token_may_what_its_scopes_say_and_no_more(acme):
    header = with_token(acme, "agents:read")
    program = Api()
    assert program.get("agents", headers=header).status == 200
    assert must(program.get("me", headers=header))["scopes"] == ["agents:read"]
    refused = program.send("POST", "agents", {"name": "more"}, headers=header)
    assert (refused.status, refused.kind) == (403, "not-allowed")
    assert program.get("audit/events", headers=header).status == 403
    assert agents_of(acme) == []


def test_a_changed_token_is_none_and_the_session_beside_it_does_not_help(acme):
    header = with_token(acme, "agents:read")
    person = Api.as_person(acme)
    refused = person.get("agents", headers={"Authorization": mutated(header["Authorization"])})
    assert (refused.status, refused.kind) == (401, "unauthenticated")
    assert len(operator_reasons(refused)) == 1


def test_a_token_cannot_make_itself_a_key_or_a_person_that_may_more(acme):
    header = with_token(acme, "keys:write", "members:write", "agents:read")
    program = Api()
    everything = {"grants": [{"action": "*", "resource": "*"}]}
    read = {"grants": [{"action": "bedrock-agentcore:GetWorkloadIdentity", "resource": "*"}]}
    for body in ({"full_access": True}, everything):
        assert program.send("POST", "access-keys", body, headers=header).status == 403
    assert program.send("POST", "access-keys", read, headers=header).status == 201
    email = f"owner-{acme.slug}@example.org"
    refused = program.send("POST", "members", {"email": email, "role": "tenant_owner"}, headers=header)
    assert refused.status == 403
    assert [r.reason for r in trail(acme, outcome="denied")] == ["grant_above_own"] * 3
