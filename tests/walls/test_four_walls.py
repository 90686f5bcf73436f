"""Every tenant-owned table, both tenants, all four walls. Generated: a new table is covered, or fails."""

from __future__ import annotations

import uuid

import pytest
from django.db import DatabaseError, connection, transaction

from apps.tenants import registry
from apps.tenants.scope import TenantScopeConflict, TenantScopeMissing, tenant_scope
from tests.walls.samples import SAMPLES

TABLES = registry.tenant_models()
APPEND_ONLY = registry.APPEND_ONLY
every_table = pytest.mark.parametrize("model", TABLES, ids=lambda m: m._meta.label)


def count(model, **where) -> int:
    return model._base_manager.filter(**where).count()


def test_every_installed_table_is_registered():
    missing = [m._meta.label for m in registry.all_models() if registry.access_of(m) is None]
    # Third-party tables that are swapped out do not exist.
    assert [label for label in missing if not label.startswith("oauth2_provider.")] == []


def test_every_tenant_table_has_a_sample():
    assert {m._meta.label for m in TABLES} == set(SAMPLES)


@every_table
def test_without_a_scope_python_raises(model):
    with pytest.raises(TenantScopeMissing):
        list(model.objects.all()[:1])


@every_table
def test_without_a_scope_the_database_raises_too(model, acme):
    with tenant_scope(acme.id):
        SAMPLES[model._meta.label]()  # PostgreSQL asks the policy only when there is a row to ask about
    with pytest.raises(DatabaseError, match="no tenant_scope"), transaction.atomic():
        list(model._base_manager.all()[:1])


@every_table
def test_a_neighbour_cannot_read_it(model, acme, globex):
    with tenant_scope(acme.id):
        row = SAMPLES[model._meta.label]()
        assert count(model, pk=row.pk) == 1
    with tenant_scope(globex.id):
        assert count(model, pk=row.pk) == 0


@every_table
def test_a_neighbour_cannot_write_it(model, acme, globex):
    with tenant_scope(acme.id):
        row = SAMPLES[model._meta.label]()
    table = connection.ops.quote_name(model._meta.db_table)
    with tenant_scope(globex.id), connection.cursor() as cursor:
        try:
            with transaction.atomic():
                cursor.execute(f"DELETE FROM {table} WHERE id = %s", [row.pk])
            assert cursor.rowcount == 0
        except DatabaseError:
            assert model._meta.label in APPEND_ONLY
    with tenant_scope(acme.id):
        assert count(model, pk=row.pk) == 1


@every_table
def test_a_row_cannot_be_put_into_another_tenant(model, acme, globex):
    with tenant_scope(acme.id):
        row = SAMPLES[model._meta.label]()
    row.pk = uuid.uuid4()
    row.tenant_id = globex.id
    with pytest.raises(DatabaseError, match="row-level security"), tenant_scope(acme.id):
        row.save(force_insert=True)


@every_table
def test_a_row_cannot_be_moved_to_another_tenant(model, acme, globex):
    with tenant_scope(acme.id):
        row = SAMPLES[model._meta.label]()
    with pytest.raises(DatabaseError, match="row-level security|permission denied"), tenant_scope(acme.id):
        model._base_manager.filter(pk=row.pk).update(tenant_id=globex.id)


RELATIONS = [
    (model, field)
    for model in TABLES
    for field in model._meta.concrete_fields
    if field.is_relation and registry.is_tenant_owned(field.related_model)
]


@pytest.mark.case("T094")
@pytest.mark.parametrize(("model", "field"), RELATIONS, ids=lambda x: getattr(x, "name", None) or x._meta.label)
def test_T094_a_reference_cannot_leave_the_tenant(model, field, acme, globex):
    with tenant_scope(globex.id):
        foreign = SAMPLES[field.related_model._meta.label]()
    with tenant_scope(acme.id):
        row = SAMPLES[model._meta.label]()
    with pytest.raises(DatabaseError, match="same_tenant"), tenant_scope(acme.id):
        model._base_manager.filter(pk=row.pk).update(**{field.attname: foreign.pk})


@pytest.mark.case("T091")
def test_T091_row_security_is_on_and_forced_and_the_role_is_weak():
    names = [m._meta.db_table for m in TABLES]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner) = current_user, "
            "(SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd = '*' "
            " AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL) "
            "FROM pg_class c WHERE c.relname = ANY(%s) AND c.relkind IN ('r', 'p')",
            [names],
        )
        rows = cursor.fetchall()
        assert {row[0] for row in rows} == set(names)
        assert [row for row in rows if row[1:] != (True, True, False, 1)] == []
        cursor.execute("SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False, False, False)
        cursor.execute(
            "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname = 'public' AND prosecdef"
        )
        assert cursor.fetchone()[0] == 0
        cursor.execute("SELECT count(*) FROM pg_views WHERE schemaname = 'public'")
        assert cursor.fetchone()[0] == 0


@every_table
def test_every_unique_key_is_led_by_the_tenant(model):
    """Kept so that distributing the tables by tenant stays a configuration."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.relname, "
            "(SELECT attname FROM pg_attribute a WHERE a.attrelid = x.indrelid AND a.attnum = x.indkey[0]) "
            "FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = %s::regclass AND x.indisunique",
            [model._meta.db_table],
        )
        leading = dict(cursor.fetchall())
    if model.__module__ == "apps.authn.models" and model.__name__.startswith("OAuth"):
        # django-oauth-toolkit's own columns: random values, unique across tenants by construction.
        leading = {name: column for name, column in leading.items() if name.endswith("_pkey")}
    assert {name for name, column in leading.items() if column != "tenant_id"} == set()


@pytest.mark.case("T092")
def test_T092_a_scope_leaves_nothing_behind(acme, globex):
    with pytest.raises(ZeroDivisionError), tenant_scope(acme.id):
        SAMPLES["agents.Agent"]()
        1 / 0
    with pytest.raises(DatabaseError, match="no tenant_scope"), transaction.atomic():
        list(TABLES[0]._base_manager.all()[:1])
    with tenant_scope(globex.id):
        from apps.agents.models import Agent

        assert Agent.objects.count() == 0


@pytest.mark.case("T092")
def test_T092_two_tenants_interleaved_never_bleed(acme, globex):
    from apps.agents.models import Agent

    with tenant_scope(acme.id):
        Agent.objects.create(name="only-acme")
    with tenant_scope(globex.id):
        Agent.objects.create(name="only-globex")
    for _ in range(300):
        with tenant_scope(acme.id):
            assert list(Agent.objects.values_list("name", flat=True)) == ["only-acme"]
        with tenant_scope(globex.id):
            assert list(Agent.objects.values_list("name", flat=True)) == ["only-globex"]


def test_working_for_one_tenant_nobody_can_start_on_another(acme, globex):
    with tenant_scope(acme.id), pytest.raises(TenantScopeConflict), tenant_scope(globex.id):
        pass


def test_audit_partitions_cannot_be_reached_around_the_wall():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_auditrecord'::regclass"
        )
        parts = [row[0] for row in cursor.fetchall()]
        assert len(parts) >= 24
        cursor.execute(
            "SELECT bool_or(has_table_privilege(current_user, p::regclass, 'SELECT, INSERT, UPDATE, DELETE')) "
            "FROM unnest(%s::text[]) p",
            [parts],
        )
        assert cursor.fetchone()[0] is False
