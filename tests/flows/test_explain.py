"""Explanations say what decisions do, for the very reason, over generated cases."""

from __future__ import annotations

import os
import random
import re
import secrets
from datetime import timedelta
from pathlib import Path

import pytest

from apps.authn.caller import CallerKind
from apps.broker import contracts as c
from apps.broker.contracts_policy import ExplainRequest, ExplainUse
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.connections.models import Connection, Principal
from apps.core import clock
from apps.core.errors import NotAllowed, PortalError
from apps.policy.models import BindingPrincipal
from apps.policy.words import RULES
from apps.tenants.scope import tenant_scope
from tests.flows.test_nobody_grants_above_their_own import as_person, member
from tests.hot_path.test_agreement import _BINDINGS, _SAME_COLUMN, ASKS_ANEW, FAULTS, World, _binding, changed
from tests.support import trail

ROOT = Path(__file__).resolve().parents[2]


def _for_dana(w):
    """A binding for the one person of the world."""
    from contextlib import contextmanager

    @contextmanager
    def held():
        with _binding(w, people_listed=True):
            with tenant_scope(w.handle.id):
                row = w.ids.agent
                from apps.policy.models import Binding

                BindingPrincipal.objects.create(binding=Binding.objects.get(agent_id=row), principal_id=w.ids.principal)
            yield

    return held()


MORE = {
    "binding for this person": _for_dana,
    "binding with a long life": lambda w: _binding(w, connection_life_s=86_400),
    "uses used up": lambda w: changed(Connection, w.ids.row, w.handle.id, uses_left=0),
    "consented an hour ago": lambda w: changed(
        Connection, w.ids.row, w.handle.id, consented_at=clock.now() - timedelta(hours=1)
    ),
    "provider says nothing of scopes": lambda w: changed(Connection, w.ids.row, w.handle.id, granted_scopes=[]),
}
# A question names no workload token, so nothing that ends one by itself.
TOKENS_OWN = {name for name in FAULTS if "epoch" in name or name.startswith("token")}
EVERY = {name: make for name, make in {**FAULTS, **MORE}.items() if name not in TOKENS_OWN}
GROUPS = [
    *_SAME_COLUMN,
    _BINDINGS | {"binding for this person", "binding with a long life"},
    {"uses counted", "uses used up"},
    {"key without grants", "grants for all", "grants for some"} - {"key without grants"},
    {"connection revoked", "connection parked"},
]


def happened(w, command):
    """(outcome, reason) of the real call, by whichever path."""
    caller = w.handle.caller(request_id=secrets.token_hex(8))
    try:
        outcome = run(command, caller)
    except PortalError as refused:
        return caller.request_id, "denied", refused.reason
    if isinstance(outcome, c.TokenReleased):
        return caller.request_id, "allowed", ""
    (record,) = trail(w.handle, request_id=caller.request_id, action="credential.fetch_oauth")
    return caller.request_id, "consent_needed", record.details["consent_missing"]


def question(w, command, **more):
    m2m = command.flow is c.Flow.M2M
    return ExplainUse(
        agent="bot",
        provider=command.provider,
        flow=command.flow.value,
        who=None if m2m else c.Who(kind="uid", subject="dana"),
        scopes=command.scopes,
        resources=command.resources,
        audiences=command.audiences,
        custom_parameters=command.custom_parameters,
        access_key_id=w.handle.access_key_id,
        **more,
    )


def compare(w, command, hint):
    """The call first, then the question: what the call counted must not change the answer, so it is put back."""
    with tenant_scope(w.handle.id):
        left = Connection.objects.values_list("uses_left", flat=True).get(id=w.ids.row)
    asked = run(question(w, command), system_caller(w.handle.tenant, "test"))
    request_id, outcome, reason = happened(w, command)
    assert (asked.outcome, asked.reason) == (outcome, reason), hint
    assert asked.decided_by.holds == (outcome == "allowed") and asked.decided_by == asked.clauses[-1]
    assert {clause.rule for clause in asked.clauses} <= set(RULES)
    with tenant_scope(w.handle.id):
        Connection.objects.filter(id=w.ids.row).update(uses_left=left)
    return request_id, asked


@pytest.fixture(params=[False, True], ids=["for a person", "machine to machine"])
def world(request, new_tenant):
    return World(new_tenant(), request.param)


def usable(w):
    return [name for name in EVERY if w.flow is not c.Flow.M2M or name not in ASKS_ANEW | {"connection revoked"}]


def test_each_fault_alone_is_explained_as_it_is_decided(world):
    compare(world, world.fetch(), "no fault")
    for fault in usable(world):
        with EVERY[fault](world):
            compare(world, world.fetch(), fault)


def test_explanations_agree_with_decisions_over_generated_cases(world):
    seed = int(os.environ.get("AGREEMENT_SEED", random.randrange(10**6)))
    dice = random.Random(seed)
    m2m = world.flow is c.Flow.M2M
    seen = set()
    for _ in range(50):
        chosen = dice.sample(usable(world), dice.randint(1, 3))
        if any(len(group & set(chosen)) > 1 for group in GROUPS):
            continue
        held = [EVERY[name](world) for name in chosen]
        for one in held:
            one.__enter__()
        try:
            scopes = ("a",) if m2m else dice.choice([("a",), ("a",), ("b",), ("a", "b"), ("c",), ()])
            request_id, asked = compare(world, world.fetch(scopes), (seed, chosen, scopes))
            seen.add(asked.outcome)
            # And the past call is explained by what was recorded of it, with the same answer while nothing changed.
            past = run(ExplainRequest(request_id=request_id), system_caller(world.handle.tenant, "test"))
            assert (past.outcome, past.reason) == (asked.outcome, asked.reason), (seed, chosen)
        finally:
            for one in reversed(held):
                one.__exit__(None, None, None)
    assert "denied" in seen


def test_a_past_refusal_names_the_clause_it_met_then_and_what_the_call_would_meet_now(new_tenant):
    w = World(new_tenant(), False)
    with _binding(w, flows=["m2m"]):
        request_id, outcome, reason = happened(w, w.fetch())
        assert (outcome, reason) == ("denied", "flow_not_bound")
    past = run(ExplainRequest(request_id=request_id), system_caller(w.handle.tenant, "test"))
    assert (past.outcome, past.reason, past.agent, past.provider) == ("denied", "flow_not_bound", "bot", "hub")
    assert past.clause["rule"] == "binding.flow"
    assert past.clause["told"] == {"asked": "user_federation", "allowed": ["m2m"]}
    assert past.now.outcome == "allowed"


def test_a_machines_token_is_explained_for_whom_the_workload_token_named(new_tenant):
    """Its record is for the agent itself; a binding's people are held against the workload token."""
    w = World(new_tenant(), True)
    caller = system_caller(w.handle.tenant, "test")
    run(c.SetBinding(agent="bot", provider_id=w.ids.provider, people=(c.Who(kind="uid", subject="dana"),)), caller)
    assert happened(w, w.fetch())[1:] == ("denied", "person_not_bound")
    w.token = run(c.IssueWorkloadTokenForUserId(agent="bot", user_id="dana"), w.caller)
    request_id, outcome, _ = happened(w, w.fetch())
    assert outcome == "allowed"
    assert run(ExplainRequest(request_id=request_id), caller).now.outcome == "allowed"


def test_explaining_is_a_right_of_its_own_and_leaves_a_record(acme):
    run(c.CreateAgent(name="bot"), acme.caller())
    ask = ExplainUse(agent="bot", provider="hub", flow="m2m")
    for role, allowed in (("security_auditor", True), ("agent_developer", True), ("end_user", False)):
        caller = as_person(acme, member(acme, role))
        if allowed:
            assert run(ask, caller).reason == "provider_not_found"
        else:
            with pytest.raises(NotAllowed):
                run(ask, caller)
    with pytest.raises(NotAllowed):  # an access key that may not do everything has no such operation
        made = run(c.CreateAccessKey(grants=(("*", "*"),)), acme.caller(kind=CallerKind.SYSTEM))
        run(ask, acme.caller(name=made.access_key_id, row_id=made.row_id))
    assert [r.outcome for r in trail(acme, action="policy.explain")] == ["allowed", "allowed", "denied", "denied"]


def test_a_question_changes_nothing_and_asks_nobody(new_tenant):
    w = World(new_tenant(), False)
    with tenant_scope(w.handle.id):
        people = Principal.objects.count()
    stranger = ExplainUse(
        agent="bot", provider="hub", flow="user_federation", who=c.Who(kind="uid", subject="never-seen"), scopes=("a",)
    )
    answer = run(stranger, system_caller(w.handle.tenant, "test"))
    assert (answer.outcome, answer.reason) == ("consent_needed", "no_consent")
    with tenant_scope(w.handle.id):
        assert Principal.objects.count() == people


def test_every_rule_in_the_code_has_its_words():
    code = "".join(
        (ROOT / path).read_text()
        for path in (
            "apps/policy/decide.py",
            "apps/policy/bindings.py",
            "apps/broker/work.py",
            "apps/broker/control_plane/explain.py",
        )
    )
    written = set(re.findall(r'rule="([a-z_.]+)"', code))
    assert len(written) > 20 and written <= set(RULES)
