"""The gate of a tenant's authorization server: the tenant is the one in the path, and everything after stays in it.

Who calls is not known yet: clients prove themselves in the request, people by their portal session.
"""

from __future__ import annotations

import re

from apps.audit import operators
from apps.authn.caller import Caller, CallerKind
from apps.authn.rate_limits import RateLimited, counters
from apps.broker.work import Work
from apps.core.errors import NotFound, PortalError
from apps.tenants.models import Tenant, User

_SLUG = re.compile(r"[a-z0-9-]{1,63}", re.ASCII)


def find_tenant(slug: str, *, request_id: str, source_ip: str | None) -> Tenant:
    """The tenant at work under this name.

    Raises NotFound, the same for unknown and suspended ones, after one operators' record; RateLimited when the address
    asks too fast.
    """
    try:
        if source_ip is not None:
            counters.hit("address", source_ip)
        tenant = Tenant.objects.filter(slug=slug).first() if _SLUG.fullmatch(slug) else None
        if tenant is None or tenant.status != Tenant.Status.ACTIVE:
            raise NotFound(
                "There is no such tenant.", reason="tenant_unknown" if tenant is None else "tenant_suspended"
            )
    except PortalError as refused:
        if not isinstance(refused, RateLimited) or refused.first:
            operators.record(
                action="request.rejected", reason=refused.reason, request_id=request_id, source_ip=source_ip
            )
        raise
    return tenant


def client_of(slug: str, *, client_id: str, request_id: str, source_ip: str | None) -> tuple[Caller, Tenant]:
    """A caller that claims to be this client, and is anybody until the token endpoint has looked at its proof.

    Only the address was counted so far: what counts against the tenant and its clients waits for `count_client`, or
    whoever knows the tenant's name could use up what its own clients may ask.
    """
    tenant = find_tenant(slug, request_id=request_id, source_ip=source_ip)
    caller = Caller(
        tenant_id=tenant.id,
        account_id=tenant.account_id,
        kind=CallerKind.API_CLIENT,
        name=client_id[:255] or "unknown client",
        row_id=None,
        proof="",
        request_id=request_id,
        source_ip=source_ip,
    )
    return caller, tenant


def count_client(caller: Caller) -> None:
    """Count one request of a client that has proven itself. Raises RateLimited."""
    counters.hit("credential", f"oauth:{caller.tenant_id}:{caller.name}")
    counters.hit("tenant", str(caller.tenant_id))


def person_of(slug: str, *, user: User | None, request_id: str, source_ip: str | None) -> tuple[Caller, Tenant]:
    """Whoever is at the browser."""
    tenant = find_tenant(slug, request_id=request_id, source_ip=source_ip)
    caller = Caller(
        tenant_id=tenant.id,
        account_id=tenant.account_id,
        kind=CallerKind.PERSON,
        name=str(user.id) if user is not None else "browser",
        row_id=user.id if user is not None else None,
        proof="session" if user is not None else "",
        request_id=request_id,
        source_ip=source_ip,
    )
    return caller, tenant


def record_rejection(caller: Caller, refused: PortalError) -> None:
    """A request that could not be read: one record, no work."""
    Work("request.rejected", caller).refuse(refused)
