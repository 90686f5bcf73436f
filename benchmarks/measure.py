"""One cell of a table: load on one server for some seconds, with what it cost and what the rest of the machine did."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from benchmarks.load import Load
from benchmarks.stage import Server, Stage

_LOOK_S = 0.5
QUIET = 0.15
"""Up to this share of all cores in the hands of others counts as a quiet machine."""


@dataclass(frozen=True)
class Cell:
    """`server_ms` and `database_ms` are CPU milliseconds per request; `others` is the share of all cores that
    processes which are no part of this run were using."""

    per_second: float
    p50_ms: float
    p99_ms: float
    server_ms: float
    database_ms: float
    others: float

    @property
    def cpu_ms(self) -> float:
        return self.server_ms + self.database_ms


def cell(stage: Stage, server: Server | None, work: Callable[[], Load]) -> Cell:
    """Do the work and account for it. Without a server only the database is looked at."""
    before = _now(stage, server)
    load = work()
    after = _now(stage, server)
    took = [later - earlier for earlier, later in zip(before, after, strict=True)]
    elapsed, machine, ours, served, stored = took
    return Cell(
        per_second=load.per_second,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        server_ms=1e3 * served / load.requests,
        database_ms=1e3 * stored / load.requests,
        others=max(0.0, machine - ours - served - stored) / (elapsed * (os.cpu_count() or 1)),
    )


def _now(stage: Stage, server: Server | None) -> tuple[float, float, float, float, float]:
    """Seconds: the clock, then CPU of the whole machine, of this process with its load generator, server, database."""
    mine = psutil.Process().cpu_times()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    ours = mine.user + mine.system + ended.ru_utime + ended.ru_stime
    return time.monotonic(), _busy_s(), ours, server.cpu_s() if server else 0.0, stage.postgres_cpu_s()


def _busy_s() -> float:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    return float(sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0) - idle)


def wait_for_quiet(patience_s: float) -> None:
    """Wait until nobody else uses more than 15 % of the machine, at most that long."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        before = _busy_s()
        time.sleep(_LOOK_S)
        if (_busy_s() - before) / (_LOOK_S * (os.cpu_count() or 1)) < QUIET:
            return
