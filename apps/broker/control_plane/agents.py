"""The directory: create, read, change, remove agents."""

from __future__ import annotations

from apps.agents import actions, queries
from apps.agents.models import Agent
from apps.authn.models import AccessKey
from apps.broker import contracts as c
from apps.broker import cursors, versions
from apps.broker.contracts_admin import MarkAgentTrusted
from apps.broker.inbound import settings as authorizers
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections.models import Connection, ConsentSession
from apps.core import names
from apps.core.errors import Invalid
from apps.tenants.models import User
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
        description=agent.description,
        owner=agent.owner.email if agent.owner is not None else None,
        native=agent.native,
        trusted=agent.trusted,
    )


def _apply(profile: c.AgentProfile, agent: Agent, work: Work) -> None:
    """Set what the profile says, and note what was there before. Raises Invalid for an owner who is no member."""
    said: dict[str, object] = {
        name: value
        for name in ("description", "native")
        if (value := getattr(profile, name)) is not None and value != getattr(agent, name)
    }
    before = {name: getattr(agent, name) for name in said}
    if profile.owner is not None:
        said["owner"] = _member(profile.owner, work) if profile.owner else None
        before["owner"] = str(agent.owner_id) if agent.owner_id else None
    if not said:
        return
    for name, value in said.items():
        setattr(agent, name, value)
    agent.save(update_fields=[*said, "updated_at"])
    shown = {**said, **({"owner": str(agent.owner_id) if agent.owner_id else None} if "owner" in said else {})}
    work.note(profile_before=before, profile_after=shown)


def _member(email: str, work: Work) -> User:
    user: User | None = User.objects.filter(
        email=email.strip().lower(), memberships__tenant_id=work.caller.tenant_id
    ).first()
    if user is None:
        raise Invalid.field("owner", "There is no member of this tenant with this e-mail.", reason="owner_not_member")
    return user


@handles(c.CreateAgent)
def create(command: c.CreateAgent, work: Work) -> c.AgentView:
    with work.change():
        work.require(names.DIRECTORY, names.agent(command.name))
        agent = actions.create(name=command.name, return_urls=command.return_urls, tags=command.tags)
        work.note(agent=agent, return_urls=list(command.return_urls))
        _apply(command.profile, agent, work)
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
        versions.require(agent, command.expect)
        if command.return_urls is not None:
            work.note(before=list(agent.return_urls), after=list(command.return_urls))
            actions.set_return_urls(agent, command.return_urls)
        _apply(command.profile, agent, work)
        work.note(agent=agent)
        return _view(agent, work)


@handles(MarkAgentTrusted)
def trust(command: MarkAgentTrusted, work: Work) -> c.AgentView:
    with work.change():
        work.require(names.agent(command.name))
        agent = queries.by_name(command.name, lock=True)
        work.note(agent=agent, before=agent.trusted, after=command.trusted)
        agent.trusted = command.trusted
        agent.save(update_fields=["trusted", "updated_at"])
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
