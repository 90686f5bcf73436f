"""What must hold before the first request: the right database role, and keys that fit the data."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from apps.vault.ring import ensure_ring_fits


def database_role_problem() -> str | None:
    """Why the role the service runs as is too strong, None if it is not.

    A superuser, an owner or a role with BYPASSRLS would walk through row security without noticing.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.rolsuper, r.rolbypassrls, r.rolcreaterole, EXISTS (SELECT 1 FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relowner = r.oid) "
            "FROM pg_roles r WHERE r.rolname = current_user"
        )
        superuser, bypass, creates_roles, owns = cursor.fetchone()
    if superuser or bypass or creates_roles or owns:
        return (
            "DATABASE_URL names a role that could ignore row security (superuser, BYPASSRLS, CREATEROLE or table "
            "owner). Serve as a role like portal_app; give the owner in DATABASE_OWNER_URL."
        )
    return None


def refuse_unsafe_start() -> None:
    """Raises ImproperlyConfigured, or Unavailable when the key ring does not fit; the operator acts."""
    problem = database_role_problem()
    if problem:
        raise ImproperlyConfigured(problem)
    ensure_ring_fits()
    connection.close()
