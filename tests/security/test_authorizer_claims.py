"""Agent authorizer: what a proven token says. Each case is a token that would pass, with one fault."""

from __future__ import annotations

import time
from typing import Any

import pytest

from apps.broker.inbound import contracts as c
from apps.broker.run import run
from apps.core.errors import Invalid
from apps.core.secret import Secret
from tests.fakes.issuer import AUDIENCE, CLIENT, Issuer
from tests.security import oracle
from tests.security.doors import Door

GONE: Any = ...


@pytest.mark.case("T012")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exp": -61}, "token_expired"),
        ({"nbf": 61}, "token_not_yet_valid"),
        ({"iat": 3600}, "token_not_yet_valid"),
        ({"exp": GONE}, "exp_missing"),
        ({"iat": GONE}, "iat_missing"),
        ({"exp": "1999999999"}, "exp_invalid"),
        ({"exp": 1e300}, "exp_invalid"),
        ({"exp": True}, "exp_invalid"),
    ],
    ids=str,
)
def test_T012_times(door: Door, issuer: Issuer, change: dict[str, Any], reason: Any) -> None:
    now = int(time.time())
    moved = {name: now + value if type(value) is int else value for name, value in change.items()}
    door.denies(issuer.token(**moved), reason, 401)


@pytest.mark.case("T012")
def test_T012_a_negative_time(door: Door, issuer: Issuer) -> None:
    door.denies(issuer.token(exp=-1), "exp_invalid", 401)


@pytest.mark.case("T012")
def test_T012_some_seconds_of_leeway(door: Door, issuer: Issuer) -> None:
    door.admits(issuer.token(exp=int(time.time()) - 10))


@pytest.mark.case("T013")
@pytest.mark.parametrize(
    "twist",
    [
        lambda url: f"{url}/",
        lambda url: url.replace("http", "HTTP"),
        lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
        lambda url: f"{url}.evil",
        lambda url: [url],
        lambda url: GONE,
        lambda url: "",
    ],
    ids=["slash", "case", "port", "suffix", "array", "missing", "empty"],
)
def test_T013_the_issuer_is_compared_as_it_is(door: Door, issuer: Issuer, twist: Any) -> None:
    door.denies(issuer.token(iss=twist(issuer.url)), {"issuer_mismatch", "issuer_not_configured"}, 401)


@pytest.mark.case("T014")
@pytest.mark.parametrize(
    "audience",
    [GONE, "https://other.example", f"{AUDIENCE}-evil", AUDIENCE[:-1], ["https://other.example"], [], 7, {AUDIENCE: 1}],
    ids=str,
)
def test_T014_a_token_for_somebody_else(door: Door, issuer: Issuer, audience: Any) -> None:
    door.denies(issuer.token(aud=audience), "audience_mismatch", 401)


@pytest.mark.case("T014")
def test_T014_an_authorizer_without_audience_and_client_cannot_be_saved(door: Door, issuer: Issuer) -> None:
    with oracle.refused(door.tenant, reason="issuer_policy_invalid"), pytest.raises(Invalid):
        door.set(audiences=(), scopes=("agent:invoke",))
    door.admits(issuer.token())


@pytest.mark.case("T015")
@pytest.mark.parametrize(
    "claims",
    [
        {"client_id": "other"},
        {"client_id": "other", "azp": CLIENT},
        {"client_id": CLIENT, "azp": "other"},
        {"client_id": GONE, "appid": CLIENT},
        {"client_id": GONE},
        {"client_id": [CLIENT]},
    ],
    ids=str,
)
def test_T015_clients_that_are_not_listed(door: Door, issuer: Issuer, claims: dict[str, Any]) -> None:
    door.set(clients=(CLIENT,), client_claims=("azp",))
    answer = door.denies(issuer.token(**claims), "client_not_allowed", 403)
    assert answer["clause"] == f"{issuer.url} allowedClients"
    assert "error=" not in answer["www_authenticate"]


@pytest.mark.case("T015")
@pytest.mark.parametrize("claim", ["azp", "appid", "cid"])
def test_T015_the_client_is_found_where_the_authorizer_says(door: Door, issuer: Issuer, claim: str) -> None:
    door.set(clients=(CLIENT,))
    token = issuer.token(client_id=GONE, **{claim: CLIENT})
    assert door.ask(token)["reason"] == "client_not_allowed"
    door.set(clients=(CLIENT,), client_claims=(claim,))
    door.admits(token)


@pytest.mark.case("T016")
@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "agent:invoke:x"},
        {"scope": "AGENT:INVOKE"},
        {"scope": "agent:invoke,agent:x"},
        {"scope": GONE, "scp": ["agent:invoke", 1]},
        {"scope": GONE},
        {"scope": GONE, "roles": ["agent:invoke"]},
    ],
    ids=str,
)
def test_T016_scopes_are_compared_whole(door: Door, issuer: Issuer, claims: dict[str, Any]) -> None:
    door.set(scopes=("agent:invoke",))
    answer = door.denies(issuer.token(**claims), "insufficient_scope", 403)
    assert 'error="insufficient_scope"' in answer["www_authenticate"]
    assert 'scope="agent:invoke"' in answer["www_authenticate"]


@pytest.mark.case("T016")
def test_T016_one_scope_is_enough_unless_the_authorizer_wants_all(door: Door, issuer: Issuer) -> None:
    door.set(scopes=("agent:invoke", "agent:admin"))
    door.admits(issuer.token())
    door.set(scopes=("agent:invoke", "agent:admin"), scope_match="all")
    assert door.ask(issuer.token())["reason"] == "insufficient_scope"
    door.admits(issuer.token(scope="agent:admin agent:invoke"))


@pytest.mark.case("T016")
def test_T016_clients_are_told_the_advertised_name_of_a_scope(door: Door, issuer: Issuer) -> None:
    door.set(scopes=("agent:invoke",), advertised_scopes={"agent:invoke": "api://agents/agent:invoke"})
    answer = door.ask(issuer.token(scope="profile"))
    assert 'scope="api://agents/agent:invoke"' in answer["www_authenticate"]
    # The enforced one counts, not its advertised name.
    assert door.ask(issuer.token(scope="api://agents/agent:invoke"))["decision"] == "deny"


@pytest.mark.case("T017")
@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "n", "at_hash": "h", "aud": CLIENT},
        {"nonce": "n", "at_hash": "h"},
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
        {"htm": "POST", "htu": "https://agents.acme.example"},
        {"token_introspection": {"active": True}},
        {"token_use": "id"},
    ],
    ids=str,
)
def test_T017_what_is_no_access_token(door: Door, issuer: Issuer, claims: dict[str, Any]) -> None:
    door.set(audiences=(AUDIENCE, CLIENT))
    door.denies(issuer.token(**claims), "token_type_not_allowed", 401)


@pytest.mark.case("T017")
@pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "secevent+jwt", "JWE"])
def test_T017_a_type_that_says_so(door: Door, issuer: Issuer, typ: str) -> None:
    door.denies(issuer.token(header={"typ": typ}), "token_type_not_allowed", 401)


@pytest.mark.case("T017")
def test_T017_a_client_assertion(door: Door, issuer: Issuer) -> None:
    door.denies(issuer.token(sub=issuer.url), "token_type_not_allowed", 401)


@pytest.mark.case("T017")
def test_T017_our_own_workload_token(door: Door, issuer: Issuer) -> None:
    token = door.ask(issuer.token(), workload_token=True)["workload_token"]
    door.denies(token, "malformed", 401)


def rule(value_type: str, operator: str, *values: str, claim: str = "tenant", several: bool = False) -> c.CustomClaim:
    return c.CustomClaim(claim=claim, value_type=value_type, operator=operator, values=values, several=several)


@pytest.mark.case("T018")
@pytest.mark.parametrize(
    "value", [["acme", "x"], ["acme"], "acme ", "ACME", "acme-corp", True, 1, {"acme": 1}, GONE, None], ids=str
)
def test_T018_a_text_claim_is_compared_as_it_is(door: Door, issuer: Issuer, value: Any) -> None:
    door.set(custom_claims=(rule("STRING", "EQUALS", "acme"),))
    good = issuer.token(tenant="acme")
    door.admits(good)
    with door.refuses("claim_mismatch"):
        answer = door.ask(issuer.token(tenant=value))
    assert (answer["status"], answer["clause"]) == (403, f"{issuer.url} customClaims")
    door.admits(good)


@pytest.mark.case("T018")
@pytest.mark.parametrize(("written", "value"), [("true", True), ("1", 1), ("None", None)])
def test_T018_nothing_is_converted_to_text(door: Door, issuer: Issuer, written: str, value: Any) -> None:
    door.set(custom_claims=(rule("STRING", "EQUALS", written),))
    door.admits(issuer.token(tenant=written))
    assert door.ask(issuer.token(tenant=value))["reason"] == "claim_mismatch"


@pytest.mark.case("T018")
@pytest.mark.parametrize(
    ("given", "passes", "fails"),
    [
        (rule("STRING", "EQUALS", "acme"), ["acme"], [["acme"], "acme-x", "x"]),
        (
            rule("STRING", "CONTAINS", "acme", "globex", several=True),
            ["acme", "globex"],
            ["acm", ["acme"], "acme globex"],
        ),
        (rule("STRING_ARRAY", "CONTAINS", "acme"), [["acme"], ["x", "acme"]], ["acme", ["acme-x"], [], ["acme", 1]]),
        (rule("STRING_ARRAY", "CONTAINS_ANY", "acme", "globex", several=True), [["globex", "x"]], [["x"], "acme", []]),
    ],
    ids=["equals", "one of", "has", "has any"],
)
def test_T018_each_operator_of_the_models(
    door: Door, issuer: Issuer, given: c.CustomClaim, passes: list[Any], fails: list[Any]
) -> None:
    door.set(custom_claims=(given,))
    for value in passes:
        door.admits(issuer.token(tenant=value))
    for value in fails:
        assert door.ask(issuer.token(tenant=value)).get("reason") == "claim_mismatch", value


@pytest.mark.case("T018")
@pytest.mark.parametrize(
    "given",
    [
        rule("STRING", "CONTAINS_ANY", "a", several=True),
        rule("STRING_ARRAY", "EQUALS", "a"),
        rule("STRING_ARRAY", "CONTAINS", "a", "b", several=True),
        rule("NUMBER", "EQUALS", "1"),
        rule("STRING", "EQUALS"),
    ],
    ids=str,
)
def test_T018_a_rule_with_two_readings_cannot_be_saved(door: Door, issuer: Issuer, given: c.CustomClaim) -> None:
    with oracle.refused(door.tenant, reason="claim_rule_invalid"), pytest.raises(Invalid):
        door.set(custom_claims=(given,))
    door.admits(issuer.token())


@pytest.mark.case("T022")
@pytest.mark.parametrize(
    "subject", ["", "s" * 256, "s" * 10_000, GONE, None, 7, ["alice"], "a\nb"], ids=lambda s: str(s)[:12]
)
def test_T022_subjects_that_name_nobody(door: Door, issuer: Issuer, subject: Any) -> None:
    door.denies(issuer.token(sub=subject), "sub_invalid", 401)


@pytest.mark.case("T022")
def test_T022_people_who_look_alike_are_different_principals(door: Door, issuer: Issuer, other_issuer: Issuer) -> None:
    door.set(issuers=(door.issuer_settings(), door.issuer_settings(other_issuer)))
    tokens = [
        issuer.token(sub="alice", email="a@acme.example"),
        other_issuer.token(sub="alice", email="a@acme.example"),
        issuer.token(sub="Alice"),
        issuer.token(sub="caf\u00e9"),
        issuer.token(sub="cafe\u0301"),
        issuer.token(sub="bob", email="a@acme.example"),
    ]
    for token in tokens:
        door.ask(token, workload_token=True)
    from apps.connections.models import Principal
    from tests.support import rows

    found = rows(door.tenant, Principal, kind="jwt")
    assert len(found) == len(tokens)
    assert len({one.pseudonym for one in found}) == len(tokens)


def test_the_workload_token_works_for_the_person_the_token_proves(door: Door, issuer: Issuer) -> None:
    from apps.authn import workload
    from apps.core import clock
    from apps.tenants.models import Tenant
    from apps.tenants.scope import tenant_scope

    token = door.ask(issuer.token(sub="carol"), workload_token=True)["workload_token"]
    with tenant_scope(door.tenant.id):
        tenant = Tenant.objects.get(id=door.tenant.id)
        row = workload.find(workload.digest(Secret(token), tenant.account_id))
        proven = workload.prove(row, tenant=tenant, now=clock.now())
        assert (proven.agent.name, proven.principal.issuer, proven.principal.subject) == (
            door.agent,
            issuer.url,
            "carol",
        )


def test_a_user_id_beside_a_token_is_refused(door: Door, issuer: Issuer) -> None:
    with door.refuses("user_id_with_token"):
        assert door.ask(issuer.token(), user_id="bob", workload_token=True)["status"] == 403


def test_nobody_else_is_asked_about_by_a_gateways_key(door: Door, issuer: Issuer) -> None:
    other = Door(door.tenant, issuer)
    assert door.post({"agent": other.agent, "token": issuer.token()}).status_code == 404
    assert run(c.GetAuthorizer(agent=other.agent), door.owner).kind == "CUSTOM_JWT"
