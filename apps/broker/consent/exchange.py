"""Trade the code for tokens and seal them. The session was consumed before; the code is never sent twice."""

from __future__ import annotations

from datetime import timedelta

from apps.broker.consent.decide import opened
from apps.broker.providers_upstream import callback_url, exchange_code
from apps.broker.work import Work
from apps.connections import leases, sessions
from apps.connections.leases import NewTokens
from apps.connections.models import Connection, ConsentSession
from apps.connections.params import refresh_after
from apps.core import clock
from apps.core.errors import PortalError
from apps.core.secret import Secret
from apps.policy import facts
from apps.policy.bindings import shorter
from apps.vault import storing


def announce(session: ConsentSession, work: Work) -> None:
    """The record that a code is about to be exchanged. Write it in the transaction that uses the session up: if it
    cannot be written, the session is as it was, and no code leaves."""
    work.also("connection.store", outcome="intent", session=str(session.id))


def exchange(session: ConsentSession, code: Secret, work: Work) -> Connection:
    """Network first, outside any transaction; then tokens, session and records in one. Announced already.

    Raises PortalError; the session is closed as failed then, and nothing was stored.
    """
    try:
        with work.look():
            verifier, nonce = opened(session, "code_verifier"), opened(session, "nonce")
            asking = exchange_code(
                session, code=code, verifier=verifier, nonce=nonce, callback=callback_url(session.provider)
            )
        asked_at = clock.now()
        tokens = asking()
    except PortalError as failed:
        problem = "id_token_invalid" if failed.reason == "id_token_invalid" else "provider_error"
        with work.look():
            fail(session, problem, work, reason=failed.reason)
        raise
    new = NewTokens(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_at=tokens.expires_at,
        refresh_after=refresh_after(asked_at, tokens.expires_at),
        granted_scopes=tokens.granted_scopes,
    )
    try:
        with work.look():
            # The provider may have taken seconds: the right to ask, and what the request rests on, may be gone.
            if ended := work.ended():
                raise ended
            return _store(session, new, work)
    except PortalError as refused:
        with work.look():
            fail(session, refused.reason.removeprefix("consent_"), work, reason=refused.reason)
        raise


def fail(session: ConsentSession, problem: str, work: Work, *, reason: str) -> None:
    """Close the session as failed, inside a scope."""
    row = sessions.by_id(session.id, lock=True)
    if row is not None and row.status in ConsentSession.LIVE:
        sessions.end(row, ConsentSession.Status.FAILED, problem)
    work.also("connection.store", outcome="failed", reason=reason, session=str(session.id))


def _store(session: ConsentSession, new: NewTokens, work: Work) -> Connection:
    row = sessions.by_id(session.id, lock=True)
    if row is None or row.status != ConsentSession.Status.EXCHANGING:
        from apps.broker.consent.problems import refusal

        raise refusal("superseded")
    from apps.broker.consent.loading import check_world

    check_world(row)
    now = clock.now()
    key = {
        "agent": row.agent,
        "principal": row.principal,
        "provider": row.provider,
        "flow": Connection.Flow.USER_FEDERATION,
        "params_digest": bytes(row.params_digest),
    }
    made = Connection.objects.select_for_update(of=("self",)).filter(**key).first()
    if made is None:
        made = Connection(**key, params=row.params, generation=0, provider_config_version=0)
        made.save()
    made.requested_scopes = list(row.scopes)
    made.granted_scopes = list(row.scopes)
    made.reduced = False
    made.provider_config_version = row.provider_config_version
    made.status, made.status_reason = Connection.Status.ACTIVE, ""
    made.consented_at = now
    bound = facts.binding(row.agent_id, row.provider_id)
    capped = int(bound.life.total_seconds()) if bound and bound.life is not None else None
    life_s = shorter(row.consent_life_s or None, capped)
    made.expires_at = now + timedelta(seconds=life_s) if life_s is not None else None
    made.uses_left = bound.uses if bound else None
    # A new consent is a new grant: a refresh token of the old one must not outlive it, nor a refresh under way.
    storing.forget(table=leases.TABLE, row_ids=[made.id], column="refresh_token")
    made.has_refresh_token = False
    made.generation += 1
    made.lease_id = made.lease_until = None
    leases.store_tokens(made, new)
    made.save()
    row.connection_id = made.id
    sessions.end(row, ConsentSession.Status.COMPLETED)
    work.note(connection_id=made.id, reduced=made.reduced)
    work.also(
        "connection.store",
        session=str(row.id),
        generation=made.generation,
        requested=list(made.requested_scopes),
        granted=list(made.granted_scopes),
    )
    return made
