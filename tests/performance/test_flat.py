"""A fetch looks at as many pages among 20,000 connections as among 1,000, whoever asks.

Pages touched hardly depend on the load of the machine, so this is the gate that runs in every build.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from benchmarks.calls import overheard
from benchmarks.inspection import pages_touched

ROOT = Path(__file__).resolve().parent.parent.parent
# At a few hundred rows an index is a single page; from a thousand on its height hardly changes any more.
FEW, MANY, TENANTS = 1_000, 20_000, 10
LIMIT = 1.25
# Where only the order of magnitude is meant: another plan for tables of one page is a few pages more or less,
# reading a whole tenant is hundreds.
HARDLY_MORE = 3  # stale statistics may cost a neighbouring index; never a table, never a provider's every connection
SMALL_TENANTS = 40_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory, issuer):
    """Databases of their own, cloned from the migrated template, dropped at the end."""
    made = []

    def fill(connections: int, *options: str, before_inspection=lambda owner: None) -> dict:
        name = f"flat_{os.getpid()}_{len(made)}"
        with psycopg.connect(url("DATABASE_OWNER_URL", "postgres"), autocommit=True) as owner:
            owner.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(os.environ["PORTAL_TEST_TEMPLATE"])
                )
            )
        made.append(name)
        env = dict(
            os.environ, DATABASE_URL=url("DATABASE_URL", name), DATABASE_OWNER_URL=url("DATABASE_OWNER_URL", name)
        )
        manifest = str(tmp_path_factory.mktemp("flat") / "manifest.json")
        size = ["--connections", str(connections), "--tenants", str(TENANTS), "--crowd", "200", *options]
        run(env, "benchmarks.seed", *size, "--issuer", issuer.url, "--manifest", manifest)
        with psycopg.connect(env["DATABASE_OWNER_URL"], autocommit=True) as owner:
            before_inspection(owner)
        return json.loads(run(env, "benchmarks.inspection", "--manifest", manifest))

    yield fill
    for name in made:
        # What still holds it (a server process that is just ending) keeps it; the cluster goes away whole anyway.
        with (
            contextlib.suppress(psycopg.Error),
            psycopg.connect(url("DATABASE_OWNER_URL", "postgres"), autocommit=True) as owner,
        ):
            owner.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def few(filled):
    return filled(FEW)


def test_pages_per_fetch_do_not_grow_with_the_connections(filled, few):
    many = filled(MANY)
    assert many["pages"] / few["pages"] <= LIMIT, (few["pages"], many["pages"])
    assert many["pages_crowded"] / many["pages"] <= LIMIT
    assert few["round_trips"] == many["round_trips"] == 1


def test_a_fetch_needs_no_statistics_to_stay_a_lookup(filled, few):
    """A service grows faster than its statistics: the plan must be right before anybody has analyzed."""
    unknown = filled(MANY, "--unanalyzed")
    assert unknown["pages"] / few["pages"] <= HARDLY_MORE, (few["pages"], unknown["pages"])


def test_a_busy_tenant_among_thousands_of_small_ones_is_not_read_whole(filled, few):
    """By the true statistics any tenant has a row or two here, and reading "all" of them looks like a lookup."""

    def surround(owner: psycopg.Connection) -> None:
        for table in ("authn_workloadtoken", "connections_connection", "vault_sealedsecret"):
            for (key,) in owner.execute(
                "SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass", [table]
            ).fetchall():
                owner.execute(
                    sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(table), sql.Identifier(key))
                )
            owner.execute(
                sql.SQL(
                    "INSERT INTO {0} SELECT (jsonb_populate_record(one, jsonb_build_object("
                    "'tenant_id', gen_random_uuid(), 'id', gen_random_uuid()))).* "
                    "FROM (SELECT * FROM {0} LIMIT 1) AS first JOIN {0} AS one USING (tenant_id, id), "
                    "generate_series(1, %s)"
                ).format(sql.Identifier(table)),
                [SMALL_TENANTS],
            )
            owner.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))

    busy = filled(MANY, before_inspection=surround)
    assert busy["pages"] / few["pages"] <= HARDLY_MORE, (few["pages"], busy["pages"])


@pytest.mark.parametrize("kind", ["api_key", "mint"])
def test_the_other_calls_touch_few_pages_too(calls, manifest, kind):
    touched = []
    for token in manifest.tokens[:12]:
        getattr(calls, kind)(token)  # a tenant's first mint goes the slow way
        with overheard() as heard:
            getattr(calls, kind)(token)
        statement, values = heard[0]
        if kind == "mint":
            # A digest can be stored once only: the same statement for another new token.
            values = [os.urandom(32) if isinstance(value, bytes) else value for value in values]
        touched.append(pages_touched(statement, values))
    assert max(touched[4:]) <= 60, touched


def url(variable: str, database: str) -> str:
    return urlunsplit(urlsplit(os.environ[variable])._replace(path=f"/{database}"))


def run(env: dict[str, str], module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
