"""Which tenant the person works in: kept in the session, proven again at every request."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from apps.core import clock
from apps.entrypoints.console.desk import PLATFORM_ADMIN
from apps.tenants.models import Membership, Tenant, User

_TENANT, _SINCE = "console_tenant", "console_tenant_since"
# Platform staff enter a tenant for a while, not for good.
STAFF_STAY_S = 4 * 3600


def open_to(user: User) -> QuerySet[Tenant]:
    """The tenants this person may work in."""
    if user.is_platform_admin:
        return Tenant.objects.all()
    return Tenant.objects.filter(id__in=_operating(user).values("tenant_id"))


def _operating(user: User) -> QuerySet[Membership]:
    return Membership.objects.filter(~Q(role=Membership.Role.END_USER), user=user)


def current(request: HttpRequest, user: User) -> tuple[Tenant, str] | None:
    """The chosen tenant and the person's role there, None when there is nothing chosen or it may not be any more.

    Who has one tenant only need not choose; platform staff always do, because their entering is recorded.
    """
    chosen = request.session.get(_TENANT)
    if user.is_platform_admin:
        since = request.session.get(_SINCE)
        if not isinstance(chosen, str) or not isinstance(since, int | float):
            return None
        if clock.now().timestamp() - since > STAFF_STAY_S:
            return None
        tenant = Tenant.objects.filter(id=chosen).first()
        return (tenant, PLATFORM_ADMIN) if tenant is not None else None
    rows = list(_operating(user).select_related("tenant").order_by("tenant__slug")[:2])
    if len(rows) == 1:
        return rows[0].tenant, rows[0].role
    row = _operating(user).select_related("tenant").filter(tenant_id=chosen).first() if chosen else None
    return (row.tenant, row.role) if row is not None else None


def choose(request: HttpRequest, tenant: Tenant) -> None:
    """Remember the choice. The caller has checked it against `open_to` and recorded it where that is due."""
    request.session[_TENANT] = str(tenant.id)
    request.session[_SINCE] = clock.now().timestamp()


def leave(request: HttpRequest) -> None:
    request.session.pop(_TENANT, None)
    request.session.pop(_SINCE, None)
