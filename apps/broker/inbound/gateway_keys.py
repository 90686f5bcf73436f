"""Keys of the proxies in front of agents, and the gate that proves them."""

from __future__ import annotations

from apps.agents import queries as agents
from apps.agents.models import GatewayKey
from apps.audit import operators
from apps.authn.caller import Caller, CallerKind
from apps.authn.rate_limits import RateLimited, counters
from apps.broker.inbound import contracts as c
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names, tickets
from apps.core.errors import NotFound, PortalError, Unauthenticated
from apps.core.secret import Secret
from apps.tenants.models import Tenant
from apps.tenants.scope import tenant_scope


@handles(c.CreateGatewayKey)
def create(command: c.CreateGatewayKey, work: Work) -> c.NewGatewayKey:
    """Raises NotFound for an unknown agent."""
    with work.change():
        work.require(names.runtime(command.agent))
        agent = agents.by_name(command.agent)
        key = tickets.mint(tickets.Kind.GATEWAY_KEY, work.caller.account_id)
        row = GatewayKey.objects.create(
            agent=agent,
            label=command.label.strip()[:200],
            digest=tickets.digest_of(tickets.Kind.GATEWAY_KEY, key.reveal()),
        )
        work.note(agent=agent, key_id=str(row.id), label=row.label)
        return c.NewGatewayKey(row_id=row.id, key=key)


@handles(c.DeleteGatewayKey)
def delete(command: c.DeleteGatewayKey, work: Work) -> None:
    with work.change():
        row: GatewayKey | None = GatewayKey.objects.select_related("agent").filter(id=command.key_id).first()
        # Which agent it is for is not known before it is read; an absent one needs the right to all of them.
        work.require(names.runtime(row.agent.name if row else "*"))
        if row is None:
            raise NotFound("There is no such gateway key.", reason="gateway_key_not_found")
        work.note(agent=row.agent, key_id=str(row.id), label=row.label)
        row.delete()


def authenticate(key: Secret | None, *, request_id: str, source_ip: str | None) -> Caller:
    """The gateway that holds this key, as a caller. Every failure is the same Unauthenticated and leaves one record.

    Garbage costs no database read. Raises Throttled above the limits of address, credential or tenant.
    """
    tenant: Tenant | None = None
    try:
        if source_ip is not None:
            counters.hit("address", source_ip)
        if key is None:
            raise Unauthenticated(reason="gateway_key_missing")
        ticket = tickets.read(tickets.Kind.GATEWAY_KEY, key.reveal())
        tenant = Tenant.objects.filter(account_id=ticket.account_id).first()
        if tenant is None:
            raise Unauthenticated(reason="gateway_key_unknown")
        with tenant_scope(tenant.id):
            row = GatewayKey.objects.filter(digest=ticket.digest, status="active").first()
        if row is None:
            raise Unauthenticated(reason="gateway_key_unknown")
        counters.hit("credential", str(row.id))
        counters.hit("tenant", str(tenant.id))
    except PortalError as refused:
        if not isinstance(refused, RateLimited) or refused.first:
            operators.record(
                action="authn.failure",
                reason=refused.reason,
                request_id=request_id,
                source_ip=source_ip,
                details={"account_id": tenant.account_id} if tenant else {},
            )
        raise
    return Caller(
        tenant_id=tenant.id,
        account_id=tenant.account_id,
        kind=CallerKind.GATEWAY,
        name=row.label or str(row.id),
        row_id=row.id,
        proof="gateway_key",
        request_id=request_id,
        source_ip=source_ip,
    )


def agent_of(work: Work) -> str:
    """The one agent a gateway's key is for, inside a scope. Raises Unauthenticated when the key has gone meanwhile."""
    row = GatewayKey.objects.select_related("agent").filter(id=work.caller.row_id).first()
    if row is None:
        raise Unauthenticated(reason="gateway_key_gone")
    name: str = row.agent.name
    return name
