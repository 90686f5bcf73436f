"""The same statement without the portal: what this PostgreSQL can do at most, by its own `pgbench`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg.types.json import Jsonb

CLIENTS = 4
# What settings.py gives the serving connections.
_OPTIONS = "-c plan_cache_mode=force_generic_plan -c statement_timeout=15s -c synchronous_commit=on -c timezone=UTC"


def as_variables(values: Sequence[Any]) -> list[str]:
    """Values of a statement as texts that PostgreSQL reads back."""
    return [_text(value) for value in values]


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, list | tuple):
        return "{" + ",".join(json.dumps(one) for one in value) + "}"
    if isinstance(value, Jsonb):
        return json.dumps(value.obj)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def transactions_per_second(
    program: str, *, host: str, database: str, user: str, password: str, statement: str, values: list[list[str]],
    seconds: int,
) -> float:  # fmt: skip
    """Run the statement with each list of values in turn, prepared, in autocommit. `seconds` is the run time."""
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-T", str(seconds), "-h", host]
        for number, row in enumerate(values):
            names = iter(f":v{number}_{index}" for index in range(len(row)))
            script = Path(folder) / f"{number}.sql"
            script.write_text(re.sub("%s", lambda _, names=names: next(names), statement) + ";\n")  # type: ignore[misc]
            command += ["-f", str(script)]
            for index, value in enumerate(row):
                command += ["-D", f"v{number}_{index}={value}"]
        environment = {"PATH": os.environ["PATH"], "PGUSER": user, "PGPASSWORD": password, "PGOPTIONS": _OPTIONS}
        done = subprocess.run([*command, database], capture_output=True, text=True, env=environment, check=False)
    match = re.search(r"tps = ([0-9.]+)", done.stdout)
    if done.returncode != 0 or match is None or not re.search(r"failed transactions: 0 ", done.stdout):
        raise RuntimeError(f"pgbench: {done.stderr or done.stdout}")
    return float(match[1])
