"""Rate limits that cost the hot path no round trip.

Each process counts in memory, per second; a background thread adds its counts to Redis four times a second and
reads everybody's. A process refuses once its own count plus what it last heard of the others reaches the limit, so
several processes together may overshoot by what they serve in a quarter of a second. Without Redis each process
goes on with its own counts: no wall opens, none falls.

Limits are requests per second by kind: `address` (before a caller is proven), `credential`, `tenant`, and `agent`
(one workload access token, that is one agent for one person).
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict

import structlog
from django.conf import settings
from django.core.cache import cache

from apps.core.errors import Throttled

log = structlog.get_logger("portal.rates")
_SYNC_EVERY_S = 0.25
_MAX_KEYS = 100_000

Key = tuple[str, str]


class RateLimited(Throttled):
    """Over the limit. `first`: the first refusal of this second; only that one is recorded, so that a flood of
    requests is not a flood of records."""

    def __init__(self, kind: str, *, first: bool) -> None:
        super().__init__(
            "Too many requests. Slow down and try again.", reason=f"rate_limited_{kind}", retry_after_s=1.0
        )
        self.first = first


class Counters:
    """Counts of the current second. Thread-safe."""

    def __init__(self, limits: dict[str, int]) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self._second = 0
        self._mine: defaultdict[Key, int] = defaultdict(int)
        self._sent: dict[Key, int] = {}
        self._others: dict[Key, int] = {}
        self._refused: set[Key] = set()
        self._thread: threading.Thread | None = None
        self._redis_down = False

    def hit(self, kind: str, name: str) -> None:
        """Count one request. Raises Throttled when it is over the limit."""
        limit = self.limits.get(kind)
        if limit is None:
            return
        second = int(time.time())
        key = (kind, name)
        with self._lock:
            if second != self._second or len(self._mine) > _MAX_KEYS:
                self._second = second
                self._mine.clear()
                self._sent.clear()
                self._others.clear()
                self._refused.clear()
            self._mine[key] += 1
            over = self._mine[key] + self._others.get(key, 0) > limit
            if self._thread is None:
                self._start()
            first = over and key not in self._refused
            if over:
                self._refused.add(key)
        if over:
            raise RateLimited(kind, first=first)

    def left(self, kind: str, name: str) -> tuple[int, int] | None:
        """The limit and how much of it is left in this second, as far as this process knows. None: no limit."""
        limit = self.limits.get(kind)
        if limit is None:
            return None
        key = (kind, name)
        with self._lock:
            used = self._mine.get(key, 0) + self._others.get(key, 0) if self._second == int(time.time()) else 0
        return limit, max(0, limit - used)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="rate-sync", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(_SYNC_EVERY_S)
            self.sync()

    def sync(self) -> None:
        """Tell Redis what is new, and hear of the others. Redis being away is logged once."""
        with self._lock:
            second = self._second
            # Most requests are far from any limit: only keys that could matter are worth telling.
            news = {
                key: count - self._sent.get(key, 0)
                for key, count in self._mine.items()
                if count > self._sent.get(key, 0) and count * 20 > self.limits[key[0]]
            }
            totals = dict(self._mine)
        if not news:
            return
        heard: dict[Key, int] = {}
        try:
            for key, delta in news.items():
                name = f"rate:{key[0]}:{key[1]}:{second}"
                cache.add(name, 0, 3)
                heard[key] = int(cache.incr(name, delta))
        except Exception as gone:
            if not self._redis_down:
                log.warning("redis_down", error=type(gone).__name__)
            self._redis_down = True
            return
        self._redis_down = False
        with self._lock:
            if second != self._second:
                return
            for key, total in heard.items():
                self._sent[key] = totals[key]
                self._others[key] = max(0, total - totals[key])


counters = Counters(settings.RATE_LIMITS)
