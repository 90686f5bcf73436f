"""Bindings between agents and providers."""

from __future__ import annotations

from apps.agents import queries as agents
from apps.broker import contracts as c
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import Invalid, NotFound
from apps.policy.models import Binding
from apps.providers.models import Provider

FLOWS = ("user_federation", "m2m", "on_behalf_of", "api_key")


@handles(c.SetBinding)
def set_(command: c.SetBinding, work: Work) -> None:
    unknown = set(command.flows) - set(FLOWS)
    if unknown:
        raise Invalid.field("flows", f"Flows are {', '.join(FLOWS)}.", reason="flow_unknown")
    with work.change():
        work.require(names.agent(command.agent))
        agent = agents.by_name(command.agent)
        provider: Provider | None = Provider.objects.filter(id=command.provider_id).first()
        if provider is None:
            raise NotFound("There is no such credential provider.", reason="provider_not_found")
        ceiling = sorted(set(command.scope_ceiling)) if command.scope_ceiling is not None else None
        work.note(agent=agent, provider=provider, flows=list(command.flows), scope_ceiling=ceiling)
        Binding.objects.update_or_create(
            agent=agent, provider=provider, defaults={"flows": list(command.flows), "scope_ceiling": ceiling}
        )


@handles(c.DeleteBinding)
def delete(command: c.DeleteBinding, work: Work) -> None:
    with work.change():
        work.require(names.DIRECTORY)
        row: Binding | None = Binding.objects.select_related("agent", "provider").filter(id=command.binding_id).first()
        if row is None:
            raise NotFound("There is no such binding.", reason="binding_not_found")
        work.note(agent=row.agent, provider=row.provider)
        row.delete()
