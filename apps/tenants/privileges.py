"""What the application role may touch, granted by the owner after every migration.

`portal_app` owns nothing. It gets exactly what the registry says, table by table; a table nobody
registered gets nothing, so forgetting to register fails closed.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
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
