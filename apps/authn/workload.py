"""Workload access tokens: mint one, or prove one. Everything is looked at afresh at every use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.agents.models import Agent
from apps.authn.models import WorkloadToken
from apps.connections.models import Principal
from apps.core import tickets
from apps.core.errors import Unauthenticated
from apps.core.secret import Secret
from apps.tenants.models import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A workload token that holds: which agent acts, and for whom."""

    tenant: Tenant
    agent: Agent
    principal: Principal
    proof: str


def mint(*, tenant: Tenant, agent: Agent, principal: Principal, proof: str, now: datetime) -> Secret:
    """Make a token for agent and principal, living as long as the tenant's policy says."""
    token = tickets.mint(tickets.Kind.WORKLOAD_TOKEN, tenant.account_id)
    WorkloadToken.objects.create(
        digest=tickets.digest_of(tickets.Kind.WORKLOAD_TOKEN, token.reveal()),
        agent=agent,
        principal=principal,
        proof=proof,
        tenant_epoch=tenant.epoch,
        agent_epoch=agent.epoch,
        principal_epoch=principal.epoch,
        issued_at=now,
        expires_at=now + timedelta(seconds=tenant.workload_token_life_s),
    )
    return token


def digest(token: Secret, account_id: str) -> bytes:
    """The stored form of a presented token, checked for form first: garbage costs no database read.

    Raises Unauthenticated; a well-formed token of another tenant gives the same answer as garbage.
    """
    ticket = tickets.read(tickets.Kind.WORKLOAD_TOKEN, token.reveal())
    if ticket.account_id != account_id:
        raise Unauthenticated(reason="workload_token_foreign")
    return ticket.digest


def standing(tenant: str, agent: str, principal: str) -> Iterator[tuple[str, bool, str]]:
    """(whose status, whether it is active, the reason when not). In the order in which a token is looked at."""
    yield "tenant", tenant == "active", "tenant_ended_tokens"
    yield "agent", agent == "active", "agent_ended_tokens"
    yield "principal", principal == "active", "principal_ended_tokens"


def find(token_digest: bytes) -> WorkloadToken:
    """Look a token up in the open tenant; whether it still holds is `prove`'s to say. Raises Unauthenticated."""
    rows = WorkloadToken.objects.select_related("agent", "principal")
    row: WorkloadToken | None = rows.filter(digest=token_digest).first()
    if row is None:
        raise Unauthenticated(reason="workload_token_unknown")
    return row


def prove(row: WorkloadToken, *, tenant: Tenant, now: datetime) -> Proven:
    """Raises Unauthenticated, the same for ended and expired ones as for unknown ones."""
    agent, principal = row.agent, row.principal
    for _whose, active, reason in standing(tenant.status, agent.status, principal.status):
        if not active:
            raise Unauthenticated(reason=reason)
    if row.tenant_epoch != tenant.epoch:
        raise Unauthenticated(reason="tenant_ended_tokens")
    if row.agent_epoch != agent.epoch:
        raise Unauthenticated(reason="agent_ended_tokens")
    if row.principal_epoch != principal.epoch:
        raise Unauthenticated(reason="principal_ended_tokens")
    if row.expires_at <= now:
        raise Unauthenticated(reason="token_expired")
    return Proven(tenant=tenant, agent=agent, principal=principal, proof=row.proof)
