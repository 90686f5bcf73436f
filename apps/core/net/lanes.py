"""How many calls one tenant may have under way at once in this process."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from apps.core.errors import Throttled


class Lanes:
    """A counting gate per key. A tenant whose provider hangs fills its own lanes, not the whole process."""

    def __init__(self, width: int, *, wait_s: float) -> None:
        self._width = width
        self._wait_s = wait_s
        self._busy: dict[Hashable, int] = {}
        self._changed = threading.Condition()

    @contextmanager
    def enter(self, key: Hashable | None) -> Iterator[None]:
        """Hold one lane of `key`; None is not limited. Waits `wait_s` seconds at most.

        Raises Throttled with reason `outbound_concurrency`; trying again shortly helps.
        """
        if key is None:
            yield
            return
        with self._changed:
            if not self._changed.wait_for(lambda: self._busy.get(key, 0) < self._width, timeout=self._wait_s):
                raise Throttled(
                    "Too many calls to providers are under way for this tenant. Try again in a moment.",
                    reason="outbound_concurrency",
                    retry_after_s=1.0,
                )
            self._busy[key] = self._busy.get(key, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._busy[key] -= 1
                if not self._busy[key]:
                    del self._busy[key]  # no entry outlives its calls, so the table cannot grow
                self._changed.notify_all()
