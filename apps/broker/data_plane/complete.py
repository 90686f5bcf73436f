"""The application says who came back. Only then is the code exchanged."""

from __future__ import annotations

from collections.abc import Mapping

from apps.broker import contracts as c
from apps.broker.consent import loading, people, problems
from apps.broker.consent.decide import opened
from apps.broker.consent.exchange import announce, exchange
from apps.broker.data_plane import facts, persons
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections import principals, sessions
from apps.connections.models import ConsentSession
from apps.core import names
from apps.core.errors import Conflict, Invalid
from apps.core.secret import Secret
from apps.policy.conditions import USER_ID

Status = ConsentSession.Status


@handles(c.CompleteConsent)
def complete(command: c.CompleteConsent, work: Work) -> None:
    """Bind the consent to the person who started it, and store the tokens.

    Raises NotFound for a foreign or unknown session, Gone for an expired one, Conflict before the provider's
    answer and after completion, NotAllowed for the wrong person (the session survives five), and whatever the
    exchange raises.
    """
    if (command.jwt is None) == (command.user_id is None):
        raise Invalid.field("user_identifier", "Give exactly one of a user token and a user id.", reason="identifier")
    text = sessions.ticket_of(command.session_uri)
    digest = loading.digest_of(Secret(text or ""), work.caller.account_id)
    with work.look():
        session = sessions.by_digest(digest)
        if session is None:
            raise loading.missing()
        work.note(agent=session.agent, principal=session.principal, provider=session.provider, session=str(session.id))
        work.require_possible(names.DIRECTORY, names.agent(session.agent.name))
        facts.require_own_agent(session.agent, work)
        issuers = persons.trusted_for(session.agent)
    who, about = _who(command, issuers, work)
    with work.look():
        work.require(names.DIRECTORY, names.agent(session.agent.name), about=about)
    person = session.principal
    if who != (person.kind, person.issuer, person.subject):
        people.refuse_wrong_person(session, None, work)
    code = _consume(session, work)
    exchange(session, code, work)


def _who(
    command: c.CompleteConsent, issuers: list[persons.Trusted], work: Work
) -> tuple[tuple[str, str, str], Mapping[str, tuple[str, ...]]]:
    """Who the application says came back, and what conditions of grants can look at. Compared by namespace, issuer and
    subject; a re-issued token of the same person is fine."""
    if command.jwt is not None:
        who = persons.prove(command.jwt, issuers, work)
        return ("jwt", who.issuer, who.subject), who.about
    subject = principals.checked_user_id(command.user_id or "")
    return ("uid", "", subject), {USER_ID: (subject,)}


def _consume(session: ConsentSession, work: Work) -> Secret:
    """Take the code out, once."""
    expired = False
    with work.look():
        row = sessions.by_id(session.id, lock=True)
        if row is None:
            raise loading.missing()
        if row.status in ConsentSession.LIVE and row.expires_at <= work.now:
            sessions.end(row, Status.EXPIRED, "expired")
            expired = True
        elif row.status in (Status.PENDING, Status.APPROVED):
            raise Conflict("The person has not come back from the provider yet.", reason="consent_not_returned")
        elif row.status in (Status.COMPLETED, Status.EXCHANGING):
            raise Conflict("This consent request was completed already.", reason="consent_used")
        elif row.status != Status.RETURNED:
            if row.status == Status.EXPIRED:
                raise problems.gone("expired")
            raise problems.refusal(row.problem)
        else:
            loading.check_world(row)
            code = opened(row, "code")
            row.status = Status.EXCHANGING
            row.save(update_fields=["status", "updated_at"])
            announce(row, work)
    if expired:
        raise problems.gone("expired")
    return code
