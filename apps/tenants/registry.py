"""Every table is either a tenant's (row security) or the platform's, with a reason."""

from __future__ import annotations

from enum import StrEnum

from django.apps import apps as installed

PLATFORM: dict[str, str] = {
    # Ours
    "tenants.Tenant": "the list of tenants itself; read before a tenant is known",
    "tenants.User": "a person may belong to several tenants",
    "tenants.Membership": "read at sign-in, before a tenant is chosen",
    "tenants.DueItem": "ids only: finds work without visiting every tenant",
    "vault.KeyRingCanary": "proves at start that the key ring fits the data",
    "audit.OperatorRecord": "failures before a tenant is known",
    # Django and third-party bookkeeping
    "auth.Group": "Django's bookkeeping; not used for rights",
    "auth.Permission": "Django's bookkeeping; not used for rights",
    "contenttypes.ContentType": "Django's bookkeeping",
    "sessions.Session": "browser sessions; a person may belong to several tenants",
    "admin.LogEntry": "Django's own admin log, switched off: the audit trail is the log",
    "axes.AccessAttempt": "sign-in lock-out, before a tenant is known",
    "axes.AccessAttemptExpiration": "sign-in lock-out, before a tenant is known",
    "axes.AccessFailureLog": "sign-in lock-out, before a tenant is known",
    "axes.AccessLog": "sign-in lock-out, before a tenant is known",
    "migrations.Migration": "Django's bookkeeping",
}
_EXTRA_PLATFORM_TABLES = ("django_migrations",)


class Access(StrEnum):
    """What the application role may do with a table."""

    FULL = "SELECT, INSERT, UPDATE, DELETE"
    APPEND = "SELECT, INSERT"
    READ = "SELECT"


APPEND_ONLY = {"audit.AuditRecord", "audit.OperatorRecord"}


def is_tenant_owned(model: type) -> bool:
    from apps.tenants.models import TenantOwned

    return issubclass(model, TenantOwned)


def all_models() -> list[type]:
    """Every concrete installed model, auto-created many-to-many tables included."""
    return [m for m in installed.get_models(include_auto_created=True) if not m._meta.proxy]


def tenant_models() -> list[type]:
    return [m for m in all_models() if is_tenant_owned(m)]


def access_of(model: type) -> Access | None:
    """What portal_app gets on the model's table; None when the table is registered nowhere."""
    label = model._meta.label  # type: ignore[attr-defined]
    if label in APPEND_ONLY:
        return Access.APPEND
    if is_tenant_owned(model) or label in PLATFORM:
        return Access.FULL
    auto = model._meta.auto_created  # type: ignore[attr-defined]
    if auto and auto._meta.label in PLATFORM:
        return Access.FULL
    return None


def platform_tables() -> tuple[str, ...]:
    return _EXTRA_PLATFORM_TABLES
