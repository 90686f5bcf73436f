"""Why: the clauses of a decision, from the very generators that decide.

What is put together here is only the order in which a fetch asks them (`data_plane.oauth_token`, `.api_key`); a test
holds the two against each other over generated cases.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apps.agents.models import Agent
from apps.audit.models import AuditRecord
from apps.authn import workload
from apps.authn.models import AccessKey
from apps.broker.contracts import Who
from apps.broker.contracts_policy import ExplainRequest, ExplainUse, Explanation, PastDecision
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections import principals
from apps.connections.models import Connection, Principal
from apps.connections.params import RequestParams
from apps.core import names
from apps.core.errors import Invalid, NotFound
from apps.policy import bindings, facts
from apps.policy.bindings import API_KEY, FLOWS, FOR_PERSON, BindingFacts, Use
from apps.policy.clauses import Clause, Clauses, heard
from apps.policy.decide import KeyFacts, key_agent_clauses, key_alive_clauses, key_grant_clauses
from apps.providers.models import Provider
from apps.tenants.models import Tenant

_FETCHES = {"credential.fetch_oauth": "", "credential.fetch_api_key": API_KEY}


@handles(ExplainUse)
def use(command: ExplainUse, work: Work) -> Explanation:
    if command.flow not in FLOWS:
        raise Invalid.field("flow", f"Flows are {', '.join(FLOWS)}.", reason="flow_unknown")
    with work.change():
        work.require(names.DIRECTORY)
        answer = _Question(command, work).explained()
        work.note(asked=command.flow, provider_name=command.provider, answer=answer.outcome, why=answer.reason)
        return answer


@handles(ExplainRequest)
def request(command: ExplainRequest, work: Work) -> PastDecision:
    """Raises NotFound for a request of another tenant as for one that never was."""
    with work.change():
        work.require(names.DIRECTORY)
        work.note(explained=command.request_id[:64])
        records = list(AuditRecord.objects.filter(request_id=command.request_id[:64]).order_by("at", "id")[:100])
        if not records:
            raise NotFound("There is no such request in this tenant's trail.", reason="request_not_found")
        # Steps of a call (a renewal, a consent opened) have records of their own; the call's is about the fetch.
        main = next((one for one in reversed(records) if one.action in _FETCHES), records[-1])
        again, missing = _again(main)
        clause = main.details.get("clause")
        return PastDecision(
            request_id=main.request_id,
            action=main.action,
            outcome="consent_needed" if main.details.get("consent_needed") else main.outcome,
            reason=main.reason or str(main.details.get("consent_missing", "")),
            at=main.at,
            agent=main.agent_name,
            provider=main.provider_name,
            clause=clause if isinstance(clause, dict) else None,
            now=_Question(again, work).explained() if again is not None else None,
            not_recorded=missing,
        )


def _again(record: AuditRecord) -> tuple[ExplainUse | None, tuple[str, ...]]:
    """The same call as a question, as far as the record tells it."""
    if record.action not in _FETCHES or not record.agent_name:
        return None, ()
    told = record.details
    # A machine's token is recorded for the agent itself; the decision looks at whom the workload token named.
    who = Principal.objects.filter(pseudonym=told.get("workload_token_of") or record.on_behalf_of).first()
    if who is None:
        return None, ()
    kept = Connection.objects.filter(id=record.connection_id).first() if record.connection_id else None
    custom = dict(kept.params.get("custom", {})) if kept else {}
    missing = ("custom_parameters",) if told.get("custom_parameters") and not custom else ()
    question = ExplainUse(
        agent=record.agent_name,
        provider=record.provider_name,
        flow=_FETCHES[record.action] or told.get("flow", FOR_PERSON),
        who=None if who.kind == "self" else Who(kind=who.kind, issuer=who.issuer, subject=who.subject),
        scopes=tuple(told.get("scopes", ())),
        resources=tuple(kept.params.get("resources", ()) if kept else told.get("resources", ())),
        audiences=tuple(kept.params.get("audiences", ()) if kept else told.get("audiences", ())),
        custom_parameters=custom,
        access_key_id=record.actor if record.actor_kind == "access_key" else None,
    )
    return question, missing


class _Question:
    """One hypothetical fetch, inside a scope."""

    def __init__(self, command: ExplainUse, work: Work) -> None:
        self.asked, self.work = command, work
        self.tenant = Tenant.objects.get(id=work.caller.tenant_id)
        self.consent_missing = False

    def explained(self) -> Explanation:
        clauses = heard(self._clauses())
        last = clauses[-1]
        if last.holds:
            return Explanation(outcome="allowed", reason="", decided_by=last, clauses=clauses)
        outcome = "consent_needed" if self.consent_missing else "denied"
        return Explanation(outcome=outcome, reason=last.reason, decided_by=last, clauses=clauses)

    def _clauses(self) -> Clauses:
        asked = self.asked
        key: KeyFacts | None = None
        if asked.access_key_id is not None:
            row = AccessKey.objects.filter(key_id=asked.access_key_id).first()
            key = facts.of_key(row.id) if row is not None else None
            yield Clause(rule="key.exists", holds=key is not None, reason="access_key_gone")
            if key is None:
                return
            yield from key_alive_clauses(key, now=self.work.now)
        agent: Agent | None = Agent.objects.filter(name=asked.agent).first()
        yield Clause(rule="agent.exists", holds=agent is not None, reason="agent_not_found")
        if agent is None:
            return
        who = self._who(agent)
        status = who.status if who is not None else "active"  # nobody has heard of them yet, so nobody suspended them
        for whose, active, reason in workload.standing(self.tenant.status, agent.status, status):
            yield Clause(rule=f"{whose}.active", holds=active, reason=reason)
        if key is not None:
            yield from self._key_clauses(key, agent)
        kind = API_KEY if asked.flow == API_KEY else "oauth2"
        provider: Provider | None = Provider.objects.filter(kind=kind, name=asked.provider).first()
        yield from bindings.provider_clauses(provider.status if provider is not None else None)
        if provider is not None:
            yield from self._use_clauses(agent, who, provider)

    def _key_clauses(self, key: KeyFacts, agent: Agent) -> Clauses:
        asked = self.asked
        is_key = asked.flow == API_KEY
        action = "credential.fetch_api_key" if is_key else "credential.fetch_oauth"
        provider = names.api_key_provider(asked.provider) if is_key else names.oauth_provider(asked.provider)
        start = names.prefix(asked.region, self.tenant.account_id)
        arns = tuple(start + path for path in (names.DIRECTORY, names.agent(agent.name), names.VAULT, provider))
        context = facts.context_of(key, arns, {})
        yield from key_grant_clauses(key, action=action, arns=arns, context=context)
        yield from key_agent_clauses(key.agent_id, agent.id)

    def _use_clauses(self, agent: Agent, who: Principal | None, provider: Provider) -> Iterator[Clause]:
        asked = self.asked
        yield from bindings.flow_clauses(asked.flow)
        bound = facts.binding(agent.id, provider.id)
        scopes = frozenset(asked.scopes)
        use_ = Use(
            flow=asked.flow,
            scopes=scopes,
            resources=frozenset(asked.resources),
            audiences=frozenset(asked.audiences),
            custom=asked.custom_parameters,
            principal=who.id if who is not None else None,
        )
        closed = self.tenant.binding_mode == Tenant.BindingMode.CLOSED
        yield from bindings.binding_clauses(closed=closed, binding=bound, use=use_, now=self.work.now)
        if asked.flow == API_KEY:
            return
        for_itself = asked.who is None
        yield from bindings.person_clauses(asked.flow, for_itself=for_itself)
        if asked.flow == FOR_PERSON:
            yield from self._consent_clauses(agent, who, provider, bound, scopes)
            return
        yield from bindings.named_clauses(scopes, bound)
        own = principals.find(kind="self", issuer="", subject=str(agent.id))
        stored = self._stored(agent, own, provider, RequestParams(**self._params(), m2m_scopes=asked.scopes))
        if stored is not None and stored.generation > 0:
            yield from bindings.granted_clauses(stored.granted_scopes, bound)

    def _consent_clauses(
        self,
        agent: Agent,
        who: Principal | None,
        provider: Provider,
        bound: BindingFacts | None,
        scopes: frozenset[str],
    ) -> Clauses:
        row = self._stored(agent, who, provider, RequestParams(**self._params()))
        consent = facts.consent(row, config_version=provider.config_version)
        given = heard(bindings.consent_clauses(consent, binding=bound, scopes=scopes, now=self.work.now))
        if given[-1].holds and row is not None:
            yield from given
            yield from bindings.granted_clauses(row.granted_scopes, bound)
            return
        # The person would be asked. That too can be refused, before they hear of it.
        earlier = frozenset(row.requested_scopes) if row is not None else frozenset()
        asked = bindings.to_ask(scopes, ceiling=bound.ceiling if bound else None, earlier=earlier)
        yield from bindings.named_clauses(asked, bound)
        self.consent_missing = True
        yield from given

    def _who(self, agent: Agent) -> Principal | None:
        """The principal's row, None while the portal has not met them."""
        who = self.asked.who
        if who is None or who.kind == "self":
            return principals.find(kind="self", issuer="", subject=str(agent.id))
        subject = principals.checked_user_id(who.subject) if who.kind == "uid" else who.subject
        return principals.find(kind=who.kind, issuer=who.issuer, subject=subject)

    def _params(self) -> dict[str, Any]:
        asked = self.asked
        return {"custom": asked.custom_parameters, "resources": asked.resources, "audiences": asked.audiences}

    def _stored(
        self, agent: Agent, who: Principal | None, provider: Provider, params: RequestParams
    ) -> Connection | None:
        if who is None:
            return None
        flow = "m2m" if params.m2m_scopes is not None else FOR_PERSON
        row: Connection | None = Connection.objects.filter(
            agent=agent, principal=who, provider=provider, flow=flow, params_digest=params.digest()
        ).first()
        return row
