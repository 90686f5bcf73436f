"""What a data-plane call rests on, read afresh in the caller's scope. The slow path, and the reference."""

from __future__ import annotations

from collections.abc import Iterable

from apps.agents.models import Agent
from apps.authn import workload
from apps.authn.caller import CallerKind
from apps.authn.models import AccessKey
from apps.authn.workload import Proven
from apps.broker.work import Work
from apps.core.errors import NotAllowed, NotFound
from apps.core.secret import Secret
from apps.policy import facts
from apps.policy.bindings import BindingFacts, may_use
from apps.policy.decide import Deny
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
    if bound is not None and bound != agent.id:
        raise NotAllowed("This access key belongs to another workload identity.", reason="agent_mismatch")


def provider(kind: str, name: str, work: Work) -> Provider:
    """Raises NotFound for an absent one, NotAllowed for a suspended one."""
    row: Provider | None = Provider.objects.filter(kind=kind, name=name).first()
    if row is None:
        raise NotFound("There is no such credential provider.", reason="provider_not_found")
    work.note(provider=row)
    if row.status != "active":
        raise NotAllowed("This credential provider is suspended.", reason="provider_suspended")
    return row


def require_binding(proven: Proven, to: Provider, *, flow: str, scopes: Iterable[str]) -> BindingFacts | None:
    """Raises NotAllowed with the clause that said no. Returns the binding, for a second look at granted scopes."""
    row = facts.binding(proven.agent.id, to.id)
    bound = (
        BindingFacts(
            flows=frozenset(row.flows),
            ceiling=frozenset(row.scope_ceiling) if row.scope_ceiling is not None else None,
        )
        if row
        else None
    )
    decision = may_use(closed=proven.tenant.binding_mode == "closed", binding=bound, flow=flow, scopes=scopes)
    if isinstance(decision, Deny):
        raise NotAllowed(_SENTENCES[decision.reason], reason=decision.reason)
    return bound


_SENTENCES = {
    "no_binding": "This tenant is closed: an administrator has to bind the workload identity to the provider first.",
    "flow_not_bound": "The workload identity is not bound to this provider for this flow.",
    "scope_above_ceiling": "A requested scope is above what the workload identity may have at this provider.",
}


def require_granted_below_ceiling(granted: Iterable[str], bound: BindingFacts | None) -> None:
    """A token may be wider than what was asked; the ceiling looks at what it can do. Raises NotAllowed."""
    if bound is not None and bound.ceiling is not None and not set(granted) <= bound.ceiling:
        raise NotAllowed(_SENTENCES["scope_above_ceiling"], reason="granted_above_ceiling")
