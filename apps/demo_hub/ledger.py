"""What was asked of Demo Hub: counters and a log of requests, neither of which ever holds a secret."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

_KEPT = 2_000
_LONGEST = 300

# Only these parameters are logged with their value. Everything else a caller sends may be a secret,
# so of the others only the name is kept.
_HARMLESS = frozenset(
    {
        "access_type", "audience", "client_id", "code_challenge_method", "display", "grant_type", "login_hint",
        "max_age", "prompt", "redirect_uri", "resource", "response_mode", "response_type", "scope", "token_type_hint",
    }
)  # fmt: skip


class Ledger:
    """Counters and the latest requests; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sequence = 0
        self._log: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._requests: Counter[str] = Counter()
        self._refreshes: Counter[str] = Counter()
        self._events: Counter[str] = Counter()

    def saw(self, endpoint: str, entry: dict[str, Any]) -> None:
        """Count a request that was answered, and remember it."""
        with self._lock:
            self._sequence += 1
            self._requests[endpoint] += 1
            self._log.append({"seq": self._sequence, "endpoint": endpoint, **entry})

    def refreshed(self, grant_id: str) -> None:
        """Count a refresh of one family of tokens."""
        with self._lock:
            self._refreshes[grant_id] += 1

    def happened(self, event: str) -> None:
        """Count something worth noticing, such as a refresh token that came back."""
        with self._lock:
            self._events[event] += 1

    def counters(self) -> dict[str, Any]:
        """The counts since the start or the last reset."""
        with self._lock:
            return {
                "requests": dict(self._requests),
                "refreshes": dict(self._refreshes),
                "refresh_token_reuses": self._events["refresh_token_reuses"],
                "code_reuses": self._events["code_reuses"],
                "revocations": self._events["revocations"],
            }

    def requests(self, after: int = 0) -> list[dict[str, Any]]:
        """The latest requests with a sequence number above `after`, oldest first."""
        with self._lock:
            return [dict(entry) for entry in self._log if entry["seq"] > after]

    def reset(self) -> None:
        """Forget counts and requests; sequence numbers go on."""
        with self._lock:
            self._log.clear()
            self._requests.clear()
            self._refreshes.clear()
            self._events.clear()


def loggable(parameters: dict[str, list[str]]) -> dict[str, Any]:
    """The names of all parameters and the values of the harmless ones."""
    return {
        "parameters": sorted(name[:_LONGEST] for name in parameters),
        "values": {
            name: " ".join(values)[:_LONGEST] for name, values in sorted(parameters.items()) if name in _HARMLESS
        },
    }
