"""Keys of issuers, kept in this process: parsed once, fetched rarely, never older than allowed.

Who may cause a request to an issuer, and how often:
- the first use, and a use after the time to live (10 minutes);
- a token with an unknown key id, at most once a minute per issuer, however many such tokens arrive (T008);
- after a failure nobody for a minute, or 5 seconds when there is no usable key at all.
One thread at a time asks; the others go on with the keys there are, or wait a moment where there are none.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from apps.authn.jwt.keys import KeySet, parse_key_set
from apps.core.errors import PortalError, Unavailable

DEFAULT_STALE_MAX_S = 24 * 3600.0

Fetch = Callable[[str], bytes]
Report = Callable[[UUID, str, PortalError], None]


@dataclass(slots=True)
class _Entry:
    changed: threading.Condition = field(default_factory=threading.Condition)
    keys: KeySet | None = None
    fetched_at: float = 0.0
    not_before: float = 0.0  # no request at all before this moment: the last one failed
    kid_not_before: float = 0.0  # no request because of an unknown key id before this moment
    fetching: bool = False
    waiting: int = 0


def _report_nothing(tenant_id: UUID, jwks_uri: str, problem: PortalError) -> None:
    """For callers that learn enough from the error itself."""


class JwksCache:
    """Thread-safe and bounded. Times are seconds of `clock`, which must not go backwards.

    `fetch` gets a JWKS address and returns the body; the caller makes it go through the guarded transport, with
    its deadline, and lets it raise PortalError. `report` is told of every failed fetch or unusable document, so at
    most once a minute per issuer; for the audit trail. Key sets are per tenant: one tenant's configuration never
    decides what another tenant trusts.
    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        report: Report = _report_nothing,
        clock: Callable[[], float] = time.monotonic,
        ttl_s: float = 600.0,
        unknown_kid_every_s: float = 60.0,
        retry_s: float = 60.0,
        empty_retry_s: float = 5.0,
        wait_s: float = 5.0,
        max_waiting: int = 8,
        max_entries: int = 2000,
    ) -> None:
        self._fetch, self._report, self._clock = fetch, report, clock
        self._ttl_s, self._unknown_kid_every_s = ttl_s, unknown_kid_every_s
        self._retry_s, self._empty_retry_s = retry_s, empty_retry_s
        self._wait_s, self._max_waiting, self._max_entries = wait_s, max_waiting, max_entries
        self._entries: OrderedDict[tuple[UUID, str], _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def keys_for(
        self, tenant_id: UUID, jwks_uri: str, *, kid: str | None, stale_max_s: float = DEFAULT_STALE_MAX_S
    ) -> KeySet:
        """The issuer's keys, fetched anew where the rules above say so.

        `kid` is what `wanted_key_id()` gave. The set may still lack it; `verify()` then refuses. While the issuer
        does not answer, the last good set serves until it is `stale_max_s` old (0: not beyond its time to live).
        Raises Unavailable `issuer_keys_unavailable`: the issuer's administrator, or the network's, can fix it.
        """
        entry = self._entry(tenant_id, jwks_uri)
        with entry.changed:
            lead = self._must_fetch(entry, kid)
            life_s = max(self._ttl_s, stale_max_s)
            if lead:
                entry.fetching = True
                if entry.keys is not None and kid is not None and not entry.keys.knows(kid):
                    entry.kid_not_before = self._clock() + self._unknown_kid_every_s
            else:
                self._wait(entry, kid, life_s)
        if lead:
            self._refresh(entry, tenant_id, jwks_uri, life_s)
        with entry.changed:
            keys = self._usable(entry, life_s)
            if keys is not None:
                return keys
            retry_after_s = max(1.0, entry.not_before - self._clock())
        raise Unavailable(
            "The keys of the token's issuer cannot be fetched at the moment.",
            reason="issuer_keys_unavailable",
            retry_after_s=retry_after_s,
        )

    def forget(self, tenant_id: UUID, jwks_uri: str) -> None:
        """Drop an issuer's keys at once, when it is changed or no longer trusted."""
        with self._lock:
            self._entries.pop((tenant_id, jwks_uri), None)

    def _entry(self, tenant_id: UUID, jwks_uri: str) -> _Entry:
        key = (tenant_id, jwks_uri)
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)  # least recently used; whoever still works with it may finish
            return entry

    def _must_fetch(self, entry: _Entry, kid: str | None) -> bool:
        now = self._clock()
        if entry.fetching or now < entry.not_before:
            return False
        if entry.keys is None or now - entry.fetched_at > self._ttl_s:
            return True
        return kid is not None and not entry.keys.knows(kid) and now >= entry.kid_not_before

    def _usable(self, entry: _Entry, life_s: float) -> KeySet | None:
        return entry.keys if self._clock() - entry.fetched_at <= life_s else None

    def _wait(self, entry: _Entry, kid: str | None, life_s: float) -> None:
        """Wait for a fetch that is under way and could help. A few may: a flood must not park every thread."""

        def helped() -> bool:
            keys = self._usable(entry, life_s)
            return not entry.fetching or (keys is not None and (kid is None or keys.knows(kid)))

        if entry.waiting < self._max_waiting and not helped():
            entry.waiting += 1
            try:
                entry.changed.wait_for(helped, timeout=self._wait_s)
            finally:
                entry.waiting -= 1

    def _refresh(self, entry: _Entry, tenant_id: UUID, jwks_uri: str, life_s: float) -> None:
        """Fetch and parse outside the lock, then install all or nothing."""
        keys: KeySet | None = None
        problem: PortalError | None = None
        try:
            keys = parse_key_set(self._fetch(jwks_uri))
        except PortalError as refused:
            problem = refused
        finally:
            with entry.changed:
                entry.fetching = False
                if keys is not None:
                    entry.keys, entry.fetched_at, entry.not_before = keys, self._clock(), 0.0
                else:
                    pause_s = self._retry_s if self._usable(entry, life_s) else self._empty_retry_s
                    entry.not_before = self._clock() + pause_s
                entry.changed.notify_all()
        if problem is not None:
            self._report(tenant_id, jwks_uri, problem)
