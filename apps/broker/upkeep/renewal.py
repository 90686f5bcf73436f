"""Renew a connection's access token: exactly one upstream call per generation, however many ask.

In front stands a lock per connection inside this process; behind it the lease in PostgreSQL. The order is
lease and intent record (committed), network, then one transaction that writes both tokens and the record.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError
from django.db import connection as database

from apps.broker.work import Work
from apps.connections import leases
from apps.connections.leases import Lease, NewTokens
from apps.connections.models import Connection
from apps.connections.params import refresh_after
from apps.core import clock
from apps.core.errors import PortalError, UpstreamUnavailable
from apps.core.net.failures import NoAnswer
from apps.upstream.protocol.errors import GrantRefused
from apps.upstream.protocol.types import TokenSet

log = structlog.get_logger("portal.renewal")

_WAIT_S = 12.0  # a waiter outlives one network deadline, then says "try again"
_POLL_S = 0.05
_COMMIT_FOR_S = 20.0


class _Gate:
    """One lock per connection id, forgotten when nobody holds or waits for it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[UUID, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, key: UUID) -> Iterator[None]:
        with self._guard:
            lock, users = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = (lock, users + 1)
        try:
            if not lock.acquire(timeout=_WAIT_S):
                raise _busy()
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._guard:
                lock, users = self._locks[key]
                if users == 1:
                    del self._locks[key]
                else:
                    self._locks[key] = (lock, users - 1)


_gate = _Gate()


def _busy() -> UpstreamUnavailable:
    return UpstreamUnavailable(
        "The credential is being renewed at the provider. Try again in a moment.",
        reason="renewal_busy",
        retry_after_s=2,
    )


@dataclass(frozen=True, slots=True)
class Renewed:
    """The connection holds a usable token now. `by_us` is False when somebody else renewed it."""

    by_us: bool


@dataclass(frozen=True, slots=True)
class ConsentLost:
    """The person has to consent again; `reason` is what the connection's row says."""

    reason: str


Result = Renewed | ConsentLost
Ask = Callable[[], TokenSet]
Prepare = Callable[[Connection], Ask | None]


def is_fresh(row: Connection) -> bool:
    """Holds a token that needs no renewal now."""
    now = clock.now()
    if row.status != Connection.Status.ACTIVE or row.generation == 0:
        return False
    return (row.refresh_after is None or row.refresh_after > now) and (
        row.access_expires_at is None or row.access_expires_at > now
    )


def renew(connection_id: UUID, work: Work, *, prepare: Prepare) -> Result:
    """Bring the connection to a fresh token.

    `prepare` runs in the lease's transaction and opens what the upstream call needs; None means that nothing
    can be asked (no refresh token). Raises UpstreamUnavailable when the provider cannot be reached,
    UpstreamRefused when it refuses *us* (an operator has to act).
    """
    with _gate.hold(connection_id):
        deadline = time.monotonic() + _WAIT_S
        while True:
            with work.look():
                # Locked from the look to the lease. Renewed in between, we would send a used-up refresh token, and the
                # provider would revoke the family; its provider moved in between, we would send it to a stranger.
                row = (
                    Connection.objects.select_for_update(of=("self",))
                    .select_related("provider")
                    .filter(id=connection_id)
                    .first()
                )
                if row is None:
                    return ConsentLost("connection_gone")
                if row.status != Connection.Status.ACTIVE:
                    return ConsentLost(row.status_reason or row.status)
                if row.provider_config_version != row.provider.config_version:
                    return ConsentLost("provider_changed")
                if is_fresh(row):
                    return Renewed(by_us=False)
                ask = prepare(row)
                if ask is None:
                    return ConsentLost("no_refresh_token")
                lease = leases.take(connection_id, now=clock.now())
                if lease is not None:
                    work.also(
                        "connection.renew",
                        outcome="intent",
                        generation=lease.generation,
                        connection=str(connection_id),
                    )
            if lease is not None:
                return _ask_and_commit(lease, ask, work)
            if time.monotonic() >= deadline:
                raise _busy()
            time.sleep(_POLL_S)


def _ask_and_commit(lease: Lease, ask: Ask, work: Work) -> Result:
    asked_at = clock.now()
    try:
        tokens = _ask_with_one_retry(ask)
    except GrantRefused as refused:
        return _consent_lost(lease, work, refused.reason)
    except _OutcomeUnknown:
        # Sent twice, answered never: the provider may have rotated the token away. Say so, rather than
        # keeping a connection that looks alive.
        return _consent_lost(lease, work, "renewal_outcome_unknown")
    except PortalError as failed:
        with work.look():
            leases.release(lease)
            work.also("connection.renew", outcome="failed", reason=failed.reason, connection=str(lease.connection_id))
        raise
    new = NewTokens(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_at=tokens.expires_at,
        refresh_after=refresh_after(asked_at, tokens.expires_at),
        granted_scopes=tokens.granted_scopes,
    )
    if not _commit(lease, new, work):
        log.warning("late_renewal_discarded", connection=str(lease.connection_id), generation=lease.generation)
        return Renewed(by_us=False)
    return Renewed(by_us=True)


class _OutcomeUnknown(Exception):
    """The request left twice and no answer came back."""


def _ask_with_one_retry(ask: Ask) -> TokenSet:
    try:
        return ask()
    except NoAnswer as silent:
        if not silent.request_sent:
            raise
    try:
        return ask()
    except NoAnswer as silent:
        if not silent.request_sent:
            raise
        raise _OutcomeUnknown from silent


def _commit(lease: Lease, tokens: NewTokens, work: Work) -> bool:
    """Keep what the provider gave, through a database restart if need be: a rotated token exists only here."""
    until = time.monotonic() + _COMMIT_FOR_S
    while True:
        try:
            with work.look():
                done = leases.commit(lease, tokens)
                work.also(
                    "connection.renew",
                    outcome="allowed" if done else "failed",
                    reason="" if done else "late",
                    generation=lease.generation + 1,
                    connection=str(lease.connection_id),
                )
                return done
        except (OperationalError, InterfaceError, PortalError):
            if time.monotonic() >= until:
                raise
            database.close()
            time.sleep(0.5)


def _consent_lost(lease: Lease, work: Work, reason: str) -> Result:
    """Mark the loss, unless the row moved on meanwhile: then somebody else's newer token is the truth."""
    with work.look():
        if leases.park(lease, reason=reason):
            work.also("connection.renew", outcome="failed", reason=reason, connection=str(lease.connection_id))
            return ConsentLost(reason)
        row = Connection.objects.filter(id=lease.connection_id).first()
    if row is not None and is_fresh(row):
        return Renewed(by_us=False)
    return ConsentLost(reason)


def still_valid(row: Connection, *, margin_s: float = 0) -> bool:
    """Past its renewal mark but not yet expired: good enough when the provider cannot be reached."""
    return row.access_expires_at is None or row.access_expires_at > clock.now() + timedelta(seconds=margin_s)
