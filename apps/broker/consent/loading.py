"""Find the session a page is about, and refuse in words when it cannot go on."""

from __future__ import annotations

from apps.broker.consent import problems
from apps.broker.work import Work
from apps.connections import sessions
from apps.connections.models import ConsentSession
from apps.core import clock, tickets
from apps.core.errors import NotFound, Unauthenticated
from apps.core.secret import Secret
from apps.policy import facts
from apps.policy.bindings import FOR_PERSON, Use, may_use
from apps.policy.clauses import Deny
from apps.tenants.models import Tenant
from apps.tenants.scope import current_tenant_id

_GONE = {
    ConsentSession.Status.COMPLETED: "used",
    ConsentSession.Status.RETURNED: "used",
    ConsentSession.Status.EXCHANGING: "used",
    ConsentSession.Status.DENIED: "used",
    ConsentSession.Status.EXPIRED: "expired",
    ConsentSession.Status.SUPERSEDED: "superseded",
}


def digest_of(ticket: Secret, account_id: str) -> bytes:
    """Raises NotFound for anything that is not a session of this tenant."""
    try:
        read = tickets.read(tickets.Kind.CONSENT_SESSION, ticket.reveal())
    except Unauthenticated as bad:
        raise missing() from bad
    if read.account_id != account_id:
        raise missing()
    return read.digest


def missing() -> NotFound:
    return NotFound("There is no such consent request.", reason="session_not_found")


def load_open(ticket: Secret, work: Work, *, lock: bool = False) -> ConsentSession:
    """The session, still waiting for its person. Inside a scope.

    Raises NotFound, Gone (`consent_used`, `consent_expired`, `consent_superseded`) or NotAllowed.
    """
    session = sessions.by_digest(digest_of(ticket, work.caller.account_id), lock=lock)
    if session is None:
        raise missing()
    work.note(agent=session.agent, principal=session.principal, provider=session.provider, session=str(session.id))
    if session.status in ConsentSession.LIVE and session.expires_at <= work.now:
        raise problems.gone("expired")
    if session.status in _GONE:
        raise problems.gone(_GONE[ConsentSession.Status(session.status)])
    if session.status == ConsentSession.Status.FAILED:
        raise problems.refusal(session.problem)
    check_world(session)
    return session


def check_world(session: ConsentSession) -> None:
    """What the request rests on must still be as it was. Raises NotAllowed, NotFound for an ended tenant."""
    tenant = Tenant.objects.get(id=current_tenant_id())
    if tenant.status != Tenant.Status.ACTIVE:
        raise missing()
    if session.agent.status != "active":
        raise problems.refusal("agent_suspended")
    if session.provider.status != "active":
        raise problems.refusal("provider_gone")
    if session.provider.config_version != session.provider_config_version:
        raise problems.refusal("provider_changed")
    if session.principal.status != "active":
        raise problems.refusal("wrong_user")
    asked = Use(
        flow=FOR_PERSON,
        scopes=frozenset(session.scopes),
        resources=frozenset(session.params.get("resources", ())),
        audiences=frozenset(session.params.get("audiences", ())),
        custom=session.params.get("custom", {}),
        principal=session.principal_id,
    )
    binding = facts.binding(session.agent_id, session.provider_id)
    closed = tenant.binding_mode == Tenant.BindingMode.CLOSED
    if isinstance(may_use(closed=closed, binding=binding, use=asked, now=clock.now()), Deny):
        raise problems.refusal("not_bound")
