"""Which tenant a signed-in person works in: kept in their session, proven again at every request."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from apps.core import clock
from apps.tenants.models import Membership, Tenant, User

PLATFORM_ADMIN = "platform_admin"
TENANT, SINCE = "console_tenant", "console_tenant_since"
# Platform staff enter a tenant for a while, not for good.
STAFF_STAY_S = 4 * 3600


def operating(user: User) -> QuerySet[Membership]:
    """The person's memberships with a role that operates something."""
    return Membership.objects.filter(~Q(role=Membership.Role.END_USER), user=user)


def current(session: Any, user: User) -> tuple[Tenant, str] | None:
    """The chosen tenant and the person's role there, None when there is nothing chosen or it may not be any more.

    Who has one tenant only need not choose; platform staff always do, because their entering is recorded.
    """
    chosen = session.get(TENANT)
    if user.is_platform_admin:
        since = session.get(SINCE)
        if not isinstance(chosen, str) or not isinstance(since, int | float):
            return None
        if clock.now().timestamp() - since > STAFF_STAY_S:
            return None
        tenant = Tenant.objects.filter(id=chosen).first()
        return (tenant, PLATFORM_ADMIN) if tenant is not None else None
    rows = list(operating(user).select_related("tenant").order_by("tenant__slug")[:2])
    if len(rows) == 1:
        return rows[0].tenant, rows[0].role
    row = operating(user).select_related("tenant").filter(tenant_id=chosen).first() if chosen else None
    return (row.tenant, row.role) if row is not None else None
