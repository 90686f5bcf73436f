"""Two tenants with objects of the same names: neither's policy reads, changes or reveals the other's."""

from __future__ import annotations

import pytest

from apps.agents.models import Agent
from apps.authn.caller import CallerKind
from apps.authn.models import AccessKey, AccessKeyGrant
from apps.broker import contracts as c
from apps.broker.contracts_policy import BindWhatIsInUse, ExplainRequest, ExplainUse, SurveyUnbound
from apps.broker.run import run
from apps.core.errors import Invalid, NotFound, PortalError
from apps.policy.models import Binding
from apps.tenants.scope import tenant_scope
from tests.flows.test_nobody_grants_above_their_own import as_person, member
from tests.hot_path.test_agreement import World, released_slow
from tests.support import rows, trail


@pytest.fixture
def two(new_tenant):
    return World(new_tenant(), False), World(new_tenant(), False)


def owner(w):
    return as_person(w.handle, member(w.handle, "tenant_owner"))


def refusal(command, caller) -> tuple[str, str]:
    with pytest.raises(PortalError) as refused:
        run(command, caller)
    return refused.value.public, refused.value.reason


@pytest.mark.case("T093")
def test_T093_a_key_of_one_agent_does_not_reach_another_agents_binding(two):
    """Same tenant: the key is for `other`, the token, the binding and the connection are `bot`'s."""
    ours, _ = two
    run(c.SetBinding(agent="bot", provider_id=ours.ids.provider), owner(ours))
    made = run(c.CreateAccessKey(agent="other", grants=(("*", "*"),)), ours.handle.caller(kind=CallerKind.SYSTEM))
    caller = ours.handle.caller(name=made.access_key_id, row_id=made.row_id)
    assert refusal(ours.fetch(), caller)[1] == "agent_mismatch"
    assert released_slow(ours, ours.fetch()) == "at-1"


@pytest.mark.case("T094")
def test_T094_bindings_take_no_foreign_agent_or_provider(two):
    """By id and by a name that exists only there; foreign and absent are the same answer."""
    ours, theirs = two
    run(c.CreateAgent(name="only-theirs"), theirs.handle.caller())
    absent = "00000000-0000-4000-8000-000000000000"
    foreign = c.SetBinding(agent="bot", provider_id=theirs.ids.provider)
    assert refusal(foreign, owner(ours)) == refusal(c.SetBinding(agent="bot", provider_id=absent), owner(ours))
    assert refusal(foreign, owner(ours))[1] == "provider_not_found"
    named = c.SetBinding(agent="only-theirs", provider_id=ours.ids.provider)
    never = c.SetBinding(agent="never-was", provider_id=ours.ids.provider)
    assert refusal(named, owner(ours)) == refusal(never, owner(ours))
    run(c.SetBinding(agent="bot", provider_id=theirs.ids.provider), owner(theirs))
    (bound,) = rows(theirs.handle, Binding)
    for command in (c.GetBinding, c.DeleteBinding):
        wanted = refusal(command(binding_id=absent), owner(ours))
        assert wanted[1] == "binding_not_found"
        assert refusal(command(binding_id=bound.id), owner(ours)) == wanted
    assert rows(ours.handle, Binding) == [] and len(rows(theirs.handle, Binding)) == 1


@pytest.mark.case("T094")
def test_T094_a_permission_cannot_hang_on_a_foreign_key(two):
    from django.db import IntegrityError

    ours, theirs = two
    with tenant_scope(theirs.handle.id):
        key = AccessKey.objects.get(key_id=theirs.handle.access_key_id).id
    with pytest.raises(IntegrityError), tenant_scope(ours.handle.id):
        AccessKeyGrant.objects.create(access_key_id=key, action="*", resource="*")
    assert rows(theirs.handle, AccessKeyGrant) == []


@pytest.mark.case("T095")
def test_T095_bindings_of_the_same_names_do_not_meet(two):
    """Theirs is a ceiling below everything, then a closed tenant; ours goes on, and the other way round."""
    ours, theirs = two
    run(c.SetBinding(agent="bot", provider_id=theirs.ids.provider, scope_ceiling=("none",)), owner(theirs))
    run(c.UpdateTenant(binding_mode="closed"), owner(theirs))
    assert released_slow(theirs, theirs.fetch()) is None
    assert released_slow(ours, ours.fetch()) == "at-1"
    asked = ExplainUse(
        agent="bot", provider="hub", flow="user_federation", who=c.Who(kind="uid", subject="dana"), scopes=("a",)
    )
    assert (run(asked, owner(ours)).outcome, run(asked, owner(theirs)).reason) == ("allowed", "scope_above_ceiling")
    run(BindWhatIsInUse(), owner(ours))
    assert [row.scope_ceiling for row in rows(theirs.handle, Binding)] == [["none"]]
    assert run(SurveyUnbound(), owner(theirs)) == ()


@pytest.mark.case("T096")
def test_T096_lists_show_own_bindings_and_take_own_cursors(two):
    ours, theirs = two
    for w in two:
        for number in range(3):
            run(c.CreateAgent(name=f"agent-{number}"), w.handle.caller())
            run(c.SetBinding(agent=f"agent-{number}", provider_id=w.ids.provider), owner(w))
    page = run(c.ListBindings(limit=2), owner(ours))
    rest = run(c.ListBindings(limit=2, cursor=page.cursor), owner(ours))
    assert sorted(one.agent for one in (*page.items, *rest.items)) == ["agent-0", "agent-1", "agent-2"]
    assert rest.cursor is None and {one.provider_id for one in page.items} == {ours.ids.provider}
    foreign = run(c.ListBindings(limit=2), owner(theirs)).cursor
    for cursor in (foreign, page.cursor[:-2] + ("AA" if page.cursor[-2:] != "AA" else "BB"), "x"):
        with pytest.raises(Invalid) as refused:
            run(c.ListBindings(cursor=cursor), owner(ours))
        assert refused.value.reason == "cursor_invalid"
    assert [one.agent for one in run(c.ListBindings(agent="agent-1"), owner(ours)).items] == ["agent-1"]
    with pytest.raises(NotFound):
        run(c.ListBindings(provider_id=theirs.ids.provider), owner(ours))


@pytest.mark.case("T097")
def test_T097_a_foreign_request_id_agent_or_key_is_explained_like_one_that_never_was(two):
    ours, theirs = two
    run(theirs.fetch(), theirs.handle.caller(request_id="their-request"))
    assert refusal(ExplainRequest(request_id="their-request"), owner(ours)) == refusal(
        ExplainRequest(request_id="never-was"), owner(ours)
    )
    run(c.CreateAgent(name="only-theirs"), theirs.handle.caller())

    def answer(**changes):
        asked = {"agent": "bot", "provider": "hub", "flow": "m2m", **changes}
        found = run(ExplainUse(**asked), owner(ours))
        return found.outcome, found.reason, [clause.rule for clause in found.clauses]

    assert answer(agent="only-theirs") == answer(agent="never-was")
    assert answer(access_key_id=theirs.handle.access_key_id) == answer(access_key_id="IPAK0000000000000000")


@pytest.mark.case("T098")
def test_T098_roles_below_admin_change_no_policy(two):
    ours, _ = two
    before = len(trail(ours.handle, outcome="denied"))
    attempts = 0
    run(c.SetBinding(agent="bot", provider_id=ours.ids.provider, scope_ceiling=("a", "b")), owner(ours))
    (bound,) = rows(ours.handle, Binding)
    for role in ("agent_developer", "security_auditor", "approver", "end_user"):
        caller = as_person(ours.handle, member(ours.handle, role))
        for command in (
            c.SetBinding(agent="bot", provider_id=ours.ids.provider),
            c.DeleteBinding(binding_id=bound.id),
            BindWhatIsInUse(),
            c.CreateAccessKey(full_access=True),
            c.UpdateTenant(binding_mode="open"),
        ):
            assert refusal(command, caller)[1] == "role_lacks_action"
            attempts += 1
    assert len(trail(ours.handle, outcome="denied")) == before + attempts
    assert [row.scope_ceiling for row in rows(ours.handle, Binding)] == [["a", "b"]]
    with tenant_scope(ours.handle.id):
        assert Agent.objects.count() == 2
