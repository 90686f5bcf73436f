"""The person decides: on to the provider, or back with a no."""

from __future__ import annotations

from urllib.parse import urlencode

from apps.broker import contracts as c
from apps.broker.consent import loading, people
from apps.broker.consent.opening import host_of
from apps.broker.providers_upstream import authorization_url, callback_url, provider_title
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections import sessions
from apps.connections.models import ConsentSession
from apps.core.errors import Invalid, NotAllowed
from apps.core.secret import Secret
from apps.tenants.models import Tenant
from apps.vault.opening import open_at

MAX_LIFE_S = 366 * 86400


@handles(c.DecideConsent)
def decide(command: c.DecideConsent, work: Work) -> c.Approved | c.Declined:
    """Raises as `show`, and NotAllowed `consent_sign_in` when the portal has to know the person first."""
    if command.life_s is not None and not 60 <= command.life_s <= MAX_LIFE_S:
        raise Invalid.field("life_s", "Choose one of the offered durations.", reason="duration_invalid")
    with work.look():
        work.proven_by_possession()
        session = loading.load_open(command.ticket, work)
        tenant = Tenant.objects.get(id=work.caller.tenant_id)
        verdict = people.judge(session, command.user_id, tenant)
    if verdict == "no":
        people.refuse_wrong_person(session, command.user_id, work)
    if verdict == "sign_in":
        raise NotAllowed("Sign in first.", reason="consent_sign_in")
    with work.change():
        session = loading.load_open(command.ticket, work, lock=True)
        work.note(approved=command.approve, life_s=command.life_s)
        if not command.approve:
            back = back_url(session, error="access_denied")
            sessions.end(session, ConsentSession.Status.DENIED, "denied")
            return c.Declined(return_to=back, agent_name=session.agent.name)
        if verdict == "claim" and command.user_id is not None:
            people.claim(session, command.user_id, work)
        session.consent_life_s = command.life_s
        session.save(update_fields=["consent_life_s"])
        state, browser = sessions.approve(session, account_id=work.caller.account_id)
        verifier, nonce = opened(session, "code_verifier"), opened(session, "nonce")
        url = authorization_url(
            session, state=state, verifier=verifier, nonce=nonce, callback=callback_url(session.provider)
        )
        return c.Approved(
            authorization_url=url,
            provider_title=provider_title(session.provider),
            provider_host=host_of(session.provider.endpoints["authorization_endpoint"]),
            browser=browser,
            lives_s=tenant.consent_session_life_s,
        )


def opened(session: ConsentSession, column: str) -> Secret:
    """A sealed part of the session that must be there."""
    secret = open_at(table=sessions.TABLE, row_id=session.id, column=column)
    if secret is None:
        raise loading.missing()
    return secret


def back_url(session: ConsentSession, **params: str) -> str | None:
    """The application's return URL with our answer added; None when it named none."""
    if not session.return_url:
        return None
    ticket = opened(session, "ticket")
    custom = open_at(table=sessions.TABLE, row_id=session.id, column="custom_state")
    query = {"session_id": sessions.uri_of(ticket.reveal()), **params}
    if custom is not None:
        query["state"] = custom.reveal()
    joint = "&" if "?" in session.return_url else "?"
    return session.return_url + joint + urlencode(query)
