"""The console's addresses, from what is registered: a new page is tested the day it is born."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import reverse

from apps.audit.models import OperatorRecord
from apps.core import clock
from tests.walls.samples import SAMPLES


def shown() -> dict[str, Any]:
    """label -> the page's ModelAdmin."""
    return {model._meta.label: page for model, page in admin.site._registry.items()}


def list_url(label: str) -> str:
    return reverse(f"admin:{label.lower().replace('.', '_')}_changelist")


def url(label: str, what: str, pk: Any) -> str:
    return reverse(f"admin:{label.lower().replace('.', '_')}_{what}", args=[pk])


def key_of(row: Any) -> str:
    """What names the row in its page's addresses."""
    key: str = admin.site._registry[type(row)].key_of(row)
    return key


def actions_of(page: Any) -> list[str]:
    return list(page._extract_action_names(page.actions_detail))


def addresses(page: Any, pk: Any) -> list[str]:
    """Every address of a page that a GET may reach."""
    label = page.model._meta.label
    found = [list_url(label), url(label, "change", pk)]
    if page.create is not None:
        found.append(reverse(f"admin:{label.lower().replace('.', '_')}_add"))
    if page.remove is not None:
        found.append(url(label, "delete", pk))
    return found + [url(label, name, pk) for name in actions_of(page)]


def platform_row(label: str, tenant: Any, user: Any) -> Any:
    """A row of a platform table that has a page."""
    from axes.models import AccessAttempt, AccessFailureLog

    from apps.tenants.models import DueItem, Membership, Tenant
    from apps.vault.models import KeyRingCanary

    now = clock.now()
    match label:
        case "tenants.Tenant":
            return Tenant.objects.get(id=tenant.id)
        case "tenants.User":
            return user
        case "tenants.Membership":
            return Membership.objects.filter(tenant_id=tenant.id).first()
        case "tenants.DueItem":
            return DueItem.objects.create(tenant_id=tenant.id, kind="test", item_id=tenant.id, due_at=now)
        case "audit.OperatorRecord":
            return OperatorRecord.objects.bulk_create(
                [OperatorRecord(action="authn.failure", reason="test", request_id="r")]
            )[0]
        case "vault.KeyRingCanary":
            return KeyRingCanary.objects.get()  # laid by migrate; the service itself cannot make one
        case "axes.AccessAttempt":
            return AccessAttempt.objects.create(
                username=user.email, ip_address="192.0.2.1", user_agent="x", failures_since_start=1
            )
        case "axes.AccessFailureLog":
            return AccessFailureLog.objects.create(username=user.email, ip_address="192.0.2.1", user_agent="x")
    raise KeyError(f"no row for {label}: add one")


def row_of(label: str, tenant: Any, user: Any) -> Any:
    """One row for any page. Call it inside the tenant's scope."""
    return SAMPLES[label]() if label in SAMPLES else platform_row(label, tenant, user)
