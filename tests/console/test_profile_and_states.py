"""What the console says about agents, principals and keys goes through the broker, and is in the trail."""

from __future__ import annotations

from apps.agents.models import Agent
from apps.authn.models import AccessKey
from apps.connections.models import Principal
from apps.tenants.scope import tenant_scope
from tests.console import pages
from tests.support import rows, trail
from tests.walls.samples import principal


def test_an_agents_profile_is_changed_through_the_broker(acme, person, browse):
    owner = person(acme)
    browser = browse(owner)
    browser.post("/console/agents/agent/add/", {"name": "bot"})
    (agent,) = rows(acme, Agent)
    form = {"description": "Drafts", "owner": owner.email, "native": "on", "return_urls": "https://bot.example/cb"}
    assert browser.post(pages.url("agents.Agent", "change", agent.pk), form).status_code == 302
    (agent,) = rows(acme, Agent)
    assert (agent.description, agent.owner_id, agent.native) == ("Drafts", owner.id, True)
    assert agent.return_urls == ["https://bot.example/cb"]
    (record,) = trail(acme, action="agent.update")
    assert record.details["profile_after"]["owner"] == str(owner.id)


def test_somebody_of_another_tenant_cannot_be_an_owner(acme, globex, person, owner):
    owner.post("/console/agents/agent/add/", {"name": "bot"})
    (agent,) = rows(acme, Agent)
    form = {"description": "", "owner": person(globex).email, "return_urls": ""}
    shown = owner.post(pages.url("agents.Agent", "change", agent.pk), form)
    assert shown.status_code == 200 and "no member of this tenant" in shown.content.decode()
    assert rows(acme, Agent)[0].owner_id is None


def test_an_agent_is_trusted_and_no_longer(acme, owner):
    owner.post("/console/agents/agent/add/", {"name": "bot"})
    (agent,) = rows(acme, Agent)
    for action, trusted in (("trust", True), ("distrust", False)):
        owner.post(f"/console/agents/agent/{agent.pk}/{action}/", {})
        assert rows(acme, Agent)[0].trusted is trusted
    assert len(trail(acme, action="agent.trust", outcome="allowed")) == 2


def test_a_principal_is_suspended_and_resumed(acme, owner):
    with tenant_scope(acme.id):
        row = principal()
    path = f"/console/connections/principal/{row.pk}"
    owner.post(f"{path}/suspend/", {"why": "left"})
    (now,) = rows(acme, Principal, id=row.pk)
    assert (now.status, now.epoch) == ("suspended", row.epoch + 1)
    owner.post(f"{path}/resume/", {"why": ""})
    assert rows(acme, Principal, id=row.pk)[0].status == "active"
    assert trail(acme, action="principal.suspend")[0].details["why"] == "left"


def test_a_disabled_key_is_enabled_again(acme, owner):
    (key,) = rows(acme, AccessKey)
    owner.post(f"/console/authn/accesskey/{key.pk}/disable/", {})
    assert rows(acme, AccessKey)[0].status == "disabled"
    owner.post(f"/console/authn/accesskey/{key.pk}/enable/", {})
    assert rows(acme, AccessKey)[0].status == "active"
