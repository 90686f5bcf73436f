"""Where an operator sits: the role and the tenant of one request, set by the middleware and by nobody else."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from apps.authn.caller import Caller
from apps.authn.session_tenant import PLATFORM_ADMIN as PLATFORM_ADMIN
from apps.policy.permissions import ROLE_ACTIONS
from apps.tenants.models import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """`tenant` and `caller` are None only on the few pages that need no tenant."""

    role: str
    tenant: Tenant | None = None
    caller: Caller | None = None


def desk(request: HttpRequest) -> Desk | None:
    found = getattr(request, "portal_desk", None)
    return found if isinstance(found, Desk) else None


def may(request: HttpRequest, action: str | None) -> bool:
    """Does the role hold the action? The broker proves it again when something is done."""
    here = desk(request)
    return here is not None and action is not None and action in ROLE_ACTIONS.get(here.role, frozenset())


def is_platform_admin(request: HttpRequest) -> bool:
    here = desk(request)
    return here is not None and here.role == PLATFORM_ADMIN


def tenant_of(request: HttpRequest) -> Tenant:
    """The chosen tenant. Raises RuntimeError on a page that has none: a fault of ours."""
    here = desk(request)
    if here is None or here.tenant is None:
        raise RuntimeError("this page needs a chosen tenant")
    return here.tenant


def caller_of(request: HttpRequest) -> Caller:
    """Who acts. Raises RuntimeError on a page without a chosen tenant."""
    here = desk(request)
    if here is None or here.caller is None:
        raise RuntimeError("this page needs a chosen tenant")
    return here.caller
