"""The gate of the REST API: who is calling, proven by exactly one credential.

A request with a credential that does not hold ends here: no second one is looked at, least of all a session cookie.
Signed requests are proven by the gate of the AWS wire; this module adds people and whoever brings nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.audit import operators
from apps.authn import session_tenant
from apps.authn.caller import Caller, CallerKind
from apps.authn.rate_limits import RateLimited, counters
from apps.broker import aws_gate
from apps.broker.authorization_server.bearer import authenticate_bearer
from apps.broker.work import Work
from apps.core.errors import NotAllowed, PortalError, Unauthenticated
from apps.core.secret import Secret
from apps.tenants.models import Tenant, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A proven caller. `signature` names a signed request, so that it is served once only; else None."""

    caller: Caller
    signature: str | None = None


def nobody(*, request_id: str, source_ip: str | None, reason: str = "credential_missing") -> PortalError:
    """Record a request without a credential, or with one of a kind nobody knows. Returns the refusal."""
    return aws_gate.turned_away(Unauthenticated(reason=reason), request_id=request_id, source_ip=source_ip)


def person(user: User, session: Any, *, request_id: str, source_ip: str | None) -> Proven:
    """A signed-in person, in the tenant they chose in the console.

    Raises NotAllowed when they have no role, chose no tenant yet, or it is suspended; Throttled when they are too
    fast. The caller has checked the session and the CSRF token.
    """
    found = session_tenant.current(session, user)
    if found is None:
        operators.record(
            action="request.rejected",
            reason="tenant_not_chosen",
            request_id=request_id,
            source_ip=source_ip,
            details={"account": str(user.id)},
        )
        raise NotAllowed(
            "You have no tenant to work in, or several: choose one in the console first.", reason="tenant_not_chosen"
        )
    tenant = found[0]
    caller = Caller(
        tenant_id=tenant.id,
        account_id=tenant.account_id,
        kind=CallerKind.PERSON,
        name=str(user.id),
        row_id=user.id,
        proof="session",
        request_id=request_id,
        source_ip=source_ip,
    )
    try:
        if tenant.status != Tenant.Status.ACTIVE:
            raise NotAllowed("This tenant is suspended.", reason="tenant_suspended")
        counters.hit("credential", caller.name)
        counters.hit("tenant", str(tenant.id))
    except PortalError as refused:
        if not isinstance(refused, RateLimited) or refused.first:
            Work("authn.failure", caller).refuse(refused)
        raise
    return Proven(caller=caller)


def bearer(token: Secret, *, request_id: str, source_ip: str | None) -> Proven:
    """Whom an access token of the portal stands for, limited to its scopes (RFC 6750).

    Raises Unauthenticated with one sentence whatever is wrong, Throttled for too many calls.
    """
    try:
        return Proven(caller=authenticate_bearer(token, request_id=request_id, source_ip=source_ip))
    except PortalError as refused:
        if not isinstance(refused, RateLimited) or refused.first:
            operators.record(action="authn.failure", reason=refused.reason, request_id=request_id, source_ip=source_ip)
        raise


def forged(user: User, *, request_id: str, source_ip: str | None) -> NotAllowed:
    """A change with a person's session, but without the token that only our pages know (T106). Returns the refusal."""
    operators.record(
        action="request.rejected",
        reason="csrf_failed",
        request_id=request_id,
        source_ip=source_ip,
        details={"account": str(user.id)},
    )
    return NotAllowed(
        "Changes with a browser's session need the header X-CSRFToken and must come from the portal's own pages.",
        reason="csrf_failed",
    )


def rate_of(caller: Caller) -> tuple[int, int] | None:
    """How many requests per second the credential has, and how many are left in this second."""
    name = f"oauth:{caller.row_id}" if caller.kind is CallerKind.API_CLIENT else caller.name
    return counters.left("credential", name)
