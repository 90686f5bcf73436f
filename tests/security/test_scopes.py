"""Scopes: what may be asked, what a stored consent answers, and what a ceiling says about what was granted."""

from __future__ import annotations

from typing import Any

import pytest

from apps.broker import contracts as c
from tests.security import oracle
from tests.security.lab import RETURN, Flow, Lab, denied, must
from tests.security.test_revocation_is_immediate import provider_id

READ, WRITE = "repo:read", "repo:write"


def connection(lab: Lab, user: str) -> tuple[list[str], list[str], bool]:
    """Requested, granted, reduced."""
    [row] = lab.rows(
        "SELECT c.requested_scopes, c.granted_scopes, c.reduced FROM connections_connection c "
        "JOIN connections_principal p ON p.id = c.principal_id WHERE p.subject = %s AND c.tenant_id = %s",
        user,
    )
    return sorted(row[0]), sorted(row[1]), row[2]


def bind(lab: Lab, **limits: Any) -> None:
    lab.run(c.SetBinding(agent="bot", provider_id=provider_id(lab), **limits))


# --- what may be asked --------------------------------------------------------------------------------------------

MALFORMED = {
    "quote": 'repo:read"',
    "backslash": "repo\\read",
    "blank": "repo:read repo:write",
    "newline": "repo:read\nrepo:write",
    "tab": "repo:read\t",
    "NUL": "repo:\x00read",
    "not ASCII": "repo:réad",
    "empty": "",
    "129 characters": "s" * 129,
}


@pytest.mark.case("T051")
@pytest.mark.parametrize("kind", MALFORMED)
def test_T051_a_scope_is_one_word_of_plain_ascii(lab: Lab, kind: str) -> None:
    wat = lab.wat(lab.new_user())
    must(lab.ask(wat, [READ], resourceOauth2ReturnUrl=RETURN))
    for flow in ("USER_FEDERATION", "M2M"):
        with lab.refuses({"scope_invalid", "field_invalid"}):
            reply = lab.ask(wat, [READ, MALFORMED[kind]], resourceOauth2ReturnUrl=RETURN, oauth2Flow=flow)
            denied(reply, 400, "ValidationException")


@pytest.mark.case("T051")
def test_T051_at_most_a_hundred_scopes_are_asked_at_once(lab: Lab) -> None:
    wat = lab.wat(lab.new_user())
    for count in (101, 500):
        with lab.refuses({"too_many_scopes", "field_invalid"}):
            reply = lab.ask(wat, [f"s{n}" for n in range(count)], resourceOauth2ReturnUrl=RETURN)
            denied(reply, 400, "ValidationException")
    must(lab.ask(wat, [f"s{n}" for n in range(100)], resourceOauth2ReturnUrl=RETURN))


# --- what a stored consent answers --------------------------------------------------------------------------------


@pytest.mark.case("T051")
def test_T051_a_consent_serves_what_it_asked_for_and_more_needs_a_new_one_for_both(lab: Lab) -> None:
    flow = lab.connect(scopes=(READ, "status:read"))
    token = must(lab.ask(flow.wat, [READ, "status:read"]))["accessToken"]
    for subset in ([READ], ["status:read"], []):
        assert must(lab.ask(flow.wat, subset))["accessToken"] == token
    more = must(lab.ask(flow.wat, [READ, WRITE], resourceOauth2ReturnUrl=RETURN))
    assert "accessToken" not in more
    # The old one still serves meanwhile; the new request asks for the union.
    assert must(lab.ask(flow.wat, [READ]))["accessToken"] == token
    asked = lab.rows(
        "SELECT s.scopes FROM connections_consentsession s JOIN connections_principal p ON p.id = s.principal_id "
        "WHERE p.subject = %s AND s.status = 'pending' AND s.tenant_id = %s",
        flow.user,
    )
    assert asked == [(sorted([READ, WRITE, "status:read"]),)]
    wider = Flow(flow.wat, flow.user, more["sessionUri"], more["authorizationUrl"])
    lab.consent(wider)
    must(lab.complete(wider))
    assert must(lab.ask(flow.wat, [READ, WRITE]))["accessToken"] != token
    assert connection(lab, flow.user)[0] == sorted([READ, WRITE, "status:read"])


@pytest.mark.case("T051")
def test_T051_other_parameters_resources_and_audiences_are_other_connections(lab: Lab) -> None:
    flow = lab.connect()
    must(lab.ask(flow.wat))
    for other in (
        {"customParameters": {"login_hint": "x"}},
        {"resources": ["https://api.example/"]},
        {"audiences": ["https://api.example/"]},
    ):
        assert "accessToken" not in must(lab.ask(flow.wat, **other)), other
    assert must(lab.ask(flow.wat))["accessToken"]


@pytest.mark.case("T051")
def test_T051_a_reduced_grant_is_recorded_as_what_it_is(lab: Lab, switch: Any) -> None:
    switch(lab.client, reduce_scopes=True)
    flow = lab.connect(scopes=(READ, WRITE))
    assert connection(lab, flow.user) == ([READ, WRITE], [READ], True)
    # It satisfies what it asked: asking again would bring nothing more (decision 21).
    assert must(lab.ask(flow.wat, [READ, WRITE]))["accessToken"]
    [record] = [
        r
        for r in lab.rows(
            "SELECT details FROM audit_auditrecord WHERE action = 'connection.store' AND outcome = 'allowed' "
            "AND connection_id IS NOT NULL AND details->'requested' ? %s AND tenant_id = %s",
            WRITE,
        )
        if r[0]["granted"] == [READ]
    ]
    assert record[0]["requested"] == [READ, WRITE]


# --- ceilings -----------------------------------------------------------------------------------------------------


@pytest.mark.case("T051")
@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_T051_nothing_above_the_ceiling_is_asked_of_anybody(portal: Any, hub: Any, closed: bool) -> None:
    lab = Lab(portal, hub, closed=closed)
    bind(lab, scope_ceiling=(READ,))
    wat = lab.wat(lab.new_user())
    with lab.refuses("scope_above_ceiling"):
        denied(lab.ask(wat, [READ, WRITE], resourceOauth2ReturnUrl=RETURN), 403, "AccessDeniedException")
    own = lab.wat()
    with lab.refuses("scope_above_ceiling"):
        denied(lab.ask(own, ["status:read"], oauth2Flow="M2M"), 403, "AccessDeniedException")
    lab.works()


@pytest.mark.case("T051")
def test_T051_a_ceiling_lowered_later_looks_at_what_was_granted(own_lab: Lab) -> None:
    lab = own_lab
    flow = lab.connect(scopes=(READ, WRITE))
    must(lab.ask(flow.wat, [READ]))
    bind(lab, scope_ceiling=(READ,))
    # The stored token can do more than the agent may: it stays where it is, even for the smaller question.
    with lab.refuses("granted_above_ceiling"):
        denied(lab.ask(flow.wat, [READ]), 403, "AccessDeniedException")
    bind(lab, scope_ceiling=(READ, WRITE))
    must(lab.ask(flow.wat, [READ]))


@pytest.mark.case("T051")
def test_T051_a_provider_that_grants_more_than_asked_does_not_lift_the_ceiling(own_lab: Lab, switch: Any) -> None:
    lab = own_lab
    bind(lab, scope_ceiling=(READ,))
    switch(lab.client, token_reply={"scope": f"{READ} {WRITE}"})
    flow = lab.start()
    lab.consent(flow)
    must(lab.complete(flow))
    assert connection(lab, flow.user)[1] == [READ, WRITE]
    for _ in range(2):
        with lab.refuses("granted_above_ceiling"):
            denied(lab.ask(flow.wat), 403, "AccessDeniedException")


@pytest.mark.case("T051")
def test_T051_a_renewal_that_brings_more_does_not_lift_it_either(own_lab: Lab, switch: Any) -> None:
    """Also not for the one call that renews."""
    lab = own_lab
    bind(lab, scope_ceiling=(READ,))
    flow = lab.connect()
    must(lab.ask(flow.wat))
    switch(lab.client, token_reply={"scope": f"{READ} {WRITE}"})
    oracle.execute("UPDATE connections_connection SET refresh_after = now() WHERE tenant_id = %s", lab.tenant.id)
    for _ in range(2):
        reply = lab.ask(flow.wat)
        assert b"accessToken" not in reply.body
        denied(reply, 403, "AccessDeniedException")
    reasons = lab.rows(
        "SELECT count(*) FROM audit_auditrecord WHERE reason = 'granted_above_ceiling' AND tenant_id = %s"
    )
    assert reasons == [(2,)]


@pytest.mark.case("T051")
def test_T051_the_same_for_machine_tokens(own_lab: Lab, switch: Any) -> None:
    lab = own_lab
    bind(lab, scope_ceiling=("status:read",))
    switch(lab.client, token_reply={"scope": f"status:read {WRITE}"})
    for _ in range(2):
        reply = lab.ask(lab.wat(), ["status:read"], oauth2Flow="M2M")
        denied(reply, 403, "AccessDeniedException")
    lab.hub.clear_switches(lab.client)


# --- closed tenants -----------------------------------------------------------------------------------------------


@pytest.mark.case("T051")
def test_T051_in_a_closed_tenant_nothing_is_given_without_a_binding(closed_lab: Lab) -> None:
    lab = closed_lab
    user = lab.new_user()
    for attempt in (
        lambda: lab.ask(lab_wat, resourceOauth2ReturnUrl=RETURN),
        lambda: lab.ask(own_wat, ["status:read"], oauth2Flow="M2M"),
        lambda: lab.ask_api_key(own_wat),
    ):
        lab_wat, own_wat = lab.wat(user), lab.wat()
        with lab.refuses("no_binding"):
            denied(attempt(), 403, "AccessDeniedException")
    bind(lab)
    lab.run(c.SetBinding(agent="bot", provider_id=provider_id(lab, "weather")))
    lab.works()
    must(lab.ask_api_key(lab.wat()))


@pytest.mark.case("T051")
def test_T051_a_binding_names_its_flows(own_lab: Lab) -> None:
    lab = own_lab
    bind(lab, flows=("m2m",))
    must(lab.ask(lab.wat(), ["status:read"], oauth2Flow="M2M"))
    wat = lab.wat(lab.new_user())
    with lab.refuses("flow_not_bound"):
        denied(lab.ask(wat, resourceOauth2ReturnUrl=RETURN), 403, "AccessDeniedException")
    bind(lab, flows=("user_federation",))
    lab.works()
    own = lab.wat()
    with lab.refuses("flow_not_bound"):
        denied(lab.ask(own, ["status:read"], oauth2Flow="M2M"), 403, "AccessDeniedException")
    lab.run(c.SetBinding(agent="bot", provider_id=provider_id(lab, "weather"), flows=("m2m",)))
    with lab.refuses("flow_not_bound"):
        denied(lab.ask_api_key(own), 403, "AccessDeniedException")


@pytest.mark.case("T051")
def test_T051_an_access_keys_permission_is_for_named_agents_and_providers(lab: Lab) -> None:
    flow = lab.connect()
    data = "bedrock-agentcore:GetResourceOauth2Token"
    prefix = f"arn:aws:bedrock-agentcore:*:{lab.tenant.account_id}:"
    everything = [
        (data, f"{prefix}workload-identity-directory/default"),
        (data, f"{prefix}workload-identity-directory/default/workload-identity/bot"),
        (data, f"{prefix}token-vault/default"),
        (data, f"{prefix}token-vault/default/oauth2credentialprovider/hub"),
    ]
    must(lab.ask(flow.wat, wire=lab.key(*everything)))
    for missing in range(4):
        wire = lab.key(*(grant for number, grant in enumerate(everything) if number != missing))
        with lab.refuses("no_permission"):
            denied(lab.ask(flow.wat, wire=wire), 403, "AccessDeniedException")
    near = [(action, arn.replace("/bot", "/bo").replace("/hub", "/hub-2")) for action, arn in everything]
    with_near = lab.key(*near)
    with lab.refuses("no_permission"):
        denied(lab.ask(flow.wat, wire=with_near), 403, "AccessDeniedException")
