"""What a data-plane call rests on, read afresh in the caller's scope. The slow path, and the reference."""

from __future__ import annotations

from collections.abc import Iterable

from apps.agents.models import Agent
from apps.authn import workload
from apps.authn.caller import CallerKind
from apps.authn.models import AccessKey
from apps.authn.workload import Proven
from apps.broker.contracts import FetchOAuthToken
from apps.broker.work import Work
from apps.core.errors import NotAllowed, NotFound
from apps.core.secret import Secret
from apps.policy import facts
from apps.policy.bindings import BindingFacts, Use, binding_clauses, granted_clauses, named_clauses, provider_clauses
from apps.policy.clauses import Clause, Deny, decide
from apps.policy.decide import key_agent_clauses
from apps.providers.models import Provider
from apps.tenants.models import Tenant


def tenant_of(work: Work) -> Tenant:
    return Tenant.objects.get(id=work.caller.tenant_id)


def prove(token: Secret, work: Work) -> Proven:
    """Prove the workload token and note who acts for whom. Raises Unauthenticated.

    Noted before it is judged: the record of a token that was ended says whose it was.
    """
    row = workload.find(workload.digest(token, work.caller.account_id))
    work.note(agent=row.agent, principal=row.principal)
    return workload.prove(row, tenant=tenant_of(work), now=work.now)


def require_own_agent(agent: Agent, work: Work) -> None:
    """A key made for one agent serves that agent only. Raises NotAllowed."""
    caller = work.caller
    if caller.kind is not CallerKind.ACCESS_KEY:
        return
    bound = AccessKey.objects.filter(id=caller.row_id).values_list("agent_id", flat=True).first()
    if isinstance(decide(key_agent_clauses(bound, agent.id)), Deny):
        raise NotAllowed("This access key belongs to another workload identity.", reason="agent_mismatch")


def provider(kind: str, name: str, work: Work) -> Provider:
    """Raises NotFound for an absent one, NotAllowed for a suspended one."""
    row: Provider | None = Provider.objects.filter(kind=kind, name=name).first()
    if row is not None:
        work.note(provider=row)
    decision = decide(provider_clauses(row.status if row is not None else None))
    if row is None:
        raise NotFound("There is no such credential provider.", reason="provider_not_found")
    if isinstance(decision, Deny):
        raise NotAllowed("This credential provider is suspended.", reason=decision.reason)
    return row


def require_binding(proven: Proven, to: Provider, use: Use, work: Work) -> BindingFacts | None:
    """The agent's ceiling against what is asked. Raises NotAllowed with the clause that said no.

    Returns the binding, for a second look at what a provider granted.
    """
    bound = facts.binding(proven.agent.id, to.id)
    closed = proven.tenant.binding_mode == "closed"
    require(binding_clauses(closed=closed, binding=bound, use=use, now=work.now), work)
    return bound


def require(clauses: Iterable[Clause], work: Work) -> None:
    """Raises NotAllowed with the sentence of the first clause that does not hold; the record gets the clause."""
    decision = decide(clauses)
    if isinstance(decision, Deny):
        if decision.clause is not None:
            work.note(clause=decision.clause.as_json())
        raise NotAllowed(SENTENCES[decision.reason], reason=decision.reason)


def use_of(command: FetchOAuthToken, proven: Proven) -> Use:
    """What the task asks for."""
    return Use(
        flow=command.flow.value,
        scopes=frozenset(command.scopes),
        resources=frozenset(command.resources),
        audiences=frozenset(command.audiences),
        custom=command.custom_parameters,
        principal=proven.principal.id,
    )


_ABOVE = "A requested scope is above what the workload identity may have at this provider."
SENTENCES = {
    "no_binding": "This tenant is closed: an administrator has to bind the workload identity to the provider first.",
    "binding_not_yet": "The binding of the workload identity to this provider does not hold yet.",
    "binding_over": "The time the workload identity was bound to this provider for is over.",
    "flow_not_bound": "The workload identity is not bound to this provider for this flow.",
    "person_not_bound": "The workload identity is not bound to this provider for this person.",
    "scope_above_ceiling": _ABOVE,
    "granted_above_ceiling": _ABOVE,
    "scopes_unnamed": "The workload identity's scopes at this provider are limited: name the scopes you need.",
    "resource_not_bound": "The workload identity is bound to named resources at this provider: ask for one of those.",
    "audience_not_bound": "The workload identity is bound to named audiences at this provider: ask for one of those.",
    "parameter_not_bound": "A custom parameter, or its value, is not among those the workload identity is bound to.",
}


def require_granted_below_ceiling(granted: Iterable[str], bound: BindingFacts | None, work: Work) -> None:
    """A token may be wider than what was asked; the ceiling looks at what it can do. Raises NotAllowed."""
    require(granted_clauses(granted, bound), work)


def require_named_scopes(scopes: Iterable[str], bound: BindingFacts | None, work: Work) -> None:
    """Raises NotAllowed for a request without scopes where there is a ceiling."""
    require(named_clauses(scopes, bound), work)
