"""Runtimes: agents that run elsewhere, registered over the AWS wire with an authorizer and an endpoint."""

from __future__ import annotations

import secrets
import string

from django.db import IntegrityError, transaction

from apps.agents import actions as agents
from apps.agents.models import AgentRuntime
from apps.broker import cursors
from apps.broker.contracts import Page
from apps.broker.control_plane.agents import remove
from apps.broker.inbound import contracts as c
from apps.broker.inbound import loading, settings
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import Conflict, NotFound

_ID_CHARS = string.ascii_letters + string.digits


@handles(c.CreateRuntime)
def create(command: c.CreateRuntime, work: Work) -> c.RuntimeView:
    """Raises Conflict when the name is taken, and what setting an authorizer raises."""
    runtime_id = f"{command.name}-{''.join(secrets.choice(_ID_CHARS) for _ in range(10))}"
    with work.look():
        work.require(names.runtime(runtime_id))
    found = settings.check(command.settings.authorizer, tenant_id=work.caller.tenant_id)
    with work.change():
        work.require(names.runtime(runtime_id))
        agent = agents.create(name=runtime_id, return_urls=(), tags=command.tags)
        try:
            with transaction.atomic():
                row: AgentRuntime = AgentRuntime.objects.create(
                    agent=agent, name=command.name, **_described(command.settings)
                )
        except IntegrityError as taken:
            raise Conflict("A runtime with this name exists already.", reason="name_taken") from taken
        settings.store(agent, command.settings.authorizer, found, work)
        return _view(row, work)


@handles(c.GetRuntime)
def get(command: c.GetRuntime, work: Work) -> c.RuntimeView:
    with work.change():
        work.require(names.runtime(command.runtime_id))
        row = _by_id(command.runtime_id, version=command.version)
        work.note(agent=row.agent)
        return _view(row, work)


@handles(c.UpdateRuntime)
def update(command: c.UpdateRuntime, work: Work) -> c.RuntimeView:
    with work.look():
        work.require(names.runtime(command.runtime_id))
        work.note(agent=_by_id(command.runtime_id).agent)
    found = settings.check(command.settings.authorizer, tenant_id=work.caller.tenant_id)
    with work.change():
        work.require(names.runtime(command.runtime_id))
        row = _by_id(command.runtime_id, lock=True)
        for name, value in _described(command.settings).items():
            setattr(row, name, value)
        row.version += 1
        row.save()
        settings.store(row.agent, command.settings.authorizer, found, work)
        view = _view(row, work)
    settings.forget_keys(found, work)
    return view


@handles(c.DeleteRuntime)
def delete(command: c.DeleteRuntime, work: Work) -> c.RuntimeView:
    with work.change():
        work.require(names.runtime(command.runtime_id))
        row = _by_id(command.runtime_id, lock=True, version=command.version)
        view = _view(row, work)
        remove(row.agent, work)
        return view


@handles(c.ListRuntimes)
def list_(command: c.ListRuntimes, work: Work) -> Page:
    with work.change():
        work.require(names.runtime("*"))
        return cursors.paged(
            work.caller.tenant_id,
            "runtimes",
            cursor=command.cursor,
            limit=command.limit,
            fetch=lambda after, limit: list(
                AgentRuntime.objects.select_related("agent").filter(name__gt=after).order_by("name")[: limit + 1]
            ),
            show=lambda row: _view(row, work),
        )


def _described(given: c.RuntimeSettings) -> dict[str, str]:
    return {"description": given.description, "role_arn": given.role_arn, "protocol": given.protocol}


def _by_id(runtime_id: str, *, lock: bool = False, version: str | None = None) -> AgentRuntime:
    """Raises NotFound, also for a version that is not the present one."""
    rows = AgentRuntime.objects.select_for_update(of=("self",)) if lock else AgentRuntime.objects
    row: AgentRuntime | None = rows.select_related("agent").filter(agent__name=runtime_id).first()
    if row is None or (version is not None and version != str(row.version)):
        raise NotFound("There is no such agent runtime.", reason="runtime_not_found")
    return row


def _view(row: AgentRuntime, work: Work) -> c.RuntimeView:
    return c.RuntimeView(
        runtime_id=row.agent.name,
        name=row.name,
        arn=work.arn(names.runtime(row.agent.name)),
        workload_identity_arn=work.arn(names.agent(row.agent.name)),
        version=row.version,
        description=row.description,
        role_arn=row.role_arn,
        protocol=row.protocol,
        authorizer=loading.view_of(row.agent, work),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
