"""What each resource does, seen from outside, and what the audit trail says about it."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from apps.agents.models import Agent
from apps.authn.models import AccessKey
from apps.broker import contracts as c
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.connections.models import Connection, ConsentSession, Principal
from apps.core import clock
from apps.core.secret import Secret
from apps.tenants.scope import tenant_scope
from tests.rest.api import Api, must
from tests.support import rows, trail
from tests.walls.samples import connection

GITHUB = {"vendor": "GithubOauth2", "client_id": "c1", "client_secret": "canary-secret"}


@pytest.fixture
def api(acme) -> Api:
    return Api.of(acme)


# --- agents -----------------------------------------------------------------------------------------------------


def test_an_agent_has_a_description_an_owner_and_marks(acme, api):
    person = Api.as_person(acme, "agent_developer")
    email = must(person.get("members"))["items"][0]["email"]
    made = must(person.post("agents", {"name": "bot", "description": "Drafts", "owner": email, "native": True}))
    assert (made["description"], made["owner"], made["native"], made["trusted"]) == ("Drafts", email, True, False)
    changed = must(api.patch("agents/bot", {"owner": None, "return_urls": ["https://bot.example/cb"]}))
    assert (changed["owner"], changed["description"], changed["return_urls"]) == (
        None,
        "Drafts",
        ["https://bot.example/cb"],
    )
    (record,) = trail(acme, action="agent.update")
    assert record.details["profile_before"]["owner"] and record.details["profile_after"] == {"owner": None}


def test_only_an_administrator_marks_an_agent_as_trusted(acme, api):
    must(api.post("agents", {"name": "bot"}))
    refused = Api.as_person(acme, "agent_developer").put("agents/bot/trust", {"trusted": True})
    assert refused.status == 403
    assert rows(acme, Agent)[0].trusted is False
    assert must(Api.as_person(acme, "tenant_admin").put("agents/bot/trust", {"trusted": True}))["trusted"] is True
    assert [(r.outcome, r.details.get("after")) for r in trail(acme, action="agent.trust")] == [
        ("denied", None),
        ("allowed", True),
    ]


@pytest.mark.case("T043")
def test_T043_a_suspended_agent_gets_nothing_from_the_next_call_on(acme, api):
    must(api.post("agents", {"name": "bot"}))
    must(api.post("api-key-providers", {"name": "weather", "api_key": "sk-1"}))
    token = must(api.post("tokens/workload", {"agent": "bot"}))["workload_token"]
    asked = {"workload_token": token, "provider": "weather"}
    assert must(api.post("tokens/api-key", asked)) == {"api_key": "sk-1"}
    assert api.post("agents/bot/suspend", {"why": "leaked"}).status == 204
    assert api.post("tokens/api-key", asked).status == 401
    assert api.post("tokens/workload", {"agent": "bot"}).status == 403
    assert api.post("agents/bot/resume", {}).status == 204
    assert api.post("tokens/api-key", asked).status == 401  # what was out stays ended
    assert trail(acme, action="agent.suspend")[0].details["why"] == "leaked"


def test_suspending_needs_a_reason(acme, api):
    must(api.post("agents", {"name": "bot"}))
    for body in ({}, {"why": ""}, {"why": "   "}):
        assert api.post("agents/bot/suspend", body).status == 400
    assert rows(acme, Agent)[0].status == "active"


# --- providers --------------------------------------------------------------------------------------------------


def test_a_provider_never_shows_its_secret(acme, api):
    made = api.post("oauth-providers", {"name": "github", **GITHUB})
    assert made.status == 201
    must(api.post("api-key-providers", {"name": "weather", "api_key": "canary-secret"}))
    seen = [made.body]
    for path in ("oauth-providers", "oauth-providers/github", "api-key-providers", "api-key-providers/weather"):
        answer = api.get(path)
        assert answer.status == 200
        seen.append(answer.body)
    refused = api.post("oauth-providers", {"name": "github", **GITHUB, "client_secret": ["canary-secret"]})
    assert refused.status == 400
    assert b"canary-secret" not in b"".join([*seen, refused.body])


def test_replacing_a_provider_on_an_old_version_is_refused(api):
    tag = api.post("oauth-providers", {"name": "github", **GITHUB}).headers["etag"]
    must(api.put("oauth-providers/github", {**GITHUB, "client_secret": "new"}, headers={"If-Match": tag}))
    refused = api.put("oauth-providers/github", GITHUB, headers={"If-Match": tag})
    assert (refused.status, refused.kind) == (412, "changed-meanwhile")


def test_the_token_exchange_of_a_provider_survives_a_replacement_that_cannot_name_it(acme, api):
    from apps.providers.models import Provider

    must(api.post("oauth-providers", {"name": "github", **GITHUB}))
    with tenant_scope(acme.id):
        row = Provider.objects.get(name="github")
        row.config = {**row.config, "on_behalf_of": {"grantType": "TOKEN_EXCHANGE"}}
        row.save()
    must(api.put("oauth-providers/github", GITHUB))
    assert rows(acme, Provider, name="github")[0].config["on_behalf_of"] == {"grantType": "TOKEN_EXCHANGE"}


def test_a_suspended_provider_releases_nothing(api):
    must(api.post("agents", {"name": "bot"}))
    provider = must(api.post("api-key-providers", {"name": "weather", "api_key": "sk-1"}))["id"]
    asked = {
        "workload_token": must(api.post("tokens/workload", {"agent": "bot"}))["workload_token"],
        "provider": "weather",
    }
    assert api.post(f"providers/{provider}/suspend", {"why": "leaked"}).status == 204
    assert api.post("tokens/api-key", asked).status == 403
    assert api.post(f"providers/{provider}/resume", {}).status == 204
    assert api.post("tokens/api-key", asked).status == 200


# --- connections ------------------------------------------------------------------------------------------------


def test_connections_are_listed_filtered_and_read_without_tokens(acme, api):
    with tenant_scope(acme.id):
        one, two = (
            connection(params={"custom": {"prompt": "canary-value"}, "resources": ["https://r.example"]}),
            connection(),
        )
    assert [row["id"] for row in must(api.get("connections"))["items"]] == [str(two.id), str(one.id)]
    assert [row["id"] for row in must(api.get(f"connections?agent={one.agent.name}"))["items"]] == [str(one.id)]
    assert must(api.get("connections?status=revoked"))["items"] == []
    answer = api.get(f"connections/{one.id}")
    assert answer["custom_parameters"] == ["prompt"]
    assert answer["resources"] == ["https://r.example"]
    assert b"canary-value" not in answer.body
    assert "token" not in answer.json
    assert trail(acme, action="connection.read")[0].connection_id == one.id


@pytest.mark.case("T043")
def test_T043_a_revoked_connection_is_over(acme, api):
    with tenant_scope(acme.id):
        row = connection()
    assert api.post(f"connections/{row.id}/revoke", {"why": "asked for"}).status == 204
    assert must(api.get(f"connections/{row.id}"))["status"] == "revoked"
    assert rows(acme, Connection)[0].status == "revoked"


def test_a_list_of_connections_costs_the_same_however_long_it_is(acme, api, django_assert_max_num_queries):
    with tenant_scope(acme.id):
        for _ in range(12):
            connection()
    must(api.get("connections?limit=1"))
    with django_assert_max_num_queries(14):
        assert len(must(api.get("connections?limit=12"))["items"]) == 12


# --- tokens and consent -----------------------------------------------------------------------------------------


@pytest.fixture
def asking(acme, api):
    must(api.post("agents", {"name": "bot", "return_urls": ["https://bot.example/cb"]}))
    must(api.post("oauth-providers", {"name": "github", **GITHUB}))
    token = must(api.post("tokens/workload", {"agent": "bot", "user_id": "dana"}))["workload_token"]
    return {
        "workload_token": token,
        "provider": "github",
        "scopes": ["repo"],
        "flow": "user_federation",
        "return_url": "https://bot.example/cb",
    }


def test_a_token_that_needs_consent_says_where_and_how_to_wait(acme, api, asking):
    needed = must(api.post("tokens/oauth", asking))
    assert needed["status"] == "consent_needed" and needed["access_token"] is None
    (row,) = rows(acme, ConsentSession)
    assert needed["session_id"] == str(row.id)
    state = must(api.get(f"consent-sessions/{row.id}"))
    assert (state["status"], state["settled"], state["agent"]) == ("pending", False, "bot")
    # The link opens the session; the id must not lead to it.
    assert needed["session_uri"].rsplit(":", 1)[1] not in str(state)
    polled = must(api.post("tokens/oauth", {**asking, "session_uri": needed["session_uri"]}))
    assert polled["session_id"] == needed["session_id"]


def test_a_stored_token_is_released_as_on_the_wire(acme, api, asking):
    from apps.connections.params import RequestParams
    from apps.vault import storing

    must(api.post("tokens/oauth", asking))
    (row,) = rows(acme, ConsentSession)
    with tenant_scope(acme.id):
        made = Connection.objects.create(
            agent=row.agent, principal=row.principal, provider=row.provider, flow="user_federation",
            params_digest=RequestParams().digest(), requested_scopes=["repo"], granted_scopes=["repo"],
            provider_config_version=row.provider_config_version,
        )  # fmt: skip
        storing.put(
            Secret("at-1"),
            table="connections_connection",
            row_id=made.id,
            column="access_token",
            purpose="connection.access_token",
        )
    answer = must(api.post("tokens/oauth", asking))
    assert (answer["status"], answer["access_token"]) == ("released", "at-1")


def test_waiting_ends_when_the_consent_changes(acme, api, asking):
    session_id = must(api.post("tokens/oauth", asking))["session_id"]

    def decline():
        from django.db import connection as database

        time.sleep(0.8)
        try:
            with tenant_scope(acme.id):
                ConsentSession.objects.filter(id=session_id).update(status="denied", problem="denied")
        finally:
            database.close()

    person = threading.Thread(target=decline)
    began = time.monotonic()
    person.start()
    state = must(api.get(f"consent-sessions/{session_id}?wait=30"))
    person.join()
    assert (state["status"], state["settled"]) == ("denied", True)
    assert time.monotonic() - began < 25
    assert len(trail(acme, action="consent.read")) == 1


def test_waiting_holds_no_transaction_and_ends_in_time(acme, api, asking):
    import psycopg
    from django.db import connection as database

    session_id = must(api.post("tokens/oauth", asking))["session_id"]
    pid = []
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid.append(cursor.fetchone()[0])
    seen = []
    params = database.get_connection_params()

    def watch():
        plain = {key: params[key] for key in ("dbname", "user", "password", "host", "port") if params.get(key)}
        with psycopg.connect(**plain, autocommit=True) as other:
            for _ in range(8):
                time.sleep(0.2)
                row = other.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", pid).fetchone()
                seen.append(row and row[0])

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert must(api.get(f"consent-sessions/{session_id}?wait=2"))["status"] == "pending"
    watcher.join()
    assert "idle" in seen  # between two looks nothing is open


def test_a_right_that_is_taken_away_ends_the_waiting(acme, api, asking):
    session_id = must(api.post("tokens/oauth", asking))["session_id"]
    key = Api.with_grants(acme, ("bedrock-agentcore:GetResourceOauth2Token", "*"))
    assert key.get(f"consent-sessions/{session_id}").status == 200

    def disable():
        from django.db import connection as database

        time.sleep(0.8)
        try:
            run(c.DisableAccessKey(access_key_id=key.key[0]), acme.caller())
        finally:
            database.close()

    admin = threading.Thread(target=disable)
    admin.start()
    assert key.get(f"consent-sessions/{session_id}?wait=30").status == 401
    admin.join()


def test_few_may_wait_and_the_others_are_answered_at_once(acme, api, asking):
    from apps.broker.reading import consent_sessions

    session_id = must(api.post("tokens/oauth", asking))["session_id"]
    assert consent_sessions._seats.acquire(blocking=False)
    try:
        began = time.monotonic()
        assert must(api.get(f"consent-sessions/{session_id}?wait=30"))["settled"] is False
        assert time.monotonic() - began < 20
    finally:
        consent_sessions._seats.release()


def test_a_key_of_one_agent_sees_no_consent_of_another(acme, api, asking):
    session_id = must(api.post("tokens/oauth", asking))["session_id"]
    must(api.post("agents", {"name": "other"}))
    other = Api.with_grants(acme, ("*", "*"), agent="other")
    assert other.get(f"consent-sessions/{session_id}").status == 403


@pytest.mark.parametrize("wait", ["31", "-1", "1.5", "soon"])
def test_nobody_waits_longer_than_that(api, wait):
    assert api.get(f"consent-sessions/00000000-0000-4000-8000-000000000000?wait={wait}").status == 400


@pytest.mark.case("T044")
def test_T044_a_user_id_needs_a_permission_and_a_form(acme, api):
    must(api.post("agents", {"name": "bot"}))
    key = Api.with_grants(acme, ("bedrock-agentcore:GetWorkloadAccessToken", "*"))
    assert key.post("tokens/workload", {"agent": "bot"}).status == 200
    assert key.post("tokens/workload", {"agent": "bot", "user_id": "dana"}).status == 403
    for bad in ("", "x" * 129, "a\x00b", "a\nb", "a\u202eb", "../x", "x "):
        assert api.post("tokens/workload", {"agent": "bot", "user_id": bad}).status == 400
    assert api.post("tokens/workload", {"agent": "bot", "user_id": "a", "jwt": "b"}).status == 400


@pytest.mark.case("T051")
def test_T051_scopes_have_a_form_and_a_number(acme, api, asking):
    for scopes in (["s"] * 500, ['a"b'], ["a\nb"], ["x" * 129], "repo"):
        assert api.post("tokens/oauth", {**asking, "scopes": scopes}).status == 400
    assert rows(acme, ConsentSession) == []


# --- access keys ------------------------------------------------------------------------------------------------


def test_a_permission_under_a_condition_is_given_and_shown_whole(acme, api):
    grant = {
        "action": "bedrock-agentcore:GetWorkloadAccessTokenForUserId",
        "resource": "*",
        "conditions": [{"operator": "StringLike", "key": "bedrock-agentcore:userid", "values": ["test-*", "demo"]}],
    }
    made = must(api.post("access-keys", {"label": "job", "grants": [grant]}))
    assert must(api.get(f"access-keys/{made['access_key_id']}"))["grants"] == [grant]
    wrong = {**grant, "conditions": [{"operator": "Sounds", "key": "bedrock-agentcore:userid", "values": ["x"]}]}
    assert api.post("access-keys", {"label": "job", "grants": [wrong]}).status == 400


def test_an_access_key_is_made_used_disabled_enabled_and_removed(acme, api):
    grant = {"action": "bedrock-agentcore:ListWorkloadIdentities", "resource": "*"}
    made = must(
        api.post(
            "access-keys",
            {"label": "job", "grants": [grant]},
        )
    )
    key = Api(key=(made["access_key_id"], made["secret_access_key"]))
    path = f"access-keys/{made['access_key_id']}"
    assert key.get("agents").status == 200
    assert must(api.get(path))["grants"] == [{**grant, "conditions": []}]
    assert made["secret_access_key"].encode() not in api.get(path).body + api.get("access-keys").body
    assert api.post(f"{path}/disable").status == 204
    assert key.get("agents").status == 401
    assert api.post(f"{path}/enable").status == 204
    assert key.get("agents").status == 200
    assert api.delete(path).status == 204
    assert key.get("agents").status == 401
    assert [
        r.action
        for r in trail(acme, outcome="allowed")
        if r.action.startswith("access_key.") and "read" not in r.action and "list" not in r.action
    ][1:] == [
        "access_key.create",
        "access_key.disable",
        "access_key.enable",
        "access_key.delete",
    ]


def test_a_key_above_an_administrator_cannot_be_enabled_by_them(acme):
    strong = run(c.CreateAccessKey(full_access=True), system_caller(acme.tenant, "test"))
    run(c.DisableAccessKey(access_key_id=strong.access_key_id), acme.caller())
    path = f"access-keys/{strong.access_key_id}/enable"
    assert Api.as_person(acme, "tenant_admin").post(path).status == 403
    assert rows(acme, AccessKey, key_id=strong.access_key_id)[0].status == "disabled"
    assert Api.as_person(acme, "tenant_owner").post(path).status == 204


def test_a_key_may_end_by_itself(api):
    soon = (clock.now() + timedelta(days=1)).isoformat()
    made = must(api.post("access-keys", {"expires_at": soon}))
    assert must(api.get(f"access-keys/{made['access_key_id']}"))["expires_at"]
    for bad in ("tomorrow", "2026-01-31", "2026-01-31T12:00:00", 7):
        assert api.post("access-keys", {"expires_at": bad}).status == 400


# --- people -----------------------------------------------------------------------------------------------------


def test_members_come_and_go(acme):
    owner = Api.as_person(acme)
    email = f"new-{acme.slug}@example.org"
    made = must(owner.post("members", {"email": email, "role": "approver", "password": "a long pass phrase 7"}))
    assert ("approver", email) in {(row["role"], row["email"]) for row in must(owner.get("members"))["items"]}
    assert owner.delete(f"members/{made['user_id']}").status == 204
    assert email not in {row["email"] for row in must(owner.get("members"))["items"]}


def test_nobody_gives_a_role_above_their_own(acme):
    refused = Api.as_person(acme, "tenant_admin").post(
        "members", {"email": f"x-{acme.slug}@example.org", "role": "tenant_owner"}
    )
    assert refused.status == 403


@pytest.mark.case("T043")
def test_T043_no_agent_acts_for_a_suspended_principal(acme, api):
    must(api.post("agents", {"name": "bot"}))
    must(api.post("api-key-providers", {"name": "weather", "api_key": "sk-1"}))
    token = must(api.post("tokens/workload", {"agent": "bot", "user_id": "dana"}))["workload_token"]
    asked = {"workload_token": token, "provider": "weather"}
    must(api.post("tokens/api-key", asked))
    (found,) = must(api.get("principals?kind=uid&subject=dana"))["items"]
    assert api.post(f"principals/{found['id']}/suspend", {"why": "left"}).status == 204
    assert api.post("tokens/api-key", asked).status == 401
    again = api.post("tokens/workload", {"agent": "bot", "user_id": "dana"})
    if again.status == 200:
        assert api.post("tokens/api-key", {**asked, "workload_token": again["workload_token"]}).status == 401
    assert api.post(f"principals/{found['id']}/resume", {}).status == 204
    assert api.post("tokens/api-key", asked).status == 401
    fresh = must(api.post("tokens/workload", {"agent": "bot", "user_id": "dana"}))["workload_token"]
    assert api.post("tokens/api-key", {**asked, "workload_token": fresh}).status == 200
    assert rows(acme, Principal, subject="dana")[0].status == "active"
    assert [r.action for r in trail(acme) if r.action.startswith("principal.s")] == ["principal.suspend"]


def test_an_issuer_is_trusted_listed_and_distrusted(acme, api, hub):
    must(
        api.post(
            "trusted-issuers", {"discovery_url": f"{hub.url}/.well-known/openid-configuration", "audiences": ["bot"]}
        )
    )
    (found,) = must(api.get("trusted-issuers"))["items"]
    assert (found["issuer"], found["audiences"], found["agent"]) == (hub.url, ["bot"], None)
    assert api.delete(f"trusted-issuers/{found['id']}").status == 204
    assert must(api.get("trusted-issuers"))["items"] == []


# --- the tenant -------------------------------------------------------------------------------------------------


def test_the_trail_is_read_by_what_happened_and_when(acme, api):
    for name in ("first", "second"):
        must(api.post("agents", {"name": name}))
    newest = must(api.get("audit/events?action=agent.create"))["items"]
    assert [event["agent"] for event in newest] == ["second", "first"]
    since = newest[0]["at"].replace("+00:00", "Z")
    assert [
        e["agent"]
        for e in must(api.get(f"audit/events?action=agent.create&since={since.replace(':', '%3A')}"))["items"]
    ] == ["second"]
    assert [
        e["agent"]
        for e in must(api.get(f"audit/events?action=agent.create&until={since.replace(':', '%3A')}"))["items"]
    ] == ["first"]
    wanted = newest[0]["request_id"]
    assert {e["request_id"] for e in must(api.get(f"audit/events?request_id={wanted}"))["items"]} == {wanted}
    assert len(trail(acme, action="audit.read")) == 4


def test_who_is_asking(acme, api):
    found = must(api.get("me"))
    assert (found["kind"], found["tenant"], found["full_access"], found["role"]) == (
        "access_key",
        acme.slug,
        True,
        None,
    )
    person = must(Api.as_person(acme, "approver").get("me"))
    assert (person["kind"], person["role"]) == ("person", "approver")
    assert "agent.list" in person["actions"] and "agent.create" not in person["actions"]


def test_settings_of_the_tenant_keep_to_their_bounds(acme):
    owner = Api.as_person(acme)
    assert owner.patch("tenant", {"workload_token_life_s": 1800}).status == 204
    assert must(owner.get("tenant"))["workload_token_life_s"] == 1800
    for bad in (299, 43201, "1800", 1800.0, True):
        assert owner.patch("tenant", {"workload_token_life_s": bad}).status == 400
    assert Api.as_person(acme, "tenant_admin").patch("tenant", {"name": "x"}).status == 403
    assert must(owner.get("tenant"))["workload_token_life_s"] == 1800
