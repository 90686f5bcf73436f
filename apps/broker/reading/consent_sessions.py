"""How a consent stands, for whoever waits for it. Waiting holds neither a transaction nor a lock."""

from __future__ import annotations

import threading
import time

from apps.broker.contracts_admin import ConsentSessionView, GetConsentSession
from apps.broker.data_plane import facts
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections import sessions
from apps.connections.models import ConsentSession
from apps.core import clock, names
from apps.core.errors import NotFound

MAX_WAIT_S = 30.0
_LOOK_EVERY_S = 0.25
# A process has few threads; no more of them than this may sit and wait. Whoever comes besides is answered at once.
_seats = threading.BoundedSemaphore(1)


def view(row: ConsentSession) -> ConsentSessionView:
    return ConsentSessionView(
        id=row.id,
        agent=row.agent.name,
        provider=row.provider.name,
        status=row.status,
        problem=row.problem,
        settled=row.status not in ConsentSession.LIVE,
        scopes=tuple(row.scopes),
        forced=row.forced,
        connection_id=row.connection_id,
        expires_at=row.expires_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


@handles(GetConsentSession)
def get(command: GetConsentSession, work: Work) -> ConsentSessionView:
    """The right is proven at every look: it may be taken away while somebody waits."""
    row = _look(command, work)
    if command.wait_s > 0 and row.status in ConsentSession.LIVE and _seats.acquire(blocking=False):
        try:
            row = _wait(row, command, work)
        finally:
            _seats.release()
    return view(row)


def _wait(first: ConsentSession, command: GetConsentSession, work: Work) -> ConsentSession:
    until = time.monotonic() + min(command.wait_s, MAX_WAIT_S)
    row = first
    while row.status == first.status and (left_s := until - time.monotonic()) > 0:
        time.sleep(min(_LOOK_EVERY_S, left_s))
        row = _look(command, work)
    return row


def _look(command: GetConsentSession, work: Work) -> ConsentSession:
    with work.look():
        row = sessions.by_id(command.session_id)
        work.require(names.DIRECTORY, *([names.agent(row.agent.name)] if row is not None else []))
        if row is None:
            raise NotFound("There is no such consent request.", reason="session_unknown")
        work.note(agent=row.agent, principal=row.principal, provider=row.provider, session=str(row.id))
        facts.require_own_agent(row.agent, work)
        sessions.expire_if_due(row, clock.now())
        return row
