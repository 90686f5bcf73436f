"""Months of the trail are ready before they begin, and somebody is told when they are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from apps.audit import partitions

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def owner():
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as connection:
        yield connection
    migrate()  # the other tests find every month again


def manage(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True)


def migrate(*arguments: str) -> None:
    done = manage("migrate", "--verbosity", "0", *arguments)
    assert done.returncode == 0, done.stderr


def drop(owner: psycopg.Connection, first: int, last: int = partitions.MADE_AHEAD - 1) -> None:
    """Remove the partitions of these months from now."""
    for step in range(first, last + 1):
        (name,) = owner.execute(
            "SELECT 'audit_auditrecord_' || to_char(current_date + make_interval(months => %s), 'YYYYMM')", [step]
        ).fetchone()
        owner.execute(f"DROP TABLE IF EXISTS {name}")


def test_every_migrate_makes_the_coming_months(owner):
    drop(owner, 1)
    assert partitions.months_ahead() == 0
    migrate()
    assert partitions.months_ahead() == partitions.MADE_AHEAD - 1 and partitions.problem() is None


def test_a_month_made_later_cannot_be_emptied_or_reached_around_the_wall(owner):
    drop(owner, 23)
    migrate()
    (name,) = owner.execute(
        "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'audit_auditrecord'::regclass "
        "AND inhrelid::regclass::text NOT LIKE '%default'"
    ).fetchone()
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        owner.execute(f"TRUNCATE {name}")
    (may,) = owner.execute(
        "SELECT has_table_privilege('portal_app', %s::regclass, 'SELECT, INSERT')", [name]
    ).fetchone()
    assert may is False


def test_a_month_whose_records_lie_in_the_default_partition_stops_neither_migrate_nor_later_months(owner, acme):
    drop(owner, 2)
    owner.execute(
        "INSERT INTO audit_auditrecord (tenant_id, id, at, action, outcome, reason, actor_kind, actor, proof, agent_name, "
        "on_behalf_of, provider_name, details, request_id) VALUES (%s, gen_random_uuid(), "
        "date_trunc('month', current_date) + make_interval(months => 2), 'agent.read', 'allowed', '', 'x', 'x', '', '', "
        "'', '', '{}', 'late')",
        [acme.id],
    )
    try:
        migrate()
        (made,) = owner.execute(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_auditrecord'::regclass"
        ).fetchone()
        assert partitions.months_ahead() == 1
        assert made == partitions.MADE_AHEAD - 1 + 1  # without the one month, with the default
        assert owner.execute("SELECT count(*) FROM audit_auditrecord WHERE tenant_id = %s", [acme.id]).fetchone()[0] > 1
    finally:
        owner.execute("ALTER TABLE audit_auditrecord_default DISABLE TRIGGER USER")
        owner.execute("DELETE FROM audit_auditrecord_default WHERE request_id = 'late'")
        owner.execute("ALTER TABLE audit_auditrecord_default ENABLE TRIGGER USER")


def test_the_role_that_serves_makes_none(owner):
    drop(owner, 5)
    partitions.make_after_migrate(sender=None, using="default")
    assert partitions.months_ahead() == 4


def test_fewer_than_two_months_ahead_is_a_warning_and_no_failure(owner, client):
    drop(owner, 2)
    found = manage("doctor", "--json")
    assert found.returncode == 0 and json.loads(found.stdout)["status"] == "ok"
    assert "manage.py migrate" in json.loads(found.stdout)["audit_partitions"]
    answer = client.get("/healthz/ready", headers={"host": "127.0.0.1"})
    assert answer.status_code == 200 and answer.json()["status"] == "ok"
    assert "1 more months" in answer.json()["checks"]["audit_partitions"]["problem"]
    migrate()
    assert (
        "problem"
        not in client.get("/healthz/ready", headers={"host": "127.0.0.1"}).json()["checks"]["audit_partitions"]
    )


def test_months_are_counted_across_the_turn_of_the_year():
    from datetime import date

    assert partitions._name(date(2026, 11, 30), 1) == "audit_auditrecord_202612"
    assert partitions._name(date(2026, 11, 30), 2) == "audit_auditrecord_202701"
    assert partitions._name(date(2026, 12, 31), 25) == "audit_auditrecord_202901"
