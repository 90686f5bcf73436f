"""Which tenant the person works in. What the session holds is read by `apps.authn.session_tenant`."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpRequest

from apps.authn import session_tenant
from apps.authn.session_tenant import SINCE, STAFF_STAY_S, TENANT
from apps.core import clock
from apps.tenants.models import Tenant, User

__all__ = ["STAFF_STAY_S", "open_to", "current", "choose", "leave"]


def open_to(user: User) -> QuerySet[Tenant]:
    """The tenants this person may work in."""
    if user.is_platform_admin:
        return Tenant.objects.all()
    return Tenant.objects.filter(id__in=session_tenant.operating(user).values("tenant_id"))


def current(request: HttpRequest, user: User) -> tuple[Tenant, str] | None:
    """The chosen tenant and the person's role there; see `session_tenant.current`."""
    return session_tenant.current(request.session, user)


def choose(request: HttpRequest, tenant: Tenant) -> None:
    """Remember the choice. The caller has checked it against `open_to` and recorded it where that is due."""
    request.session[TENANT] = str(tenant.id)
    request.session[SINCE] = clock.now().timestamp()


def leave(request: HttpRequest) -> None:
    request.session.pop(TENANT, None)
    request.session.pop(SINCE, None)
