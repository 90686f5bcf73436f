"""Explain, and what is in use without a binding."""

from __future__ import annotations

import re
from html import unescape

import pytest

from apps.authn.models import AccessKey
from apps.policy.models import Binding
from apps.tenants.scope import tenant_scope
from tests.console.conftest import enter, make_person, open_browser
from tests.hot_path.test_agreement import World, _binding
from tests.support import rows, trail
from tests.walls.samples import SAMPLES

EXPLAIN, IN_USE = "/console/explain/", "/console/bindings-in-use/"


@pytest.fixture
def world(new_tenant):
    return World(new_tenant(), False)


@pytest.fixture
def admin(world):
    return open_browser(make_person(world.handle, "tenant_admin"))


def question(w, **more):
    with tenant_scope(w.handle.id):
        key = AccessKey.objects.get(key_id=w.handle.access_key_id).pk
    asked = {"agent": w.ids.agent, "provider": w.ids.provider, "flow": "user_federation", "person": "uid:dana",
             "scopes": "a", "access_key": key, **more}  # fmt: skip
    return {name: str(value) for name, value in asked.items()}


def said(answer) -> tuple[str, list[str]]:
    html = answer.content.decode()
    assert answer.status_code == 200, html[-2000:]
    (outcome,) = re.findall(r'data-state="(\w+)" data-testid="explain-outcome"', html)
    return outcome, re.findall(r'data-testid="explain-clause" data-rule="([a-z_.]+)"', html)


def test_a_question_is_answered_clause_by_clause(world, admin):
    assert 'data-testid="explain-form"' in admin.get(EXPLAIN).content.decode()
    outcome, rules = said(admin.post(EXPLAIN, question(world)))
    assert outcome == "allowed" and rules[-1] == "grant.below_ceiling" and "key.full_access" in rules
    with _binding(world, flows=["m2m"]):
        answer = admin.post(EXPLAIN, question(world))
        outcome, rules = said(answer)
        assert outcome == "denied" and rules[-1] == "binding.flow"
        assert "The binding is not for this flow." in unescape(answer.content.decode())
    assert said(admin.post(EXPLAIN, question(world, scopes="a\nzz")))[0] == "needs_reconsent"
    assert [r.details["answer"] for r in trail(world.handle, action="policy.explain")] == [
        "allowed",
        "denied",
        "consent_needed",
    ]


def test_a_past_request_is_found_by_its_id(world, admin):
    from apps.broker.run import run
    from apps.core.errors import NotAllowed

    with _binding(world, scope_ceiling=["b"]), pytest.raises(NotAllowed):
        run(world.fetch(), world.handle.caller(request_id="past-1"))
    answer = admin.post(EXPLAIN, {"request_id": "past-1"})
    html = unescape(answer.content.decode())
    assert 'data-state="denied" data-testid="explain-past"' in html and "scope_above_ceiling" in html
    assert said(answer)[0] == "allowed"
    absent = admin.post(EXPLAIN, {"request_id": "never-was"})
    assert absent.status_code == 200 and "no such request" in absent.content.decode()


def test_a_half_question_is_sent_back(world, admin):
    for form in ({}, {"flow": "m2m"}, question(world, person="dana"), question(world, person="uid:a\nuid:b"),
                 question(world, flow="telepathy")):  # fmt: skip
        answer = admin.post(EXPLAIN, form)
        assert answer.status_code == 200 and 'role="alert"' in answer.content.decode()
        assert "explain-outcome" not in answer.content.decode()
    assert trail(world.handle, action="policy.explain") == []


@pytest.mark.case("T099")
def test_T099_the_form_offers_and_takes_no_foreign_rows(world, admin, globex):
    with tenant_scope(globex.id):
        agent, provider, key = SAMPLES["agents.Agent"](), SAMPLES["providers.Provider"](), SAMPLES["authn.AccessKey"]()
    page = admin.get(EXPLAIN).content.decode()
    assert not any(name in page for name in (agent.name, provider.name, key.key_id))
    for field, foreign in (("agent", agent), ("provider", provider), ("access_key", key)):
        answer = admin.post(EXPLAIN, question(world, **{field: foreign.pk}))
        assert answer.status_code == 200 and "explain-outcome" not in answer.content.decode()
    assert said(admin.post(EXPLAIN, question(world)))[0] == "allowed"


def test_what_is_in_use_is_listed_and_bound_in_one_step(world, admin):
    page = admin.get(IN_USE).content.decode()
    assert page.count('data-testid="unbound-row"') == 1 and "hub" in page and "unbound-bind" in page
    assert admin.post(IN_USE, {"ceilings": "on"}).status_code == 302
    (row,) = rows(world.handle, Binding)
    assert (row.flows, row.scope_ceiling) == (["user_federation"], ["a", "b"])
    assert "unbound-row" not in admin.get(IN_USE).content.decode()


def test_who_may_only_read_sees_the_list_and_makes_nothing(world):
    auditor = open_browser(make_person(world.handle, "security_auditor"))
    page = auditor.get(IN_USE).content.decode()
    assert "unbound-row" in page and "unbound-bind" not in page
    assert auditor.post(IN_USE, {}).status_code == 403
    assert rows(world.handle, Binding) == []
    assert said(auditor.post(EXPLAIN, question(world)))[0] == "allowed"


def test_platform_staff_choose_a_tenant_first(staff, world):
    for page in (EXPLAIN, IN_USE):
        assert staff.get(page)["Location"].startswith("/console/choose/")
    enter(staff, world.handle)
    for page in (EXPLAIN, IN_USE):
        assert staff.get(page).status_code == 200


@pytest.mark.case("T100")
def test_T100_a_forged_post_makes_no_bindings(world):
    user = make_person(world.handle, "tenant_admin")
    forged = open_browser(user, csrf=True)
    assert forged.post(IN_USE, {"ceilings": "on"}).status_code == 403
    assert rows(world.handle, Binding) == []
    assert open_browser(user).post(IN_USE, {}).status_code == 302
