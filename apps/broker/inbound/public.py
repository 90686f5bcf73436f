"""What anybody may know about an agent's door: the protected-resource metadata of RFC 9728."""

from __future__ import annotations

from dataclasses import dataclass

from apps.agents.models import Agent
from apps.authn.rate_limits import counters
from apps.broker.inbound import loading
from apps.core import names
from apps.core.errors import NotFound
from apps.tenants.models import Tenant
from apps.tenants.scope import tenant_scope


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedResource:
    """`resource_url` empty: the portal's own invocation address of the agent."""

    resource_url: str
    issuers: tuple[str, ...]
    scopes: tuple[str, ...]


def protected_resource(arn: str, *, source_ip: str | None) -> ProtectedResource:
    """Where to get a token for this agent. Public by its nature, so it is not recorded, only counted.

    Raises NotFound, the same for an agent that does not exist, is suspended, or takes no tokens.
    """
    if source_ip is not None:
        counters.hit("address", source_ip)
    missing = NotFound("There is no such protected resource.", reason="agent_not_found")
    parsed = names.parse(arn)
    if parsed is None or parsed.kind != "runtime":
        raise missing
    tenant = Tenant.objects.filter(account_id=parsed.account_id, status=Tenant.Status.ACTIVE).first()
    if tenant is None:
        raise missing
    with tenant_scope(tenant.id):
        agent = Agent.objects.filter(name=parsed.name, status=Agent.Status.ACTIVE).first()
        row = loading.authorizer_of(agent) if agent else None
        if row is None or row.kind != loading.CUSTOM_JWT or row.status != loading.ACTIVE:
            raise missing
        issuers = [one for one in loading.issuers_of(row) if one.status == loading.ACTIVE]
        enforced = dict.fromkeys(scope for one in issuers for scope in one.scopes)
        return ProtectedResource(
            resource_url=row.resource_url,
            issuers=tuple(one.issuer for one in issuers),
            scopes=tuple(dict.fromkeys(row.advertised_scopes.get(scope, scope) for scope in enforced)),
        )
