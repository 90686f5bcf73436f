"""Workload access tokens: whom they bind, how long they live, where else they are tried."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from typing import Any

import pytest
import requests
import time_machine

from apps.broker import contracts as c
from apps.core import clock, tickets
from tests.security import oracle
from tests.security.lab import Lab, denied, must
from tests.security.wire import Wire
from tests.support import mutated

UNAUTHORIZED = (401, "UnauthorizedException")


def token_rows(lab: Lab) -> int:
    return int(lab.rows("SELECT count(*) FROM authn_workloadtoken WHERE tenant_id = %s")[0][0])


# --- bound to one agent -------------------------------------------------------------------------------------------


@pytest.mark.case("T041")
def test_T041_a_token_cannot_name_another_agent(lab: Lab) -> None:
    """There is no member to say so: the agent is in the token and nowhere else."""
    lab.add_agent("bot-2")
    user = lab.connect().user
    wat = lab.wat(user)
    members = {
        "workloadIdentityToken": wat,
        "resourceCredentialProviderName": "hub",
        "scopes": ["repo:read"],
        "oauth2Flow": "USER_FEDERATION",
    }
    must(lab.wire.call("GetResourceOauth2Token", members))
    for extra in ("workloadName", "agent", "workloadIdentityName", "userIdentifier"):
        with lab.refuses("unknown_field"):
            denied(lab.wire.call("GetResourceOauth2Token", {**members, extra: "bot-2"}), 400, "ValidationException")
    assert "accessToken" not in must(lab.ask(lab.wat(user, "bot-2"))), "the other agent needs a consent of its own"
    must(lab.wire.call("GetResourceOauth2Token", members))


@pytest.mark.case("T041")
def test_T041_a_key_made_for_one_agent_serves_no_other(lab: Lab) -> None:
    lab.add_agent("bot-3")
    flow = lab.connect()
    own = lab.key(("*", "*"), agent="bot")
    other = lab.key(("*", "*"), agent="bot-3")
    started = lab.start()
    lab.consent(started)
    must(lab.ask(flow.wat, wire=own))
    must(lab.ask_api_key(flow.wat, wire=own))
    attempts = {
        "mint": lambda wire: wire.call("GetWorkloadAccessToken", {"workloadName": "bot"}),
        "mint for a user": lambda wire: wire.call(
            "GetWorkloadAccessTokenForUserId", {"workloadName": "bot", "userId": flow.user}
        ),
        "token": lambda wire: lab.ask(flow.wat, wire=wire),
        "API key": lambda wire: lab.ask_api_key(flow.wat, wire=wire),
        "complete": lambda wire: lab.complete(started, wire=wire),
    }
    for name, attempt in attempts.items():
        with lab.refuses("agent_mismatch"):
            reply = attempt(other)
        assert (reply.status, reply.code) == (403, "AccessDeniedException"), name
    for name, attempt in attempts.items():
        assert attempt(own).status == 200, name


# --- lifetime -----------------------------------------------------------------------------------------------------


@pytest.mark.case("T042")
@pytest.mark.parametrize("fast", [True, False], ids=["hot path", "slow path"])
def test_T042_a_token_ends_on_the_second(lab: Lab, fast: bool) -> None:
    here = Wire(lab.portal.url, lab.wire.key_id, lab.wire.secret, here=True)
    wat = lab.wat()
    digest = tickets.digest_of(tickets.Kind.WORKLOAD_TOKEN, wat)
    name = "weather" if fast else "not-there"
    expires_at = lab.rows("SELECT expires_at FROM authn_workloadtoken WHERE digest = %s AND tenant_id = %s", digest)[0][
        0
    ]
    assert expires_at - clock.now() <= timedelta(hours=1)
    with time_machine.travel(expires_at - timedelta(seconds=1), tick=False):
        assert lab.ask_api_key(wat, wire=here, name=name).status == (200 if fast else 404)
    for late_s in (0, 1, 3600):
        with time_machine.travel(expires_at + timedelta(seconds=late_s), tick=False), lab.refuses("token_expired"):
            denied(lab.ask_api_key(wat, wire=here, name=name), *UNAUTHORIZED)


@pytest.mark.case("T042")
def test_T042_the_caller_cannot_ask_for_a_longer_life(lab: Lab) -> None:
    for name in ("ttl", "expiresIn", "durationSeconds", "lifetime"):
        for value in (10 * 365 * 86400, 0, -1, "900"):
            with lab.refuses("unknown_field"):
                members = {"workloadName": "bot", name: value}
                denied(lab.wire.call("GetWorkloadAccessToken", members), 400, "ValidationException")
    lab.wat()


@pytest.mark.case("T042")
def test_T042_the_policy_is_held_between_five_minutes_and_twelve_hours(own_lab: Lab) -> None:
    from django.db import DatabaseError

    from apps.core.errors import Invalid
    from apps.tenants.models import Tenant

    lab = own_lab
    for life_s in (300, 43_200):
        lab.run(c.UpdateTenant(workload_token_life_s=life_s))
        lab.wat()
        lives = lab.rows("SELECT max(expires_at - issued_at) FROM authn_workloadtoken WHERE tenant_id = %s")
        assert lives == [(timedelta(seconds=life_s),)]
    for life_s in (0, -1, 299, 43_201, 10**9):
        with lab.refuses("out_of_range"), pytest.raises(Invalid):
            lab.run(c.UpdateTenant(workload_token_life_s=life_s))
        if life_s >= 0:
            with pytest.raises(DatabaseError):
                Tenant.objects.filter(id=lab.tenant.id).update(workload_token_life_s=life_s)


@pytest.mark.case("T042")
def test_T042_a_shorter_policy_and_a_raised_epoch_end_what_they_should(own_lab: Lab) -> None:
    lab = own_lab
    wat = lab.wat()
    must(lab.ask_api_key(wat))
    oracle.execute("UPDATE tenants_tenant SET epoch = epoch + 1 WHERE id = %s", lab.tenant.id)
    with lab.refuses("tenant_ended_tokens"):
        denied(lab.ask_api_key(wat), *UNAUTHORIZED)
    must(lab.ask_api_key(lab.wat()))


# --- user ids -----------------------------------------------------------------------------------------------------

BAD_USER_IDS = {
    "129 characters": "u" * 129,
    "NUL": "a\x00b",
    "newline": "a\nb",
    "right-to-left mark": "a\u202eb",
    "zero width": "a\u200bb",
    "path": "../x",
    "inner path": "a/../b",
    "trailing space": "u ",
    "leading space": " u",
    "blank": " ",
    "private use": "a\ue000",
    "line separator": "a\u2028b",
}


@pytest.mark.case("T044")
@pytest.mark.parametrize("kind", BAD_USER_IDS)
def test_T044_a_user_id_that_could_be_mistaken_is_refused(lab: Lab, kind: str) -> None:
    def mint(user_id: str) -> Any:
        return lab.wire.call("GetWorkloadAccessTokenForUserId", {"workloadName": "bot", "userId": user_id})

    must(mint("good-user"))
    with lab.refuses({"user_id_invalid", "field_invalid"}):
        denied(mint(BAD_USER_IDS[kind]), 400, "ValidationException")
    must(mint("good-user"))


@pytest.mark.case("T044")
def test_T044_an_empty_user_id_is_refused(lab: Lab) -> None:
    with lab.refuses("field_invalid"):
        members = {"workloadName": "bot", "userId": ""}
        denied(lab.wire.call("GetWorkloadAccessTokenForUserId", members), 400, "ValidationException")


@pytest.mark.case("T044")
def test_T044_composed_and_decomposed_are_one_person_and_everything_else_is_exact(lab: Lab) -> None:
    composed = f"Zoë-{lab.new_user()}"
    flow = lab.connect(composed)
    assert must(lab.ask(lab.wat(unicodedata.normalize("NFD", composed))))["accessToken"]
    for other in (composed.upper(), composed.lower(), composed.replace("ë", "e"), composed + "x"):
        assert "accessToken" not in must(lab.ask(lab.wat(other))), other
    stored = lab.rows("SELECT subject FROM connections_principal WHERE subject = %s AND tenant_id = %s", composed)
    assert stored == [(unicodedata.normalize("NFC", composed),)]
    assert must(lab.ask(flow.wat))["accessToken"]


@pytest.mark.case("T044")
def test_T044_naming_a_person_is_a_permission_of_its_own(lab: Lab) -> None:
    minting = ("bedrock-agentcore:GetWorkloadAccessToken", "*")
    plain, trusted = lab.key(minting), lab.key(minting, ("bedrock-agentcore:GetWorkloadAccessTokenForUserId", "*"))
    lab.wat(wire=plain)
    user = lab.new_user()
    with lab.refuses("no_permission"):
        members = {"workloadName": "bot", "userId": user}
        denied(plain.call("GetWorkloadAccessTokenForUserId", members), 403, "AccessDeniedException")
    lab.wat(user, wire=trusted)
    # And once the person is known, the one-round-trip path asks the same question.
    with lab.refuses("no_permission"):
        denied(plain.call("GetWorkloadAccessTokenForUserId", members), 403, "AccessDeniedException")


@pytest.mark.case("T044")
def test_T044_a_user_id_never_equals_a_proven_subject(own_lab: Lab) -> None:
    """Whatever an application writes into a user id, it stays in a namespace of its own (decision 12)."""
    from tests.security.calls import SUCCEEDS

    lab = own_lab
    members = SUCCEEDS["GetWorkloadAccessTokenForJWT"](lab)
    wat = must(lab.wire.call("GetWorkloadAccessTokenForJWT", members))["workloadAccessToken"]
    issuer, subject = lab.rows("SELECT issuer, subject FROM connections_principal WHERE kind='jwt' AND tenant_id = %s")[
        0
    ]
    asked = must(lab.ask(wat, resourceOauth2ReturnUrl="http://127.0.0.1:9/cb"))
    agent_id = lab.rows("SELECT id FROM agents_agent WHERE tenant_id = %s")[0][0]
    for pretender in (subject, f"{issuer}:{subject}", f"jwt:({issuer}, {subject})", str(agent_id)):
        reply = lab.ask(lab.wat(pretender), sessionUri=asked["sessionUri"])
        denied(reply, 403, "AccessDeniedException")
    kinds = lab.rows(
        "SELECT kind, count(*) FROM connections_principal WHERE subject = %s AND tenant_id = %s GROUP BY 1", subject
    )
    assert sorted(kinds) == [("jwt", 1), ("uid", 1)]


@pytest.mark.case("T045")
def test_T045_a_token_for_another_agents_issuer_settings_is_refused(own_lab: Lab) -> None:
    from tests.security.calls import SUCCEEDS

    lab = own_lab
    members = SUCCEEDS["GetWorkloadAccessTokenForJWT"](lab)
    lab.add_agent("narrow")
    discovery = f"{lab.hub.url}/.well-known/openid-configuration"
    lab.run(c.TrustIssuer(discovery_url=discovery, audiences=("https://narrow.example",), agent="narrow"))
    must(lab.wire.call("GetWorkloadAccessTokenForJWT", members))
    # The process that is asked may have to fetch the issuer's keys first: that is no call to a provider.
    with oracle.refused(lab.tenant, reason="audience_mismatch"):
        narrow = {**members, "workloadName": "narrow"}
        denied(lab.wire.call("GetWorkloadAccessTokenForJWT", narrow), *UNAUTHORIZED)
    lab.run(c.TrustIssuer(discovery_url=discovery, audiences=(lab.client.client_id,), agent="narrow"))
    must(lab.wire.call("GetWorkloadAccessTokenForJWT", narrow))
    # Distrust ends it at the next call, on every process, keys in memory or not.
    issuers = lab.rows("SELECT id FROM authn_trustedissuer WHERE tenant_id = %s")
    for (issuer_id,) in issuers:
        lab.run(c.DistrustIssuer(issuer_id=issuer_id))
    for _ in range(8):
        with lab.refuses("no_trusted_issuer"):
            denied(lab.wire.call("GetWorkloadAccessTokenForJWT", members), 403, "AccessDeniedException")


# --- the wrong door -----------------------------------------------------------------------------------------------


@pytest.mark.case("T046")
def test_T046_a_workload_token_opens_nothing_but_what_it_is_for(lab: Lab) -> None:
    wat = lab.wat()
    must(lab.ask_api_key(wat))
    url = lab.portal.url
    bearer = {"Authorization": f"Bearer {wat}", "Content-Type": "application/json"}
    with lab.refuses("malformed_authorization"):
        reply = requests.post(f"{url}/identities/ListWorkloadIdentities", headers=bearer, json={}, timeout=20)
        assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (401, "UnauthorizedException")
    with lab.refuses("missing_authorization"):
        assert requests.post(f"{url}/identities/ListWorkloadIdentities", json={}, timeout=20).status_code == 401
    for path in ("/console/", "/me/"):
        page = requests.get(url + path, headers=bearer, timeout=20, allow_redirects=False)
        assert page.status_code in (302, 303) and "?next=" in page.headers["location"], path
    for path in ("/o/introspect/", "/o/token/", "/oauth2/introspect", "/introspect/"):
        assert requests.post(url + path, headers=bearer, json={"token": wat}, timeout=20).status_code in (401, 404), (
            path
        )
    for path in (f"/connect/{wat}", f"/connect/callback/{wat}"):
        assert requests.get(url + path, timeout=20).status_code == 404, path


@pytest.mark.case("T046")
def test_T046_a_token_in_the_query_string_is_refused_and_not_kept(lab: Lab) -> None:
    wat = lab.wat()
    signed = lab.wire.sign_raw("POST", f"/identities/ListWorkloadIdentities?token={wat}", b"{}")
    with lab.refuses("field_invalid") as watch:
        reply = denied(signed.send(), 400, "ValidationException")
    assert wat not in str(watch.records) and wat.encode() not in reply.body


@pytest.mark.case("T046")
@pytest.mark.case("T047")
def test_T046_nothing_else_passes_for_a_workload_token(lab: Lab) -> None:
    """Other artefacts of the portal, other people's tokens, spoilt ones: one and the same answer."""
    flow = lab.connect()
    wat = lab.wat()
    waiting = lab.start()
    account = lab.tenant.account_id
    body = wat[:-6]
    wrong = {
        "random": "x" * 64,
        "empty-ish": " ",
        "consent session": waiting.ticket,
        "session URI": waiting.session_uri,
        "state": tickets.mint(tickets.Kind.STATE, account).reveal(),
        "never issued": tickets.mint(tickets.Kind.WORKLOAD_TOKEN, account).reveal(),
        "never issued, no such account": tickets.mint(tickets.Kind.WORKLOAD_TOKEN, "100000000000").reveal(),
        "bad checksum": body + ("000000" if wat[-6:] != "000000" else "111111"),
        "cut short": wat[:-1],
        "with blank": wat + " ",
        "upper case": wat.upper(),
        "session's kind, token's text": "acs" + wat[3:],
        "access token of the provider": must(lab.ask(flow.wat))["accessToken"],
        "API key": lab.api_key,
        "access key id": lab.wire.key_id,
        "stored digest": tickets.digest_of(tickets.Kind.WORKLOAD_TOKEN, wat).hex(),
        "100 kB": "awt_" + "9" * 100_000,
        "not ASCII": wat[:-1] + "é",
    }
    answers = set()
    for name, text in wrong.items():
        for attempt in (lab.ask, lab.ask_api_key):
            with lab.refuses(
                {"ticket_malformed", "ticket_checksum", "workload_token_unknown", "workload_token_foreign"}
            ):
                reply = attempt(text)
            assert (reply.status, reply.code) == UNAUTHORIZED, name
            answers.add(reply.body)
    assert len(answers) == 1
    must(lab.ask_api_key(wat))


@pytest.mark.case("T047")
def test_T047_a_bad_checksum_costs_no_look_into_the_token_table(lab: Lab) -> None:
    from benchmarks.wiretap import tapped

    here = Wire(lab.portal.url, lab.wire.key_id, lab.wire.secret, here=True)
    wat = lab.wat()

    def looked(token: str) -> bool:
        """Counted on the wire to the database, by the text of what is prepared there: a new connection prepares."""
        with tapped() as tap:
            reply = lab.ask_api_key(token, wire=here)
            assert reply.status == (200 if token == wat else 401)
            return any("portal_release" in text or "authn_workloadtoken" in text for _, text in tap.messages)

    assert looked(wat) and not looked(mutated(wat))


@pytest.mark.case("T047")
def test_T047_a_megabyte_is_refused_unread(lab: Lab) -> None:
    with lab.refuses("body_too_large"):
        reply = lab.ask("x" * 1_000_000)
    denied(reply, 400, "ValidationException")
    must(lab.ask_api_key(lab.wat()))


@pytest.mark.case("T047")
def test_T047_a_flood_of_bad_tokens_is_slowed_down_and_not_a_flood_of_records(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.authn.rate_limits import counters

    here = Wire(lab.portal.url, lab.wire.key_id, lab.wire.secret, here=True)
    garbage = tickets.mint(tickets.Kind.WORKLOAD_TOKEN, lab.tenant.account_id).reveal()
    for kind in ("agent", "credential"):
        monkeypatch.setitem(counters.limits, kind, 3)
        frozen = clock.now() + timedelta(seconds={"agent": 10, "credential": 20}[kind])
        with time_machine.travel(frozen, tick=False), lab.watching() as watch:
            replies = [lab.ask_api_key(garbage, wire=here) for _ in range(12)]
        assert [reply.status for reply in replies] == [401] * 3 + [429] * 9, kind
        assert replies[-1].code == "ThrottlingException" and replies[-1].headers["retry-after"] == "1"
        assert watch.reasons()[f"rate_limited_{kind}"] == 1
        monkeypatch.setitem(counters.limits, kind, 2000)
    must(lab.ask_api_key(lab.wat()))
