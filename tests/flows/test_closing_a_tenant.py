"""Open tenants behave as AWS does, and say what closing them would deny; closed ones give nothing without a binding."""

from __future__ import annotations

import pytest

from apps.authn.caller import CallerKind
from apps.broker import contracts as c
from apps.broker.contracts_policy import BindWhatIsInUse, SurveyUnbound
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.core.errors import NotAllowed
from apps.policy.models import Binding
from tests.flows.test_nobody_grants_above_their_own import as_person, member
from tests.hot_path.test_agreement import World, released_fast, released_slow
from tests.support import rows, trail


@pytest.fixture
def world(new_tenant):
    """A tenant in which one agent has used an OAuth provider and an API key, and another agent nothing."""
    w = World(new_tenant(), False)
    run(c.FetchApiKey(workload_token=w.token, provider="keys"), w.caller)
    return w


def survey(w, **more):
    found = run(SurveyUnbound(), system_caller(w.handle.tenant, "test"))
    return [(one.agent, one.provider, one.provider_kind, one.flows, one.scopes) for one in found]


def close(w, mode="closed"):
    run(c.UpdateTenant(binding_mode=mode), system_caller(w.handle.tenant, "test"))


KEYS, HUB = ("bot", "keys", "api_key", ("api_key",), ()), ("bot", "hub", "oauth2", ("user_federation",), ("a", "b"))


def test_what_is_in_use_is_exactly_what_closing_denies(world):
    assert survey(world) == [HUB, KEYS]
    close(world)
    assert released_fast(world, world.fetch()) is None and released_slow(world, world.fetch()) is None
    with pytest.raises(NotAllowed) as refused:
        run(c.FetchApiKey(workload_token=world.token, provider="keys"), world.caller)
    assert refused.value.reason == "no_binding"


@pytest.mark.parametrize("ceilings", [False, True])
def test_bindings_for_what_is_in_use_let_the_tenant_be_closed_without_stopping_it(world, ceilings):
    made = run(BindWhatIsInUse(ceilings=ceilings), system_caller(world.handle.tenant, "test"))
    assert len(made) == 2 and survey(world) == []
    found = {row.provider.name: row for row in rows_with_provider(world)}
    assert found["hub"].flows == ["user_federation"] and found["keys"].flows == ["api_key"]
    assert found["hub"].scope_ceiling == (["a", "b"] if ceilings else None) and found["keys"].scope_ceiling is None
    close(world)
    assert released_fast(world, world.fetch()) == released_slow(world, world.fetch()) == "at-1"
    assert run(c.FetchApiKey(workload_token=world.token, provider="keys"), world.caller).reveal() == "k-1"
    # and only that: another flow of the same pair is not bound
    own = run(c.IssueWorkloadToken(agent="bot"), world.caller)
    with pytest.raises(NotAllowed):
        run(c.FetchOAuthToken(workload_token=own, provider="hub", scopes=("a",), flow=c.Flow.M2M), world.caller)


def rows_with_provider(w):
    from apps.tenants.scope import tenant_scope

    with tenant_scope(w.handle.id):
        return list(Binding.objects.select_related("provider"))


def test_each_binding_made_in_one_step_has_its_record(world):
    run(BindWhatIsInUse(), system_caller(world.handle.tenant, "test"))
    records = trail(world.handle, action="binding.set", outcome="allowed")
    assert sorted(r.details["provider"] for r in records if "provider" in r.details) == ["hub", "keys"]
    assert [r.details["pairs"] for r in records if "pairs" in r.details] == [2]


def test_a_binding_there_is_stays_as_it_is(world):
    world_hub = c.SetBinding(agent="bot", provider_id=world.ids.provider, scope_ceiling=("a",))
    run(world_hub, system_caller(world.handle.tenant, "test"))
    assert survey(world) == [KEYS]
    run(BindWhatIsInUse(ceilings=True), system_caller(world.handle.tenant, "test"))
    assert {r.provider.name: r.scope_ceiling for r in rows_with_provider(world)} == {"hub": ["a"], "keys": None}


def test_ended_connections_and_removed_providers_are_not_in_use(world):
    caller = system_caller(world.handle.tenant, "test")
    run(
        c.RevokeConnection(connection_id=world.ids.row, why="test"),
        world.handle.caller(kind=CallerKind.PERSON, row_id=member(world.handle, "tenant_owner").id),
    )
    run(c.DeleteApiKeyProvider(name="keys"), world.caller)
    assert run(SurveyUnbound(), caller) == ()


def test_surveying_is_for_those_who_read_and_binding_for_admins(world):
    for role, reads, binds in (
        ("security_auditor", True, False),
        ("tenant_admin", True, True),
        ("end_user", False, False),
    ):
        caller = as_person(world.handle, member(world.handle, role))
        for command, allowed in ((SurveyUnbound(), reads), (BindWhatIsInUse(), binds)):
            if allowed:
                run(command, caller)
            else:
                with pytest.raises(NotAllowed):
                    run(command, caller)
    assert rows(world.handle, Binding)
