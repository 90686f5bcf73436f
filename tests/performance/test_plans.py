"""Planning the joins costs more than running them, so it happens once per connection, not once per call."""

from __future__ import annotations

import os

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from benchmarks.inspection import plans_made
from identity_portal.embedded import places, postgres

CALLS = 25


@pytest.fixture
def countable():
    """The serving role may switch on the planner's statistics. Only a superuser can allow that."""
    from pathlib import Path

    home = Path(os.environ["PORTAL_TEST_HOME"])
    if not places.password_file(home, postgres.SUPERUSER, create=False).exists():
        pytest.skip("needs the embedded database's superuser")
    owner = psycopg.conninfo.conninfo_to_dict(os.environ["DATABASE_OWNER_URL"])
    with psycopg.connect(
        host=owner["host"],
        dbname=owner["dbname"],
        user=postgres.SUPERUSER,
        password=places.read_password(home, postgres.SUPERUSER),
        autocommit=True,
    ) as superuser:
        superuser.execute(
            sql.SQL("GRANT SET ON PARAMETER log_planner_stats TO {}").format(sql.Identifier(postgres.APP))
        )
    connection.close()
    yield
    connection.close()


@pytest.mark.parametrize("kind", ["fetch", "api_key", "mint"])
def test_a_connection_plans_the_hot_statements_once(calls, manifest, countable, kind):
    call = getattr(calls, kind)
    tokens = manifest.tokens

    def first() -> None:
        for token in tokens[:CALLS]:  # every tenant once: the first mint of each goes the slow way
            call(token)

    def later() -> None:
        for number in range(CALLS):
            call(tokens[number % len(tokens)])

    assert plans_made(first) > 0
    assert plans_made(later) == 0


@pytest.mark.parametrize("kind", ["fetch", "api_key", "mint"])
def test_the_plan_of_the_call_is_generic(calls, manifest, kind):
    for token in manifest.tokens[:8]:
        getattr(calls, kind)(token)
    name = {"fetch": "portal_release_oauth", "api_key": "portal_release_api_key", "mint": "portal_mint"}[kind]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements WHERE statement LIKE %s",
            [f"%{name}%"],
        )
        generic, custom = cursor.fetchone()
    assert generic > 0 and custom == 0
