"""What a fetch costs the database, counted rather than timed: pages touched, plans made, round trips.

    python -m benchmarks.inspection --manifest FILE

prints one JSON object about the database that the environment names.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.manifest import Manifest, Token

_WARM_UP = 8
_SAMPLES = 25


def pages_touched(statement: str, values: Sequence[Any]) -> int:
    """Pages of 8 KiB the statement looks at, found in memory or read, with all that its functions do inside."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values)
        plan = cursor.fetchone()[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def typical_pages(manifest: Manifest, tokens: list[Token], provider: str | None = None) -> float:
    """The median over fetches with these tokens, on a connection that has done it before."""
    from benchmarks.calls import Calls, overheard
    from benchmarks.manifest import PROVIDERS, provider_name

    calls = Calls(manifest)
    for token in (tokens * _WARM_UP)[:_WARM_UP]:
        assert calls.fetch(token, provider or provider_name(0))
    touched = []
    for number, token in enumerate((tokens * _SAMPLES)[:_SAMPLES]):
        with overheard() as heard:
            assert calls.fetch(token, provider or provider_name(number % PROVIDERS))
        touched.append(pages_touched(*heard[0]))
    return statistics.median(touched)


def plans_made(work: Callable[[], object]) -> int:
    """How often PostgreSQL planned a statement, nested ones included, while this thread's connection did the work.

    Needs `GRANT SET ON PARAMETER log_planner_stats` to the serving role.
    """
    from django.db import connection

    notices: list[str] = []
    connection.ensure_connection()
    raw = connection.connection

    def notice(diagnostic: psycopg.errors.Diagnostic) -> None:
        notices.append(diagnostic.message_primary or "")

    raw.add_notice_handler(notice)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET client_min_messages = log")
            cursor.execute("SET log_planner_stats = on")
        notices.clear()
        work()
        return sum("PLANNER STATISTICS" in text for text in notices)
    finally:
        raw.remove_notice_handler(notice)
        with connection.cursor() as cursor:
            cursor.execute("RESET log_planner_stats")
            cursor.execute("RESET client_min_messages")


def main() -> None:
    import django

    parser = argparse.ArgumentParser(prog="python -m benchmarks.inspection")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--plans", action="store_true", help="count plans as well; see plans_made()")
    options = parser.parse_args()
    manifest = Manifest.load(options.manifest)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_portal.settings")
    django.setup()

    from benchmarks.calls import Calls, overheard
    from benchmarks.pgbench import as_variables
    from benchmarks.wiretap import tapped

    step = max(1, len(manifest.tokens) // _SAMPLES)
    tokens = manifest.tokens[::step]
    found: dict[str, Any] = {"pages": typical_pages(manifest, tokens)}
    if manifest.crowded is not None:
        found["pages_crowded"] = typical_pages(manifest, [manifest.crowded], "crowd-100")
    with tapped() as tap:
        for token in tokens[:_WARM_UP]:
            Calls(manifest).fetch(token)
        tap.clear()
        Calls(manifest).fetch(tokens[0])
        found["round_trips"] = tap.round_trips
    with overheard() as heard:
        for token in tokens:
            Calls(manifest).fetch(token)
    if options.plans:
        found["plans"] = plans_made(lambda: [Calls(manifest).fetch(token) for token in (tokens * 100)[:100]])
    found["statement"] = heard[0][0]
    found["values"] = [as_variables(values) for _, values in heard]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
