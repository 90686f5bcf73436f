"""What a fetch costs the database, counted rather than timed: pages touched, plans made, round trips.

    python -m benchmarks.inspection --manifest FILE

prints one JSON object about the database that the environment names.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def main() -> None:
    import django

    parser = argparse.ArgumentParser(prog="python -m benchmarks.inspection")
    parser.add_argument("--manifest", type=Path, required=True)
    manifest = Manifest.load(parser.parse_args().manifest)
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
    found["statement"] = heard[0][0]
    found["values"] = [as_variables(values) for _, values in heard]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
