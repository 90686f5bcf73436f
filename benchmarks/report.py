"""Medians, ratios and gates as text."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measure import Cell

Cells = Mapping[str, Sequence[Cell]]
_LABELS = {
    "hello": "constant view (hello)",
    "fetch": "OAuth token from the vault",
    "mint": "workload token for a JWT (RS256)",
    "api_key": "API key from the vault",
}


@dataclass(frozen=True)
class Spread:
    """A median with the smallest and the largest of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 2) -> str:
        return f"{self.median:.{digits}f} [{self.low:.{digits}f}-{self.high:.{digits}f}]"


def ratio(cells: Cells, above: str, below: str, of: Callable[[Cell], float] = lambda cell: cell.per_second) -> Spread:
    """Of two cells, taken within each round, so that a slow minute of the machine does not count on one side only."""
    return Spread.of([of(a) / of(b) for a, b in zip(cells[above], cells[below], strict=True)])


def table(cells: Cells, sizes: Mapping[str, str]) -> str:
    """One line per cell. `sizes` names the databases as people read them."""
    head = "| what | connections | req/s [min-max] | p50 ms | p99 ms | CPU ms: server + database | ÷ hello, req/s | CPU × hello |"
    lines = [head, "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for size, name in sizes.items():
        for kind, label in _LABELS.items():
            key = f"{kind}@{size}"
            if key not in cells:
                continue
            rounds = cells[key]
            middle = {
                field: statistics.median(getattr(one, field) for one in rounds)
                for field in ("p50_ms", "p99_ms", "server_ms", "database_ms")
            }
            hello = f"hello@{size}"
            share = ratio(cells, key, hello).text() if kind != "hello" else "1"
            cpu = f"{ratio(cells, key, hello, lambda one: one.cpu_ms).median:.1f}" if kind != "hello" else "1"
            lines.append(
                f"| {label} | {name} | {Spread.of([one.per_second for one in rounds]).text(0)} "
                f"| {middle['p50_ms']:.1f} | {middle['p99_ms']:.1f} "
                f"| {middle['server_ms']:.3f} + {middle['database_ms']:.3f} | {share} | {cpu} |"
            )
    return "\n".join(lines)


@dataclass(frozen=True)
class Gate:
    """A promise about a ratio. `at_most` says on which side of the limit it must stay."""

    name: str
    value: float
    limit: float
    at_most: bool = True
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def text(self) -> str:
        sign = "<=" if self.at_most else ">="
        return f"{'pass' if self.holds else 'FAIL'}  {self.name}: {self.value:.3g} (gate {sign} {self.limit:g}) {self.note}"
