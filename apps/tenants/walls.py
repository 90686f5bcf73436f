"""Migration operations that put a tenant-owned table behind its walls (architecture page, "four walls").

`TenantWall` turns row security on and forces it, and makes `(tenant_id, id)` the primary key, so that every
unique key is led by the tenant and the table can be distributed by tenant later. `SameTenantKey` adds a
two-column foreign key: PostgreSQL checks references without row security, so a plain one would accept
another tenant's row.
"""

from __future__ import annotations

from typing import Any

from django.db.migrations.operations.base import Operation

# In two parts, so that PostgreSQL puts the common case in line where a policy asks; only the complaint is a call.
LOUD_FUNCTION = """
CREATE OR REPLACE FUNCTION portal_no_tenant() RETURNS text LANGUAGE plpgsql STABLE AS $body$
BEGIN
  RAISE EXCEPTION 'no tenant_scope in this transaction' USING ERRCODE = 'insufficient_privilege';
END $body$;
CREATE OR REPLACE FUNCTION portal_tenant() RETURNS uuid LANGUAGE sql STABLE AS $body$
  SELECT coalesce(nullif(current_setting('portal.tenant_id', true), ''), portal_no_tenant())::uuid
$body$;
"""


class _Sql(Operation):
    reduces_to_sql = True
    reversible = True

    def forwards_sql(self) -> list[str]:
        raise NotImplementedError

    def backwards_sql(self) -> list[str]:
        raise NotImplementedError

    def state_forwards(self, app_label: str, state: Any) -> None:
        """The wall lives in the database only."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        for statement in self.forwards_sql():
            schema_editor.execute(statement, None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        for statement in self.backwards_sql():
            schema_editor.execute(statement, None)


class TenantWall(_Sql):
    """Row security, forced, for reading and writing; `rekey` makes (tenant_id, id) the primary key."""

    def __init__(self, table: str, rekey: bool = True, pk: str = "id") -> None:
        self.table, self.rekey, self.pk = table, rekey, pk

    def forwards_sql(self) -> list[str]:
        rekey = [
            f'ALTER TABLE "{self.table}" DROP CONSTRAINT "{self.table}_pkey"',
            f'ALTER TABLE "{self.table}" ADD CONSTRAINT "{self.table}_pkey" PRIMARY KEY (tenant_id, "{self.pk}")',
        ]
        return [
            *(rekey if self.rekey else []),
            f'ALTER TABLE "{self.table}" ENABLE ROW LEVEL SECURITY',
            f'ALTER TABLE "{self.table}" FORCE ROW LEVEL SECURITY',
            f'CREATE POLICY tenant_wall ON "{self.table}" '
            "USING (tenant_id = (SELECT portal_tenant())) WITH CHECK (tenant_id = (SELECT portal_tenant()))",
        ]

    def backwards_sql(self) -> list[str]:
        return [
            f'DROP POLICY tenant_wall ON "{self.table}"',
            f'ALTER TABLE "{self.table}" NO FORCE ROW LEVEL SECURITY',
            f'ALTER TABLE "{self.table}" DISABLE ROW LEVEL SECURITY',
        ]

    def describe(self) -> str:
        return f"Row security on {self.table}"


class SameTenantKey(_Sql):
    """A foreign key that cannot leave the tenant."""

    def __init__(self, table: str, column: str, parent: str, parent_column: str = "id") -> None:
        self.table, self.column, self.parent, self.parent_column = table, column, parent, parent_column

    @property
    def name(self) -> str:
        return f"{self.table}_{self.column}_same_tenant"[:63]

    def forwards_sql(self) -> list[str]:
        return [
            f'ALTER TABLE "{self.table}" ADD CONSTRAINT "{self.name}" FOREIGN KEY (tenant_id, "{self.column}") '
            f'REFERENCES "{self.parent}" (tenant_id, "{self.parent_column}") DEFERRABLE INITIALLY DEFERRED'
        ]

    def backwards_sql(self) -> list[str]:
        return [f'ALTER TABLE "{self.table}" DROP CONSTRAINT "{self.name}"']

    def describe(self) -> str:
        return f"{self.table}.{self.column} stays inside its tenant"
