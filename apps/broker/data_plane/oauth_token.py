"""OAuth access tokens, the slow path: renew, ask the person, or say why not.

A stored token that may simply be had was answered in one round trip (`hot_path`). This module decides the
rest, and is the reference the fast path must agree with.
"""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from apps.authn.workload import Proven
from apps.broker import contracts as c
from apps.broker.consent import opening, problems
from apps.broker.data_plane import facts, machine
from apps.broker.run import handles
from apps.broker.upkeep import renewal
from apps.broker.upkeep.asking import refresh_with
from apps.broker.work import Work
from apps.connections import principals, sessions, uses
from apps.connections.models import Connection, ConsentSession
from apps.connections.params import RequestParams
from apps.core import clock, names, tickets
from apps.core.errors import (
    Invalid,
    NotAllowed,
    NotSupported,
    PortalError,
    SealBroken,
    Unauthenticated,
    UpstreamUnavailable,
)
from apps.core.secret import Secret
from apps.policy import facts as policy_facts
from apps.policy.bindings import BindingFacts, consent_clauses, flow_clauses, person_clauses
from apps.policy.clauses import Deny, decide
from apps.providers.models import Provider
from apps.vault.opening import open_at

Outcome = c.TokenReleased | c.ConsentNeeded | c.ConsentFailed


@handles(c.FetchOAuthToken)
def fetch(command: c.FetchOAuthToken, work: Work) -> Outcome:
    work.note(
        provider_name=command.provider, flow=command.flow.value, scopes=sorted(command.scopes), forced=command.force
    )
    if command.resources or command.audiences or command.custom_parameters:
        # Names only: the values of custom parameters are the application's.
        names_ = sorted(command.custom_parameters)
        work.note(resources=sorted(command.resources), audiences=sorted(command.audiences), custom_parameters=names_)
    with work.look():
        proven, provider, bound = _allowed(command, work)
    if command.flow is c.Flow.M2M:
        return machine.fetch(command, work, proven, provider, bound)
    if isinstance(decide(person_clauses(command.flow.value, for_itself=proven.principal.kind == "self")), Deny):
        raise Invalid(
            "USER_FEDERATION needs a workload access token that names a person. Get one with "
            "GetWorkloadAccessTokenForJWT or GetWorkloadAccessTokenForUserId.",
            reason="no_person",
        )
    return _for_person(command, work, proven, provider, bound)


def _allowed(command: c.FetchOAuthToken, work: Work) -> tuple[Proven, Provider, BindingFacts | None]:
    """Everything the call rests on, as it is now. Inside a scope. Raises PortalError with the first thing missing."""
    proven = facts.prove(command.workload_token, work)
    if command.flow is c.Flow.M2M:
        _acts_for_itself(proven, work)
    work.require(names.DIRECTORY, names.agent(proven.agent.name), names.VAULT, names.oauth_provider(command.provider))
    facts.require_own_agent(proven.agent, work)
    provider = facts.provider("oauth2", command.provider, work)
    if isinstance(decide(flow_clauses(command.flow.value)), Deny):
        raise NotSupported(
            "On-behalf-of token exchange is not available yet. Use USER_FEDERATION or M2M.", reason="obo_unsupported"
        )
    bound = facts.require_binding(proven, provider, facts.use_of(command, proven), work)
    return proven, provider, bound


def _acts_for_itself(proven: Proven, work: Work) -> None:
    """A machine's token carries no right of a person's: the record says that the agent acted for itself.

    Whom the workload token names, if anybody, stays in the details; a report on what was done for that person must
    not count what they never consented to.
    """
    if proven.principal.kind == "self":
        return
    own = principals.pseudonym(proven.tenant.pseudonym_key, kind="self", issuer="", subject=str(proven.agent.id))
    work.note(pseudonym=own, workload_token_of=proven.principal.pseudonym)


def _for_person(
    command: c.FetchOAuthToken, work: Work, proven: Proven, provider: Provider, bound: BindingFacts | None
) -> Outcome:
    params = RequestParams(custom=command.custom_parameters, resources=command.resources, audiences=command.audiences)
    with work.look():
        polled = _polled_session(command, work, proven, provider)
        row = _match(proven, provider, params)
    waiting_for_forced = polled is not None and polled.forced and polled.status != ConsentSession.Status.COMPLETED
    # A poll that repeats forceAuthentication is still a poll: it opens nothing new.
    forced_anew = command.force and polled is None
    if row is not None and not forced_anew and not waiting_for_forced and _covers(row, command, provider, bound, work):
        released = _release(row, command, work, bound)
        if released is not None:
            return released
    if polled is not None:
        return _answer_poll(polled, command, work)
    return opening.open_for(command, work, proven, provider, params, bound)


def _match(proven: Proven, provider: Provider, params: RequestParams) -> Connection | None:
    return (
        Connection.objects.select_related("provider")
        .filter(
            agent=proven.agent,
            principal=proven.principal,
            provider=provider,
            flow=Connection.Flow.USER_FEDERATION,
            params_digest=params.digest(),
        )
        .first()
    )


def _covers(
    row: Connection, command: c.FetchOAuthToken, provider: Provider, bound: BindingFacts | None, work: Work
) -> bool:
    """A completed consent satisfies what it requested, as long as nothing under it changed and it is not used up."""
    consent = policy_facts.consent(row, config_version=provider.config_version)
    decision = decide(consent_clauses(consent, binding=bound, scopes=frozenset(command.scopes), now=work.now))
    if isinstance(decision, Deny):
        work.note(consent_missing=decision.reason)
    return not isinstance(decision, Deny)


def _release(
    row: Connection, command: c.FetchOAuthToken, work: Work, bound: BindingFacts | None
) -> c.TokenReleased | None:
    """The connection's token, renewed if due. None: the person has to consent again."""
    facts.require_granted_below_ceiling(row.granted_scopes, bound, work)
    if not renewal.is_fresh(row):
        try:
            result = renewal.renew(row.id, work, prepare=refresh_with)
        except (UpstreamUnavailable, PortalError) as failed:
            if not renewal.still_valid(row):
                raise
            if isinstance(failed, SealBroken):
                work.seal_broken(failed, renewal_of=str(row.id))
            work.note(renewal_failed=failed.reason)
            result = renewal.Renewed(by_us=False)
        lost = isinstance(result, renewal.ConsentLost)
        if lost and not (result == renewal.ConsentLost("no_refresh_token") and renewal.still_valid(row)):
            return None
    return release_now(row, command, work)


def release_now(row: Connection, command: c.FetchOAuthToken, work: Work) -> c.TokenReleased | None:
    """Open the token and commit the record before it leaves.

    The provider may have taken seconds to answer: whatever can end the caller's right is read once more, and the
    ceiling looks at what a renewal just granted.
    """
    work.now = clock.now()
    try:
        with work.change():
            return _open_now(row.id, command, work)
    except _NotFromHere:
        return None


class _NotFromHere(Exception):
    """The connection cannot serve the call any more. Raised to leave `change` without a change and without a record."""


def _open_now(connection_id: UUID, command: c.FetchOAuthToken, work: Work) -> c.TokenReleased:
    _, provider, bound = _allowed(command, work)
    current = Connection.objects.filter(id=connection_id).first()
    if current is None or current.status != Connection.Status.ACTIVE:
        raise _NotFromHere
    if provider.config_version != current.provider_config_version:
        raise _NotFromHere
    facts.require_granted_below_ceiling(current.granted_scopes, bound, work)
    if command.flow is c.Flow.USER_FEDERATION:
        if not _covers(current, command, provider, bound, work):
            raise _NotFromHere
        left = uses.take(current.id, most=bound.uses if bound else None)
        if left is uses.USED_UP:
            raise _NotFromHere
        if left is not None:
            work.note(uses_left=left)
    work.note(connection_id=current.id)
    token = open_at(table="connections_connection", row_id=current.id, column="access_token")
    if token is None:
        raise _NotFromHere
    return c.TokenReleased(access_token=Secret(token.reveal()))


def _polled_session(
    command: c.FetchOAuthToken, work: Work, proven: Proven, provider: Provider
) -> ConsentSession | None:
    """The session a poll names. Raises NotAllowed for one that is not this agent's and person's."""
    if command.session_uri is None:
        return None
    foreign = NotAllowed(
        "This session does not belong to this workload identity, person and provider, or does not exist. "
        "Ask again without a session.",
        reason="session_foreign",
    )
    text = sessions.ticket_of(command.session_uri)
    try:
        ticket = tickets.read(tickets.Kind.CONSENT_SESSION, text or "")
    except Unauthenticated as bad:
        raise foreign from bad
    if ticket.account_id != work.caller.account_id:
        raise foreign
    session = sessions.by_digest(ticket.digest, lock=True)
    if (
        session is None
        or session.agent_id != proven.agent.id
        or session.principal_id != proven.principal.id
        or session.provider_id != provider.id
    ):
        raise foreign
    sessions.expire_if_due(session, work.now)
    return session


def _answer_poll(session: ConsentSession, command: c.FetchOAuthToken, work: Work) -> Outcome:
    uri = command.session_uri or ""
    ticket = sessions.ticket_of(uri) or ""
    if session.status in ConsentSession.LIVE:
        with work.change():
            work.note(session=str(session.id), poll=True)
        return c.ConsentNeeded(authorization_url=opening.url_of(ticket), session_uri=uri, session_id=session.id)
    if session.status == ConsentSession.Status.COMPLETED:
        problem = "used"
    else:
        problem = session.problem or session.status
    if settings.STRICT_SESSION_STATUS:
        with work.change():
            work.note(session=str(session.id), poll=True, problem=problem)
        return c.ConsentFailed(session_uri=uri)
    raise problems.refusal(problem)
