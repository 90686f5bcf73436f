"""People with roles, and their browsers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

PASSWORD = "correct horse battery staple"
ROLES = ("tenant_owner", "tenant_admin", "agent_developer", "security_auditor", "approver", "end_user")


def make_person(tenant: Any = None, role: str = "tenant_owner", *, staff: bool = False) -> Any:
    from apps.tenants.models import Membership, User

    user = User.objects.create_user(f"{secrets.token_hex(6)}@example.org", name=f"Person {secrets.token_hex(3)}")
    if staff:
        User.objects.filter(id=user.id).update(is_platform_admin=True)
        user.refresh_from_db()
    if tenant is not None:
        Membership.objects.create(tenant_id=tenant.id, user=user, role=role)
    return user


def open_browser(user: Any = None, *, csrf: bool = False) -> Client:
    browser = Client(enforce_csrf_checks=csrf, headers={"host": "127.0.0.1"})
    if user is not None:
        browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return browser


@pytest.fixture
def person() -> Callable[..., Any]:
    return make_person


@pytest.fixture
def browse() -> Callable[..., Client]:
    return open_browser


@pytest.fixture
def owner(acme: Any) -> Client:
    """The browser of acme's owner."""
    return open_browser(make_person(acme, "tenant_owner"))


@pytest.fixture
def staff() -> Client:
    """The browser of platform staff, in no tenant yet."""
    return open_browser(make_person(staff=True))


def enter(browser: Client, tenant: Any, why: str = "test") -> None:
    answer = browser.post("/console/choose/", {"tenant": str(tenant.id), "why": why})
    assert answer.status_code == 302, answer.content[:500]
