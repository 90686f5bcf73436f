"""Two tenants with objects of the same names: neither console shows, finds or touches the other's."""

from __future__ import annotations

import pytest

from apps.agents.models import Agent
from apps.tenants.models import Membership
from apps.tenants.scope import tenant_scope
from tests.console import pages
from tests.console.conftest import enter, make_person, open_browser
from tests.support import trail
from tests.walls.samples import SAMPLES

IN_A_TENANT = sorted([*SAMPLES, "tenants.Membership", "tenants.Tenant"])


@pytest.mark.case("T099")
@pytest.mark.parametrize("label", IN_A_TENANT)
def test_T099_an_id_of_another_tenant_is_not_there(label, acme, globex, owner):
    page = pages.shown()[label]
    make_person(globex)
    with tenant_scope(globex.id):
        foreign = pages.row_of(label, globex, None)
    make_person(acme)
    with tenant_scope(acme.id):
        own = pages.row_of(label, acme, None)
    before = {tenant.id: len(trail(tenant)) for tenant in (acme, globex)}
    assert owner.get(pages.url(label, "change", pages.key_of(own))).status_code == 200
    for address in pages.addresses(page, pages.key_of(foreign)):
        if str(foreign.pk) not in address:
            continue
        answers = [owner.get(address), owner.post(address, {"why": "x", "post": "yes", "role": "approver"})]
        for answer in answers:
            assert answer.status_code in (403, 404), address
            assert str(foreign) not in answer.content.decode() or len(str(foreign)) < 3
        # Where the role may do such things at all, absent and foreign are the same answer.
        absent = address.replace(str(foreign.pk), "00000000-0000-4000-8000-000000000000")
        assert owner.get(absent).status_code == answers[0].status_code
    assert str(foreign.pk) not in owner.get(pages.list_url(label)).content.decode()
    assert str(own.pk) in owner.get(pages.list_url(label)).content.decode()
    assert {tenant.id: len(trail(tenant)) for tenant in (acme, globex)} == before


@pytest.mark.case("T100")
def test_T100_a_binding_cannot_be_made_with_foreign_rows(acme, globex, owner):
    with tenant_scope(globex.id):
        agent, provider = SAMPLES["agents.Agent"](), SAMPLES["providers.Provider"]()
    with tenant_scope(acme.id):
        own_agent, own_provider = SAMPLES["agents.Agent"](), SAMPLES["providers.Provider"]()
    add = "/console/policy/binding/add/"
    form = owner.get(add).content.decode()
    assert own_agent.name in form and agent.name not in form and provider.name not in form
    for pair in ((agent, own_provider), (own_agent, provider), (agent, provider)):
        answer = owner.post(add, {"agent": str(pair[0].pk), "provider": str(pair[1].pk)})
        assert answer.status_code == 200 and agent.name not in answer.content.decode()
    assert trail(acme, action="binding.set") == []
    good = owner.post(add, {"agent": str(own_agent.pk), "provider": str(own_provider.pk)})
    assert good.status_code == 302
    assert len(trail(acme, action="binding.set", outcome="allowed")) == 1


def test_filters_and_search_stay_inside(acme, globex, owner):
    with tenant_scope(globex.id):
        connection = SAMPLES["connections.Connection"]()
        name, subject = connection.agent.name, connection.principal.subject
    for query in (f"agent={connection.agent_id}", f"agent_name={name}", f"q={subject}"):
        page = owner.get(f"/console/connections/connection/?{query}").content.decode()
        assert 'data-testid="connection-row"' not in page
    assert name not in owner.get(f"/console/agents/agent/?q={name}").content.decode().replace(f'value="{name}"', "")


def test_the_palette_forgets_a_tenant_the_moment_one_leaves_it(acme, globex):
    user = make_person(acme)
    Membership.objects.create(tenant_id=globex.id, user=user, role="tenant_owner")
    browser = open_browser(user)
    for tenant in (acme, globex):
        with tenant_scope(tenant.id):
            Agent.objects.create(name=f"relay-of-{tenant.slug}")
    enter(browser, acme)
    first = browser.get("/console/search/?extended=1&s=relay").content.decode()
    enter(browser, globex)
    second = browser.get("/console/search/?extended=1&s=relay").content.decode()
    assert f"relay-of-{acme.slug}" in first and f"relay-of-{globex.slug}" not in first
    assert f"relay-of-{globex.slug}" in second and f"relay-of-{acme.slug}" not in second
    assert 'data-testid="palette-result"' in second


def test_the_palette_without_a_tenant_finds_pages_only(staff, acme):
    with tenant_scope(acme.id):
        Agent.objects.create(name="findable-agent")
    page = staff.get("/console/search/?extended=1&s=a")
    assert page.status_code == 302  # not even that: choose first


def test_an_end_of_a_cursor_from_another_tenant_opens_nothing(acme, globex, owner):
    with tenant_scope(globex.id):
        for number in range(30):
            Agent.objects.create(name=f"zz-{number:02d}")
    foreign = open_browser(make_person(globex)).get("/console/agents/agent/").context["cl"].next_after
    assert foreign
    page = owner.get(f"/console/agents/agent/?after={foreign}").content.decode()
    assert "zz-" not in page and 'data-testid="agent-row"' not in page
