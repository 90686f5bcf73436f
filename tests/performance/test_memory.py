"""A process that answers for weeks: 20,000 signed requests leave no more than 2 % behind."""

from __future__ import annotations

import gc
import itertools

import psutil

from apps.entrypoints.aws_wire.handler import WireHandler
from benchmarks.inprocess import environ_of
from benchmarks.traffic import Traffic

WARM_UP, REQUESTS = 3_000, 20_000


def test_memory_does_not_grow_with_requests(manifest, issuer):
    traffic = Traffic(manifest, issuer, count=60, seed=3)
    by_kind = {kind: traffic.signed(kind, "http://127.0.0.1") for kind in ("fetch", "api_key", "mint")}
    raws = [raw for trio in zip(*by_kind.values(), strict=True) for raw in trio]
    handler = WireHandler()
    refused: list[str] = []

    def note(status: str, headers: object) -> None:
        if status != "200 OK":
            refused.append(status)

    def send(count: int) -> None:
        for number, raw in enumerate(itertools.islice(itertools.cycle(raws), count)):
            # Many addresses, as in life: one alone would reach its limit.
            handler(environ_of(raw, address=f"10.0.{number % 250}.{number % 200}"), note)

    send(WARM_UP)
    gc.collect()
    before = psutil.Process().memory_info().rss
    send(REQUESTS)
    gc.collect()
    after = psutil.Process().memory_info().rss
    assert not refused
    assert (after - before) / before <= 0.02, f"{before / 1e6:.1f} MB grew to {after / 1e6:.1f} MB"
