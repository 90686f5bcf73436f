"""What the application role may touch, granted by the owner after every migration.

`portal_app` owns nothing. It gets exactly what the registry says, table by table; a table nobody
registered gets nothing, so forgetting to register fails closed.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connection as serving
from django.db import connections

from apps.tenants.registry import Access, access_of, all_models, platform_tables


def app_role() -> str:
    """The role the service runs as: the user of the `default` database."""
    return str(settings.DATABASES["default"]["USER"])


def grant_after_migrate(sender: Any, using: str, **_: Any) -> None:
    """Bring the application role's rights in line with the registry. Runs as the owner only."""
    connection = connections[using]
    if connection.settings_dict["USER"] == app_role():
        return
    quote = connection.ops.quote_name
    role = quote(app_role())
    with connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
        for model in all_models():
            table = model._meta.db_table  # type: ignore[attr-defined]
            access = access_of(model)
            if table not in present:
                continue
            cursor.execute(f"REVOKE ALL ON {quote(table)} FROM {role}")
            if access is not None:
                cursor.execute(f"GRANT {access.value} ON {quote(table)} TO {role}")
        for table in platform_tables():
            if table in present:
                cursor.execute(f"GRANT {Access.READ.value} ON {quote(table)} TO {role}")
        cursor.execute(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}")
        cursor.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {role}")


def role_problem() -> str | None:
    """Why the role the service runs as is too strong, None if it is not.

    A superuser, an owner or a role with BYPASSRLS would walk through row security without noticing.
    """
    with serving.cursor() as cursor:
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
