"""Whose agent, and for whom: a record names both as soon as the workload token was recognised."""

from __future__ import annotations

import pytest

from apps.agents.models import Agent
from apps.authn.models import WorkloadToken
from apps.broker import contracts as c
from apps.broker.run import run
from apps.connections import principals
from apps.connections.models import Connection, Principal
from apps.core import clock
from apps.core.errors import NotFound, Unauthenticated
from apps.core.secret import Secret
from apps.tenants.models import Tenant
from apps.tenants.scope import tenant_scope
from tests.support import mutated, rows, trail


@pytest.fixture
def token(acme):
    caller = acme.caller()
    run(c.CreateAgent(name="bot"), caller)
    run(c.CreateApiKeyProvider(name="keys", api_key=Secret("k-1")), caller)
    return run(c.IssueWorkloadTokenForUserId(agent="bot", user_id="dana"), caller)


def ended_agent(acme):
    run(c.SuspendAgent(name="bot", why="drill"), person_of(acme))


def ended_principal(acme):
    with tenant_scope(acme.id):
        Principal.objects.filter(kind="uid").update(epoch=7)


def ended_tenant(acme):
    Tenant.objects.filter(id=acme.id).update(epoch=7)


def expired(acme):
    with tenant_scope(acme.id):
        WorkloadToken.objects.update(expires_at=clock.now())


def person_of(acme):
    from apps.authn.caller import CallerKind
    from tests.console.conftest import make_person

    user = make_person(acme, "tenant_owner")
    return acme.caller(kind=CallerKind.PERSON, name=str(user.id), row_id=user.id, proof="session")


ENDS = {
    "agent_ended_tokens": ended_agent,
    "principal_ended_tokens": ended_principal,
    "tenant_ended_tokens": ended_tenant,
    "token_expired": expired,
}


@pytest.mark.parametrize("reason", ENDS)
@pytest.mark.parametrize("kind", ["oauth", "api_key"])
def test_a_refused_fetch_with_an_ended_token_names_the_agent_and_the_person(acme, token, reason, kind):
    ENDS[reason](acme)
    oauth = c.FetchOAuthToken(workload_token=token, provider="keys", scopes=("a",), flow=c.Flow.USER_FEDERATION)
    command = oauth if kind == "oauth" else c.FetchApiKey(workload_token=token, provider="keys")
    with pytest.raises(Unauthenticated) as refused:
        run(command, acme.caller())
    assert refused.value.public == Unauthenticated.SENTENCE  # the caller learns nothing of it
    (record,) = trail(acme, action=command.action, outcome="denied")
    (agent,), (dana,) = rows(acme, Agent), rows(acme, Principal, kind="uid")
    assert record.reason == reason
    assert (record.agent_id, record.agent_name) == (agent.id, "bot")
    assert record.on_behalf_of == dana.pseudonym


def test_a_token_nobody_knows_names_nobody(acme, token):
    from apps.core import tickets

    unknown = tickets.mint(tickets.Kind.WORKLOAD_TOKEN, acme.account_id)
    for text in (unknown.reveal(), mutated(token.reveal())):
        with pytest.raises(Unauthenticated):
            run(c.FetchApiKey(workload_token=Secret(text), provider="keys"), acme.caller())
    for record in trail(acme, action="credential.fetch_api_key", outcome="denied"):
        assert (record.agent_id, record.agent_name, record.on_behalf_of) == (None, "", "")


def test_a_machines_token_is_recorded_for_the_agent_itself_whoever_it_acts_for(acme, token):
    """Decisions 26 to 28: what is released is the agent's own, no consent of the person's. Whom the workload token
    named is evidence too, and as a pseudonym it ends when the person is erased."""
    command = c.FetchOAuthToken(workload_token=token, provider="absent", scopes=("a",), flow=c.Flow.M2M)
    with pytest.raises(NotFound):
        run(command, acme.caller())
    (record,) = trail(acme, action=command.action, outcome="denied")
    (agent,), (dana,) = rows(acme, Agent), rows(acme, Principal, kind="uid")
    with tenant_scope(acme.id):
        own = principals.own(agent.id, Tenant.objects.get(id=acme.id).pseudonym_key)
    assert record.on_behalf_of == own.pseudonym != dana.pseudonym
    assert record.details["workload_token_of"] == dana.pseudonym
    assert (record.agent_name, record.reason) == ("bot", "provider_not_found")


def test_a_machines_token_released_with_a_persons_workload_token_is_recorded_alike(acme, hub, portal):
    from tests.security.lab import Lab, must

    lab = Lab(portal, hub)
    for _ in range(2):  # asked of the provider, then from the vault in one round trip
        assert must(lab.ask(lab.wat("dana"), ("status:read",), oauth2Flow="M2M"))["accessToken"]
    (own,), (dana,) = rows(lab.tenant, Principal, kind="self"), rows(lab.tenant, Principal, kind="uid")
    (held,) = rows(lab.tenant, Connection)
    assert held.principal_id == own.id
    records = trail(lab.tenant, action="credential.fetch_oauth", outcome="allowed")
    assert len(records) == 2
    for record in records:
        assert (record.on_behalf_of, record.details["workload_token_of"]) == (own.pseudonym, dana.pseudonym)
        assert record.connection_id == held.id
