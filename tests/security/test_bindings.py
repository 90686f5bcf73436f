"""A binding's limits at the moment of use: what was allowed when the token was issued counts for nothing now."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from apps.broker import contracts as c
from apps.core import clock
from tests.security.lab import RETURN, Lab, denied, must
from tests.security.test_revocation_is_immediate import provider_id

READ, WRITE = "repo:read", "repo:write"


def bind(lab: Lab, **limits: Any) -> None:
    lab.run(c.SetBinding(agent="bot", provider_id=provider_id(lab), **limits))


def asks_again(reply: Any) -> bool:
    return "accessToken" not in must(reply) and "authorizationUrl" in reply.json


@pytest.mark.case("T051")
def test_T051_rights_are_evaluated_at_every_use_not_at_issue(own_lab: Lab) -> None:
    """One consent, one stored token; each limit set later is felt by the next call, and its removal too."""
    lab = own_lab
    flow = lab.connect(scopes=(READ,))
    must(lab.ask(flow.wat))
    soon, past = clock.now() + timedelta(hours=1), clock.now() - timedelta(hours=1)
    for limits, reason in (
        ({"scope_ceiling": ("status:read",)}, "scope_above_ceiling"),
        ({"flows": ("m2m",)}, "flow_not_bound"),
        ({"people": (c.Who(kind="uid", subject="somebody-else"),)}, "person_not_bound"),
        ({"resources": ("https://api.example/",)}, "resource_not_bound"),
        ({"audiences": ("https://api.example/",)}, "audience_not_bound"),
        ({"valid_from": soon}, "binding_not_yet"),
        ({"valid_until": past}, "binding_over"),
    ):
        bind(lab, **limits)
        with lab.refuses(reason):
            denied(lab.ask(flow.wat), 403, "AccessDeniedException")
        bind(lab, people=(c.Who(kind="uid", subject=flow.user),), valid_until=soon, scope_ceiling=(READ,))
        assert must(lab.ask(flow.wat))["accessToken"]


@pytest.mark.case("T051")
def test_T051_custom_parameters_and_their_values_are_bound(own_lab: Lab) -> None:
    lab = own_lab
    bind(lab, custom_parameters={"login_hint": ("dana", "erin"), "ui": None})
    wat = lab.wat(lab.new_user())
    for custom in ({"login_hint": "mallory"}, {"other": "x"}, {"login_hint": "dana", "other": "x"}):
        with lab.refuses("parameter_not_bound"):
            reply = lab.ask(wat, resourceOauth2ReturnUrl=RETURN, customParameters=custom)
            denied(reply, 403, "AccessDeniedException")
    for custom in ({"login_hint": "dana"}, {"ui": "dark"}, {}):
        assert asks_again(lab.ask(wat, resourceOauth2ReturnUrl=RETURN, customParameters=custom))
    bind(lab, custom_parameters={})
    with lab.refuses("parameter_not_bound"):
        reply = lab.ask(wat, resourceOauth2ReturnUrl=RETURN, customParameters={"ui": "dark"})
        denied(reply, 403, "AccessDeniedException")


@pytest.mark.case("T051")
def test_T051_a_shorter_life_asks_the_person_again(own_lab: Lab) -> None:
    lab = own_lab
    flow = lab.connect()
    must(lab.ask(flow.wat))
    lab.rows("UPDATE connections_connection SET consented_at = now() - interval '2 hours' WHERE tenant_id = %s")
    bind(lab, connection_life_s=3600)
    assert asks_again(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN))
    bind(lab, connection_life_s=3 * 3600)
    assert must(lab.ask(flow.wat))["accessToken"]


@pytest.mark.case("T051")
def test_T051_a_binding_cuts_the_life_a_person_chose(own_lab: Lab) -> None:
    lab = own_lab
    bind(lab, connection_life_s=600)
    lab.connect()
    [(life,)] = lab.rows(
        "SELECT extract(epoch FROM expires_at - consented_at) FROM connections_connection WHERE tenant_id = %s"
    )
    assert life == 600


@pytest.mark.case("T051")
def test_T051_a_counted_consent_is_released_exactly_so_often_whoever_asks_at_once(own_lab: Lab) -> None:
    lab = own_lab
    bind(lab, connection_uses=5)
    flow = lab.connect()
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN), range(16)))
    given = [reply for reply in replies if "accessToken" in must(reply)]
    assert len(given) == 5
    assert lab.rows("SELECT uses_left FROM connections_connection WHERE tenant_id = %s") == [(0,)]
    released = lab.rows(
        "SELECT details->>'uses_left' FROM audit_auditrecord WHERE action = 'credential.fetch_oauth' "
        "AND connection_id IS NOT NULL AND outcome = 'allowed' AND tenant_id = %s"
    )  # a record that names a connection is a release
    assert sorted(released) == [(str(n),) for n in range(5)]
    # A new consent is a new count, and a count survives the binding that began it.
    again = must(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN))
    from tests.security.lab import Flow

    wider = Flow(flow.wat, flow.user, again["sessionUri"], again["authorizationUrl"])
    lab.consent(wider)
    must(lab.complete(wider))
    bind(lab)
    for _ in range(5):
        assert must(lab.ask(flow.wat))["accessToken"]
    assert asks_again(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN))


@pytest.mark.case("T051")
def test_T051_a_count_set_later_counts_from_then_on(own_lab: Lab) -> None:
    lab = own_lab
    flow = lab.connect()
    for _ in range(3):
        must(lab.ask(flow.wat))
    bind(lab, connection_uses=2)
    for _ in range(2):
        assert must(lab.ask(flow.wat))["accessToken"]
    assert asks_again(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN))


@pytest.mark.case("T051")
def test_T051_a_ceiling_wants_scopes_named(own_lab: Lab) -> None:
    """Without any a provider chooses for itself (RFC 6749 section 3.3)."""
    lab = own_lab
    bind(lab, scope_ceiling=(READ,))
    wat, own = lab.wat(lab.new_user()), lab.wat()
    with lab.refuses("scopes_unnamed"):
        denied(lab.ask(wat, [], resourceOauth2ReturnUrl=RETURN), 403, "AccessDeniedException")
    with lab.refuses("scopes_unnamed"):
        denied(lab.ask(own, [], oauth2Flow="M2M"), 403, "AccessDeniedException")
    lab.works()


@pytest.mark.case("T051")
def test_T051_after_the_ceiling_fell_a_forced_consent_asks_only_below_it(own_lab: Lab) -> None:
    lab = own_lab
    flow = lab.connect(scopes=(READ, WRITE))
    bind(lab, scope_ceiling=(READ,))
    forced = must(lab.ask(flow.wat, [READ], resourceOauth2ReturnUrl=RETURN, forceAuthentication=True))
    assert "authorizationUrl" in forced
    asked = lab.rows("SELECT scopes FROM connections_consentsession WHERE status = 'pending' AND tenant_id = %s")
    assert asked == [([READ],)]


@pytest.mark.case("T051")
def test_T051_a_binding_taken_away_while_the_person_decides_stores_nothing(closed_lab: Lab) -> None:
    lab = closed_lab
    bind(lab)
    flow = lab.start()
    callback = lab.to_callback(flow)
    bind(lab, flows=("m2m",))
    page = lab.dana.open(callback)
    assert page.status == 403
    denied(lab.complete(flow), 403, "AccessDeniedException")
    assert lab.rows("SELECT count(*) FROM connections_connection WHERE tenant_id = %s") == [(0,)]


@pytest.mark.case("T094")
def test_T094_a_binding_names_only_rows_of_its_own_tenant(own_lab: Lab, neighbour: Lab) -> None:
    """By the broker and by SQL as the application's role."""
    from django.db import IntegrityError

    from apps.agents.models import Agent
    from apps.connections.models import Principal
    from apps.core.errors import NotFound
    from apps.policy.models import Binding, BindingPrincipal
    from apps.providers.models import Provider
    from apps.tenants.scope import tenant_scope

    foreign = provider_id(neighbour)
    neighbour.wat("foreign-person")
    with tenant_scope(neighbour.tenant.id):
        foreign_agent, foreign_person = Agent.objects.first(), Principal.objects.filter(kind="uid").first()
    with pytest.raises(NotFound):
        own_lab.run(c.SetBinding(agent="bot", provider_id=foreign))
    bind(own_lab)
    with tenant_scope(own_lab.tenant.id):
        own_agent, own_provider, own = Agent.objects.first(), Provider.objects.first(), Binding.objects.get()
    for make in (
        lambda: Binding.objects.create(agent_id=own_agent.id, provider_id=foreign),
        lambda: Binding.objects.create(agent_id=foreign_agent.id, provider_id=own_provider.id),
        lambda: BindingPrincipal.objects.create(binding_id=own.id, principal_id=foreign_person.id),
    ):
        with pytest.raises(IntegrityError), tenant_scope(own_lab.tenant.id):
            make()
    assert own_lab.rows("SELECT count(*) FROM policy_binding WHERE tenant_id = %s") == [(1,)]
