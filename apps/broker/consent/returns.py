"""The provider sent the browser back. Everything about the answer is suspect until it fits one session."""

from __future__ import annotations

from apps.broker import contracts as c
from apps.broker.consent import loading, people, problems
from apps.broker.consent.decide import back_url
from apps.broker.consent.exchange import announce, exchange
from apps.broker.providers_upstream import provider_title, read_callback
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections import sessions
from apps.connections.models import ConsentSession
from apps.core import tickets
from apps.core.errors import NotFound, PortalError, Unauthenticated
from apps.core.secret import Secret
from apps.providers.models import Provider
from apps.tenants.models import Tenant
from apps.upstream.protocol.callback import CallbackCode, CallbackError

Status = ConsentSession.Status


class CallbackRejected(PortalError):
    """The page says no more than that; the record has the reason."""


def _rejected(reason: str, *, public: str | None = None) -> CallbackRejected:
    from apps.core.errors import Code

    return CallbackRejected(public or problems.SENTENCES["callback_invalid"], reason=reason, code=Code.INVALID)


@handles(c.HandleCallback)
def handle(command: c.HandleCallback, work: Work) -> c.SentBack | c.Connected:
    """State is consumed before anything else happens, and before any code is exchanged."""
    work.proven_by_possession()
    try:
        session, code = _accept(command, work)
    except CallbackRejected as rejected:
        with work.look():
            work.also("oauth.callback_rejected", outcome="denied", reason=rejected.reason)
        raise
    if session.binding == ConsentSession.Binding.APPLICATION:
        with work.change():
            url = back_url(session)
        if url is None:
            raise _rejected("return_url_missing")
        return c.SentBack(url=url)
    made = exchange(session, code, work)
    return c.Connected(
        agent_name=session.agent.name,
        provider_title=provider_title(session.provider),
        reduced=made.reduced,
        missing_scopes=tuple(sorted(set(made.requested_scopes) - set(made.granted_scopes))) if made.reduced else (),
    )


def _accept(command: c.HandleCallback, work: Work) -> tuple[ConsentSession, Secret]:
    with work.look():
        provider = Provider.objects.filter(callback_id=command.callback_id).first()
        if provider is None:
            raise NotFound("There is no such address.", reason="callback_unknown")
        work.note(provider=provider)
        digest = _state_digest(command, work)
        refused: tuple[str, ConsentSession | None] | None = None
        # Read the parameters by this provider's rules before the state is used up: a malformed answer that
        # carries a real state still ends that request.
        answer, malformed = None, ""
        try:
            answer = read_callback(provider, command.query)
        except PortalError as bad:
            malformed = bad.reason
        session = sessions.consume_state(digest, becomes=Status.EXCHANGING)
        if session is None:
            raise _rejected("state_invalid")
        work.note(agent=session.agent, principal=session.principal, session=str(session.id))
        if session.expires_at <= work.now:
            sessions.end(session, Status.EXPIRED, "expired")
            refused = ("state_invalid", session)
        elif session.provider_id != provider.id:
            # Somebody mixed two providers up (RFC 9700 4.4): close this request and every open one at the other.
            sessions.end(session, Status.FAILED, "callback_invalid")
            for other in ConsentSession.objects.filter(
                provider=provider, agent=session.agent, principal=session.principal, status=Status.APPROVED
            ):
                sessions.end(other, Status.FAILED, "callback_invalid")
            refused = ("provider_mismatch", session)
        elif not _same_browser(session, command.browser):
            sessions.end(session, Status.FAILED, "callback_invalid")
            refused = ("browser_mismatch", session)
        elif malformed:
            sessions.end(session, Status.FAILED, "callback_invalid")
            refused = (malformed, session)
        elif session.binding == ConsentSession.Binding.PORTAL and isinstance(answer, CallbackCode):
            announce(session, work)
    if refused is not None:
        raise _rejected(refused[0])
    if answer is None:
        raise _rejected(malformed or "malformed_callback")
    _check_world(session, work)
    if isinstance(answer, CallbackError):
        _provider_said_no(session, answer, work)
    with work.look():
        verdict = people.judge(session, command.user_id, Tenant.objects.get(id=work.caller.tenant_id))
    if verdict != "yes":
        # The right person may still come with the same link: back to the start, without the code.
        with work.look():
            row = sessions.by_id(session.id, lock=True)
            if row is not None and row.status == Status.EXCHANGING:
                row.status = Status.PENDING
                row.save(update_fields=["status", "updated_at"])
        people.refuse_wrong_person(session, command.user_id, work)
    if session.binding == ConsentSession.Binding.APPLICATION:
        with work.look():
            row = sessions.by_id(session.id, lock=True)
            if row is None or row.status != Status.EXCHANGING:
                raise problems.refusal("superseded")
            sessions.keep(row, "code", answer.code)  # type: ignore[union-attr]
            row.status = Status.RETURNED
            row.save(update_fields=["status", "updated_at"])
    return session, answer.code  # type: ignore[union-attr]


def _state_digest(command: c.HandleCallback, work: Work) -> bytes:
    states = [value for name, value in command.query if name == "state"]
    if len(states) != 1:
        raise _rejected("state_invalid" if not states else "malformed_callback")
    try:
        ticket = tickets.read(tickets.Kind.STATE, states[0])
    except Unauthenticated as bad:
        raise _rejected("state_invalid") from bad
    if ticket.account_id != work.caller.account_id:
        raise _rejected("state_invalid")
    return ticket.digest


def _same_browser(session: ConsentSession, browser: Secret | None) -> bool:
    """The browser that approved must be the one that comes back; a missing cookie is not a matching one."""
    if browser is None or session.browser_digest is None:
        return False
    return tickets.digest_of(tickets.Kind.BROWSER, browser.reveal()) == bytes(session.browser_digest)


def _check_world(session: ConsentSession, work: Work) -> None:
    try:
        with work.look():
            loading.check_world(session)
    except PortalError as changed:
        with work.look():
            row = sessions.by_id(session.id, lock=True)
            if row is not None:
                sessions.end(row, Status.FAILED, changed.reason.removeprefix("consent_"))
        raise


def _provider_said_no(session: ConsentSession, answer: CallbackError, work: Work) -> None:
    declined = answer.error in ("access_denied", "consent_required", "interaction_required", "login_required")
    problem = "provider_denied" if declined else "provider_error"
    with work.look():
        row = sessions.by_id(session.id, lock=True)
        back = back_url(session, error="access_denied" if declined else "server_error")
        if row is not None:
            sessions.end(row, Status.DENIED if declined else Status.FAILED, problem)
        work.note(provider_error=answer.error)
    raise ProviderDeclined(problem, back)


class ProviderDeclined(PortalError):
    """The provider's page ended with a no. `return_to` is where the application waits, if it named a place."""

    def __init__(self, problem: str, return_to: str | None) -> None:
        from apps.core.errors import Code

        super().__init__(problems.SENTENCES[problem], reason=f"consent_{problem}", code=Code.NOT_ALLOWED)
        self.return_to = return_to
