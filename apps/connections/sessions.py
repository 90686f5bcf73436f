"""Consent sessions: rows and their single-use artefacts, inside a tenant scope. No policy, no network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from apps.connections.models import ConsentSession, Principal
from apps.core import tickets
from apps.core.secret import Secret
from apps.vault import storing

TABLE = "connections_consentsession"
URN = "urn:ietf:params:oauth:request_uri:"
MAX_LIVE = 5
MAX_ATTEMPTS = 5
Status = ConsentSession.Status


@dataclass(frozen=True, slots=True)
class Opened:
    session: ConsentSession
    ticket: Secret


def uri_of(ticket: str) -> str:
    return URN + ticket


def ticket_of(session_uri: str) -> str | None:
    """The ticket inside a session URI; None when it is not one."""
    return session_uri[len(URN) :] if session_uri.startswith(URN) else None


def open_session(
    *,
    account_id: str,
    life_s: int,
    now: datetime,
    custom_state: Secret | None,
    verifier: Secret,
    nonce: Secret,
    **fields: object,
) -> Opened:
    """Make a session. Beyond five live ones of the same kind the oldest ends.

    The principal's row is locked until the scope ends: of many askers at once each counts the others' sessions.
    """
    Principal.objects.select_for_update().get(id=fields["principal"].id)  # type: ignore[attr-defined]
    same = Q(
        agent=fields["agent"],
        principal=fields["principal"],
        provider=fields["provider"],
        params_digest=fields["params_digest"],
        scopes=fields["scopes"],
    )
    live = ConsentSession.objects.filter(same, status__in=ConsentSession.LIVE).order_by("-created_at")
    for old in list(live[MAX_LIVE - 1 :]):
        end(old, Status.SUPERSEDED, "superseded")
    ticket = tickets.mint(tickets.Kind.CONSENT_SESSION, account_id)
    session = ConsentSession.objects.create(
        digest=tickets.digest_of(tickets.Kind.CONSENT_SESSION, ticket.reveal()),
        expires_at=now + timedelta(seconds=life_s),
        **fields,
    )
    keep(session, "code_verifier", verifier)
    keep(session, "nonce", nonce)
    if custom_state is not None:
        keep(session, "custom_state", custom_state)
    return Opened(session, ticket)


def keep(session: ConsentSession, column: str, secret: Secret) -> None:
    storing.put(secret, table=TABLE, row_id=session.id, column=column, purpose=f"consent.{column}")


def by_digest(digest: bytes, *, lock: bool = False) -> ConsentSession | None:
    rows = ConsentSession.objects.select_related("agent", "principal", "provider")
    if lock:
        rows = rows.select_for_update(of=("self",))
    found: ConsentSession | None = rows.filter(digest=digest).first()
    return found


def by_id(session_id: UUID, *, lock: bool = False) -> ConsentSession | None:
    rows = ConsentSession.objects.select_related("agent", "principal", "provider")
    if lock:
        rows = rows.select_for_update(of=("self",))
    found: ConsentSession | None = rows.filter(id=session_id).first()
    return found


def end(session: ConsentSession, status: str, problem: str = "") -> None:
    """Close a session and forget its secrets; nothing of it can be used afterwards."""
    session.status, session.problem = status, problem
    session.state_digest = session.browser_digest = None
    session.save(update_fields=["status", "problem", "state_digest", "browser_digest", "connection_id", "updated_at"])
    storing.forget(table=TABLE, row_ids=[session.id])


def expire_if_due(session: ConsentSession, now: datetime) -> bool:
    """Whether the session is over by time; closes it if it was still open."""
    if session.status in ConsentSession.LIVE and session.expires_at <= now:
        end(session, Status.EXPIRED, "expired")
    return session.status == Status.EXPIRED


def approve(session: ConsentSession, *, account_id: str) -> tuple[Secret, Secret]:
    """The person approved: issue `state` and the browser's ticket, single use both. Returns (state, browser)."""
    state = tickets.mint(tickets.Kind.STATE, account_id)
    browser = tickets.mint(tickets.Kind.BROWSER, account_id)
    session.status = Status.APPROVED
    session.state_digest = tickets.digest_of(tickets.Kind.STATE, state.reveal())
    session.browser_digest = tickets.digest_of(tickets.Kind.BROWSER, browser.reveal())
    session.save(update_fields=["status", "state_digest", "browser_digest", "updated_at"])
    return state, browser


def consume_state(digest: bytes, *, becomes: str) -> ConsentSession | None:
    """Use a state up, atomically, before anything is asked of the provider. None: unknown or used already."""
    session: ConsentSession | None = (
        ConsentSession.objects.select_for_update(of=("self",))
        .select_related("agent", "principal", "provider")
        .filter(state_digest=digest, status=Status.APPROVED)
        .first()
    )
    if session is None:
        return None
    session.status, session.state_digest = becomes, None
    session.save(update_fields=["status", "state_digest", "updated_at"])
    return session
