"""Suspend, resume, revoke: each ends what it should at the next call of any process."""

from __future__ import annotations

from apps.agents import actions as agent_actions
from apps.agents import queries as agents
from apps.broker import contracts as c
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections.leases import TABLE
from apps.connections.models import Connection
from apps.core import names
from apps.core.errors import Invalid, NotFound
from apps.providers.models import Provider
from apps.vault import storing


def checked_why(text: str) -> str:
    if not text.strip():
        raise Invalid.field("why", "Say why: it goes to the audit trail.", reason="reason_missing")
    return text.strip()[:500]


@handles(c.SuspendAgent)
def suspend_agent(command: c.SuspendAgent, work: Work) -> None:
    with work.change():
        work.require(names.agent(command.name))
        agent = agents.by_name(command.name, lock=True)
        work.note(agent=agent, why=checked_why(command.why))
        agent_actions.suspend(agent)


@handles(c.ResumeAgent)
def resume_agent(command: c.ResumeAgent, work: Work) -> None:
    with work.change():
        work.require(names.agent(command.name))
        agent = agents.by_name(command.name, lock=True)
        work.note(agent=agent, why=command.why.strip()[:500])
        agent_actions.resume(agent)


def _provider(command: c.SuspendProvider | c.ResumeProvider, work: Work) -> Provider:
    work.require(names.VAULT)
    row: Provider | None = Provider.objects.select_for_update().filter(id=command.provider_id).first()
    if row is None:
        raise NotFound("There is no such credential provider.", reason="provider_not_found")
    work.note(provider=row)
    return row


@handles(c.SuspendProvider)
def suspend_provider(command: c.SuspendProvider, work: Work) -> None:
    with work.change():
        row = _provider(command, work)
        work.note(why=checked_why(command.why))
        row.status = Provider.Status.SUSPENDED
        row.save(update_fields=["status", "updated_at"])


@handles(c.ResumeProvider)
def resume_provider(command: c.ResumeProvider, work: Work) -> None:
    with work.change():
        row = _provider(command, work)
        work.note(why=command.why.strip()[:500])
        row.status = Provider.Status.ACTIVE
        row.save(update_fields=["status", "updated_at"])


@handles(c.RevokeConnection)
def revoke(command: c.RevokeConnection, work: Work) -> None:
    with work.change():
        work.require(names.VAULT)
        row: Connection | None = (
            Connection.objects.select_for_update(of=("self",))
            .select_related("agent", "principal", "provider")
            .filter(id=command.connection_id)
            .first()
        )
        if row is None:
            raise NotFound("There is no such connection.", reason="connection_not_found")
        work.note(agent=row.agent, principal=row.principal, provider=row.provider, connection_id=row.id)
        work.note(why=checked_why(command.why))
        row.status, row.status_reason = Connection.Status.REVOKED, "revoked"
        # A renewal under way must not bring it back.
        row.generation += 1
        row.lease_id = row.lease_until = None
        row.has_refresh_token = False
        row.save()
        storing.forget(table=TABLE, row_ids=[row.id])
