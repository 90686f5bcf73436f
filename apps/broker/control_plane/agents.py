"""The directory: create, read, change, remove agents."""

from __future__ import annotations

from apps.agents import actions, queries
from apps.agents.models import Agent
from apps.authn.models import AccessKey
from apps.broker import contracts as c
from apps.broker import cursors
from apps.broker.inbound import settings as authorizers
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections.models import Connection, ConsentSession
from apps.core import names
from apps.vault import storing


def _view(agent: Agent, work: Work) -> c.AgentView:
    return c.AgentView(
        id=agent.id,
        name=agent.name,
        arn=work.arn(names.agent(agent.name)),
        return_urls=tuple(agent.return_urls),
        created_at=agent.created_at,
        updated_at=agent.updated_at,
        status=agent.status,
    )


@handles(c.CreateAgent)
def create(command: c.CreateAgent, work: Work) -> c.AgentView:
    with work.change():
        work.require(names.DIRECTORY, names.agent(command.name))
        agent = actions.create(name=command.name, return_urls=command.return_urls, tags=command.tags)
        work.note(agent=agent, return_urls=list(command.return_urls))
        return _view(agent, work)


@handles(c.GetAgent)
def get(command: c.GetAgent, work: Work) -> c.AgentView:
    with work.change():
        work.require(names.DIRECTORY, names.agent(command.name))
        agent = queries.by_name(command.name)
        work.note(agent=agent)
        return _view(agent, work)


@handles(c.UpdateAgent)
def update(command: c.UpdateAgent, work: Work) -> c.AgentView:
    with work.change():
        work.require(names.DIRECTORY, names.agent(command.name))
        agent = queries.by_name(command.name, lock=True)
        if command.return_urls is not None:
            work.note(before=list(agent.return_urls), after=list(command.return_urls))
            actions.set_return_urls(agent, command.return_urls)
        work.note(agent=agent)
        return _view(agent, work)


@handles(c.DeleteAgent)
def delete(command: c.DeleteAgent, work: Work) -> None:
    """The agent's tokens, connections and open consents end with it."""
    with work.change():
        work.require(names.DIRECTORY, names.agent(command.name))
        remove(queries.by_name(command.name, lock=True), work)


def remove(agent: Agent, work: Work) -> None:
    """Delete an agent and every secret that was sealed for it, inside a scope."""
    ended = forget_secrets_of(agent_id=agent.id)
    # Its own access keys go with it by the foreign key; their sealed secrets have none.
    keys = AccessKey.objects.filter(agent=agent).values_list("id", flat=True)
    storing.forget(table="authn_accesskey", row_ids=list(keys))
    authorizers.forget_agent(agent)
    work.note(agent=agent, connections_ended=ended)
    agent.delete()


def forget_secrets_of(**owner: object) -> int:
    """Remove the sealed tokens and consent material of an agent's or provider's connections. Returns how many."""
    connections = list(Connection.objects.filter(**owner).values_list("id", flat=True))
    sessions = list(ConsentSession.objects.filter(**owner).values_list("id", flat=True))
    storing.forget(table="connections_connection", row_ids=connections)
    storing.forget(table="connections_consentsession", row_ids=sessions)
    return len(connections)


@handles(c.ListAgents)
def list_(command: c.ListAgents, work: Work) -> c.Page:
    with work.change():
        work.require(names.DIRECTORY)
        return cursors.paged(
            work.caller.tenant_id,
            "agents",
            cursor=command.cursor,
            limit=command.limit,
            fetch=lambda after, limit: queries.page(after=after, limit=limit),
            show=lambda row: _view(row, work),
        )
