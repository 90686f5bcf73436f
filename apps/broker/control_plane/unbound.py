"""What closing a tenant would deny, and how to close it without stopping anybody."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from uuid import UUID

from django.db.models import CharField, F, Func

from apps.agents.models import Agent
from apps.audit.models import AuditRecord
from apps.broker import contracts as c
from apps.broker.contracts_policy import BindWhatIsInUse, SurveyUnbound, UnboundUse
from apps.broker.control_plane import bindings
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections.models import Connection
from apps.core import names
from apps.policy.bindings import API_KEY
from apps.policy.models import Binding
from apps.providers.models import Provider

# A stored key leaves no connection behind, only records of its use.
_KEYS_WITHIN = timedelta(days=30)
Pair = tuple[UUID, UUID]


@handles(SurveyUnbound)
def survey(command: SurveyUnbound, work: Work) -> tuple[UnboundUse, ...]:
    with work.change():
        work.require(names.DIRECTORY)
        found = unbound(work)
        work.note(pairs=len(found))
        return tuple(view for _agent, _provider, view in found)


@handles(BindWhatIsInUse)
def bind(command: BindWhatIsInUse, work: Work) -> tuple[UnboundUse, ...]:
    """One record per binding besides the call's own. An agent and provider bound meanwhile keep what they have."""
    with work.change():
        work.require(names.DIRECTORY)
        found = unbound(work)
        for agent, provider, used in found:
            ceiling = used.scopes if command.ceilings and used.scopes else None
            wanted = c.SetBinding(agent=agent.name, provider_id=provider.id, flows=used.flows, scope_ceiling=ceiling)
            _row, told = bindings.put(wanted, agent, provider, work)
            work.also("binding.set", agent=agent.name, provider=provider.name, **told)
        work.note(pairs=len(found), ceilings=command.ceilings)
        return tuple(view for _agent, _provider, view in found)


def unbound(work: Work) -> list[tuple[Agent, Provider, UnboundUse]]:
    """Pairs in use without a binding, in order of name. Inside a scope."""
    flows: dict[Pair, set[str]] = defaultdict(set)
    scopes: dict[Pair, set[str]] = defaultdict(set)
    used = Connection.objects.filter(status=Connection.Status.ACTIVE, generation__gt=0)
    for agent_id, provider_id, flow in used.order_by().values_list("agent_id", "provider_id", "flow").distinct():
        flows[agent_id, provider_id].add(flow)
    for pair in _keys_fetched(work):
        flows[pair].add(API_KEY)
    bound = set(Binding.objects.values_list("agent_id", "provider_id"))
    open_pairs = [pair for pair in flows if pair not in bound]
    for column in ("requested_scopes", "granted_scopes"):
        each = used.order_by().annotate(one=Func(F(column), function="unnest", output_field=CharField()))
        for agent_id, provider_id, scope in each.values_list("agent_id", "provider_id", "one").distinct():
            scopes[agent_id, provider_id].add(scope)
    agents: dict[UUID, Agent] = Agent.objects.in_bulk({pair[0] for pair in open_pairs})
    providers: dict[UUID, Provider] = Provider.objects.in_bulk({pair[1] for pair in open_pairs})
    found = []
    for agent_id, provider_id in open_pairs:
        agent, provider = agents[agent_id], providers[provider_id]
        view = UnboundUse(
            agent=agent.name,
            provider_id=provider.id,
            provider=provider.name,
            provider_kind=provider.kind,
            flows=tuple(sorted(flows[agent_id, provider_id])),
            scopes=tuple(sorted(scopes[agent_id, provider_id])),
        )
        found.append((agent, provider, view))
    return sorted(found, key=lambda one: (one[0].name, one[1].name, one[1].kind))


def _keys_fetched(work: Work) -> list[Pair]:
    """Agents and API-key providers that are still there."""
    records = AuditRecord.objects.filter(
        action="credential.fetch_api_key",
        outcome=AuditRecord.Outcome.ALLOWED,
        at__gte=work.now - _KEYS_WITHIN,
        agent_id__isnull=False,
    )
    pairs = set(records.order_by().values_list("agent_id", "provider_name").distinct())
    agents = set(Agent.objects.filter(id__in={agent_id for agent_id, _name in pairs}).values_list("id", flat=True))
    providers = dict(Provider.objects.filter(kind=Provider.Kind.API_KEY).values_list("name", "id"))
    return [(agent, providers[name]) for agent, name in pairs if agent in agents and name in providers]
