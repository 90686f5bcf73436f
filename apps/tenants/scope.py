"""Work for exactly one tenant, in one database transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from django.db import connection, transaction

_TELL_POSTGRES = "SELECT set_config('portal.tenant_id', %s, true)"
_current: ContextVar[UUID | None] = ContextVar("portal_tenant", default=None)


class TenantScopeMissing(RuntimeError):
    """Code asked for tenant data outside a tenant_scope. A programming error: it fails closed."""


class TenantScopeConflict(RuntimeError):
    """Code working for one tenant tried to start on another. A programming error: it fails closed."""


def current_tenant_id() -> UUID:
    """The tenant whose scope is open. Raises TenantScopeMissing."""
    tenant_id = _current.get()
    if tenant_id is None:
        raise TenantScopeMissing("open a tenant_scope() around this work")
    return tenant_id


def in_scope() -> bool:
    return _current.get() is not None


@contextmanager
def tenant_scope(tenant_id: UUID) -> Iterator[None]:
    """Do database work for one tenant, in one transaction that commits when the block ends.

    Python learns the tenant through a context variable, PostgreSQL through a setting that ends with the
    transaction, so that row security holds on paths a manager does not see. A scope holds a database
    connection: keep network calls outside. Entering the scope of the tenant already open joins it.

    Raises TenantScopeConflict for another tenant than the open one.
    """
    outer = _current.get()
    if outer == tenant_id:
        yield
        return
    if outer is not None:
        raise TenantScopeConflict("already working for another tenant")
    token = _current.set(tenant_id)
    try:
        with transaction.atomic(durable=True):
            with connection.cursor() as cursor:
                cursor.execute(_TELL_POSTGRES, [str(tenant_id)])
            yield
    finally:
        _current.reset(token)
