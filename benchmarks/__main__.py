"""Run the benchmark: `make bench`, or `make bench ARGS=--full` for a million connections.

Brings up PostgreSQL, Redis and the web server in a temporary home, fills two databases, and visits every cell once
per round in shuffled order. Exit status 1 when a gate does not hold. See docs/explanation/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks import load, measure, pgbench, report, stage, traffic
from benchmarks.issuer import Issuer, serving
from benchmarks.manifest import Manifest
from identity_portal.embedded import postgres
from identity_portal.embedded.account import server_account
from identity_portal.embedded.postgres_install import find_install

_KINDS = ("hello", "fetch", "mint", "api_key")
_WARM_UP_S = 3
# All load comes from one address here, where the service would see thousands: only that limit is lifted.
_ADDRESS_LIMIT = 1_000_000


@dataclass(frozen=True)
class Plan:
    """How much to make and how long to look."""

    few: int
    many: int
    few_records: int
    many_records: int
    rounds: int
    seconds: int
    memory_requests: int


QUICK = Plan(1_000, 100_000, 10_000, 200_000, rounds=3, seconds=4, memory_requests=30_000)
FULL = Plan(1_000, 1_000_000, 10_000, 10_000_000, rounds=5, seconds=4, memory_requests=100_000)


@dataclass(frozen=True)
class Side:
    """One of the two databases, with its server and what is known about it."""

    name: str
    server: stage.Server
    manifest: Manifest
    found: dict[str, Any]
    traffic: traffic.Traffic

    def drive(self, kind: str, seconds: float) -> load.Load:
        url = self.server.url
        requests = traffic.hello(url) if kind == "hello" else self.traffic.signed(kind, url)
        return load.drive(url, requests, seconds=seconds)


def main() -> int:
    plan, options = _arguments()
    _say(_conditions())
    if shutil.which("wrk") is None:
        _say(load.HOW_TO_GET_WRK)
    with ExitStack() as cleaning:
        (port,) = stage.free_ports(1)
        issuer = cleaning.enter_context(serving(port))
        running = cleaning.enter_context(stage.setting(allowed=f"127.0.0.1:{port}", address_limit=_ADDRESS_LIMIT))
        sizes = {"few": (plan.few, plan.few_records), "many": (plan.many, plan.many_records)}
        made = {name: _fill(running, name, size, issuer) for name, size in sizes.items()}
        running.let_count_plans()
        running.settle()
        found = {name: _inspect(running, name) for name in sizes}
        sides = {
            name: Side(
                name,
                cleaning.enter_context(running.server(name)),
                made[name],
                found[name],
                traffic.Traffic(made[name], issuer),
            )
            for name in sizes
        }
        _check_answers(sides)
        started = _database_time(running)
        cells, requests = _rounds(running, sides, plan, options.patience, options.tries)
        growth, steady, more = _memory(running, sides["many"], plan.memory_requests, options.patience)
        requests["fetch@many"] = requests.get("fetch@many", 0) + more
        _check_trail(running, requests, started)
    names = {"few": f"{plan.few:,}", "many": f"{plan.many:,}, {plan.many_records:,} audit records"}
    gates = _gates(cells, found, growth, steady)
    _say("")
    _say(report.table(cells, names))
    _say("")
    for name in sizes:
        direct = report.Spread.of([one.per_second for one in cells[f"pgbench@{name}"]])
        share = report.ratio(cells, f"fetch@{name}", f"pgbench@{name}")
        _say(f"pgbench, the same statement, {names[name]}: {direct.text(0)} per second; fetch is {share.text()} of it")
    others = [one.others for rounds in cells.values() for one in rounds]
    _say(
        f"pages per fetch: {found['few']['pages']:g} and {found['many']['pages']:g}; "
        f"a person with 200 providers: {found['many']['pages_crowded']:g}"
    )
    _say(f"20 s of fetches: p50 {steady[0]:.1f} ms, p99 {steady[1]:.1f} ms")
    _say(
        f"others used {statistics.median(others):.0%} of the cores (median over cells; at most {max(others):.0%}); "
        f"load averages now {', '.join(f'{one:.1f}' for one in os.getloadavg())}"
    )
    _say("")
    for gate in gates:
        _say(gate.text())
    if options.json:
        options.json.write_text(
            json.dumps(
                {
                    "plan": asdict(plan),
                    "conditions": _conditions(),
                    "cells": {name: [asdict(one) for one in rounds] for name, rounds in cells.items()},
                    "pages": {name: found[name]["pages"] for name in sizes},
                    "gates": [asdict(gate) | {"holds": gate.holds} for gate in gates],
                },
                indent=1,
            )
        )
    return 0 if all(gate.holds for gate in gates) else 1


def _arguments() -> tuple[Plan, argparse.Namespace]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--small", action="store_true", help="1,000 and 100,000 connections (the default)")
    size.add_argument("--full", action="store_true", help="1,000 and 1,000,000 connections, 10,000,000 audit records")
    for name in ("rounds", "seconds", "many", "many-records", "memory-requests"):
        parser.add_argument(f"--{name}", type=int, help="instead of what the size says")
    parser.add_argument("--patience", type=float, default=0.0, help="seconds to wait before a cell for a quiet machine")
    parser.add_argument("--tries", type=int, default=1, help="times to repeat a cell while others use the machine")
    parser.add_argument("--json", type=Path, help="write everything measured to this file, too")
    options = parser.parse_args()
    plan = asdict(FULL if options.full else QUICK)
    plan |= {name: given for name in plan if (given := getattr(options, name, None)) is not None}
    return Plan(**plan), options


def _fill(running: stage.Stage, name: str, size: tuple[int, int], issuer: Issuer) -> Manifest:
    connections, records = size
    start = time.monotonic()
    running.database(name)
    path = running.home / f"{name}.json"
    arguments = ["--connections", connections, "--audit", records, "--crowd", 200, "--issuer", issuer.url]
    _python(running, name, "benchmarks.seed", *arguments, "--manifest", path)
    _say(f"filled: {connections:,} connections, {records:,} audit records in {time.monotonic() - start:.0f} s")
    return Manifest.load(path)


def _inspect(running: stage.Stage, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        _python(running, name, "benchmarks.inspection", "--plans", "--manifest", running.home / f"{name}.json")
    )
    return found


def _python(running: stage.Stage, database: str, module: str, *arguments: object) -> str:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=stage.ROOT, env=running.environment(database), stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def _check_answers(sides: dict[str, Side]) -> None:
    """A 200 may also say "ask the person first": look at some answers before counting any."""
    import http.client
    from urllib.parse import urlsplit

    for side in sides.values():
        connection = http.client.HTTPConnection(urlsplit(side.server.url).netloc, timeout=30)
        for kind, member in traffic.ANSWERS.items():
            for raw in side.traffic.signed(kind, side.server.url)[:20]:
                head, _, body = raw.partition(b"\r\n\r\n")
                first, *lines = head.decode().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines)
                connection.request("POST", first.split(" ")[1], body, headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200 or member not in json.loads(text):
                    raise load.LoadFailed(f"{kind}: {answer.status} {text.decode()[:300]}")
        connection.close()


def _rounds(
    running: stage.Stage, sides: dict[str, Side], plan: Plan, patience: float, tries: int
) -> tuple[dict[str, list[measure.Cell]], dict[str, int]]:
    """Every cell once per round, in a new order each time. Also counts the requests sent to each."""
    requests: dict[str, int] = {}

    def drive(side: Side, kind: str, seconds: int) -> load.Load:
        done = side.drive(kind, seconds)
        key = f"{kind}@{side.name}"
        requests[key] = requests.get(key, 0) + done.requests
        return done

    work: dict[str, tuple[stage.Server | None, Callable[[], load.Load]]] = {}
    for side in sides.values():
        for kind in _KINDS:
            _warm_up(side, kind)
            work[f"{kind}@{side.name}"] = (side.server, partial(drive, side, kind, plan.seconds))
        work[f"pgbench@{side.name}"] = (None, partial(_pgbench, running, side, plan.seconds))
    cells: dict[str, list[measure.Cell]] = {name: [] for name in work}
    order = list(work)
    for number in range(plan.rounds):
        random.Random(number).shuffle(order)
        for name in order:
            tried = []
            while len(tried) < tries and (not tried or tried[-1].others > measure.QUIET):
                measure.wait_for_quiet(patience)
                tried.append(measure.cell(running, *work[name]))
            # Chosen by what the others did, never by the result.
            cells[name].append(min(tried, key=lambda one: one.others))
        _say(f"round {number + 1} of {plan.rounds}; load averages {', '.join(f'{one:.1f}' for one in os.getloadavg())}")
    return cells, requests


def _warm_up(side: Side, kind: str) -> None:
    """Until the processes have met every tenant. The first calls read keys, settings and the issuer's JWKS: they may
    take long, and one that waits too long is the only failure that is overlooked."""
    for _ in range(3):
        try:
            side.drive(kind, _WARM_UP_S)
        except load.LoadFailed as cold:
            _say(f"warming up, {kind} among {side.name}: {cold}")
        else:
            return


def _pgbench(running: stage.Stage, side: Side, seconds: int) -> load.Load:
    per_second = pgbench.transactions_per_second(
        find_install(None, server_account()).program("pgbench"),
        host=str(running.cluster.socket_dir),
        database=side.name,
        user=postgres.APP,
        password=running.cluster.password(postgres.APP),
        statement=side.found["statement"],
        values=side.found["values"],
        seconds=seconds,
    )
    took = 1e3 * pgbench.CLIENTS / per_second
    return load.Load(requests=round(per_second * seconds), seconds=seconds, p50_ms=took, p99_ms=took)


def _memory(running: stage.Stage, side: Side, wanted: int, patience: float) -> tuple[float, tuple[float, float], int]:
    """Growth of the workers' memory over that many fetches, in percent, and p50 and p99 over 20 s periods."""
    del running
    done = side.drive("fetch", _WARM_UP_S)
    sent = done.requests
    before = side.server.rss_bytes()
    periods: list[load.Load] = []
    while sum(one.requests for one in periods) < wanted:
        measure.wait_for_quiet(patience)
        periods.append(side.drive("fetch", 20))
    after = side.server.rss_bytes()
    _say(
        f"memory: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB after "
        f"{sum(one.requests for one in periods):,} fetches"
    )
    steady = min(periods, key=lambda one: one.p99_ms / one.p50_ms)
    return (
        100 * (after - before) / before,
        (steady.p50_ms, steady.p99_ms),
        sent + sum(one.requests for one in periods),
    )


def _database_time(running: stage.Stage) -> Any:
    with running.superuser() as connection:
        return connection.execute("SELECT clock_timestamp()").fetchone()[0]  # type: ignore[index]


def _check_trail(running: stage.Stage, requests: dict[str, int], since: Any) -> None:
    """Every request that was counted left its record, and none was refused."""
    actions = {
        "fetch": "credential.fetch_oauth",
        "api_key": "credential.fetch_api_key",
        "mint": "workload_token.issue_for_jwt",
    }
    for name in ("few", "many"):
        with running.superuser(name) as connection:
            rows = connection.execute(
                "SELECT action, outcome, count(*) FROM audit_auditrecord WHERE at >= %s GROUP BY 1, 2", [since]
            ).fetchall()
        allowed = {action: count for action, outcome, count in rows if outcome == "allowed"}
        refused = {action: count for action, outcome, count in rows if outcome != "allowed"}
        if refused:
            raise load.LoadFailed(f"refused meanwhile: {refused}")
        for kind, action in actions.items():
            if allowed.get(action, 0) < requests[f"{kind}@{name}"]:
                raise load.LoadFailed(f"{requests[f'{kind}@{name}']} requests, {allowed.get(action, 0)} of {action}")


def _gates(
    cells: report.Cells, found: dict[str, dict[str, Any]], growth: float, steady: tuple[float, float]
) -> list[report.Gate]:
    def share(above: str, below: str) -> float:
        return report.ratio(cells, above, below).median

    cpu = report.ratio(cells, "fetch@many", "fetch@few", lambda one: one.cpu_ms)
    return [
        report.Gate("1 fetch ÷ hello, req/s", share("fetch@many", "hello@many"), 0.15, at_most=False),
        report.Gate(
            "2 fetch ÷ pgbench on the same statement", share("fetch@many", "pgbench@many"), 0.30, at_most=False
        ),
        report.Gate("5 p99 ÷ p50 of fetches, 16 connections, 20 s", steady[1] / steady[0], 4),
        report.Gate("6 pages per fetch, many ÷ few connections", found["many"]["pages"] / found["few"]["pages"], 1.25),
        report.Gate("6 CPU per fetch, many ÷ few connections", cpu.median, 1.2, note=f"[{cpu.low:.2f}-{cpu.high:.2f}]"),
        report.Gate(
            "  pages, person with 200 providers ÷ 5", found["many"]["pages_crowded"] / found["many"]["pages"], 1.25
        ),
        report.Gate("7 round trips per fetch", max(one["round_trips"] for one in found.values()), 1),
        report.Gate("7 plans made in 100 fetches", max(one["plans"] for one in found.values()), 1),
        report.Gate("9 mint ÷ fetch, req/s", share("mint@many", "fetch@many"), 0.75, at_most=False),
        report.Gate("15 memory growth of the workers, %", growth, 2),
    ]


def _conditions() -> str:
    cpu = platform.processor() or platform.machine()
    with_model = Path("/proc/cpuinfo")
    if with_model.exists():
        names = [line for line in with_model.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(": ")[2] if names else cpu
    packages = ", ".join(f"{name} {version(name)}" for name in ("Django", "psycopg", "granian"))
    return (
        f"{os.cpu_count()} cores ({cpu}), {psutil.virtual_memory().total / 2**30:.0f} GB, "
        f"Python {platform.python_version()}, {packages}; granian {stage.WORKERS} workers × {stage.THREADS} threads; "
        f"rate limits as delivered, except per address; load averages {', '.join(f'{one:.1f}' for one in os.getloadavg())}"
    )


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
