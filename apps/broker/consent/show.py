"""What a person sees before deciding. Showing it changes nothing."""

from __future__ import annotations

from apps.broker import contracts as c
from apps.broker.consent import loading, people, words
from apps.broker.consent.opening import host_of
from apps.broker.providers_upstream import provider_title
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections.models import Connection
from apps.policy import facts
from apps.tenants.models import Tenant


@handles(c.ShowConsent)
def show(command: c.ShowConsent, work: Work) -> c.ConsentPage:
    """Raises NotFound, Gone or NotAllowed; for the wrong person NotAllowed `consent_wrong_user`."""
    with work.look():
        work.proven_by_possession()
        session = loading.load_open(command.ticket, work)
        tenant = Tenant.objects.get(id=work.caller.tenant_id)
        verdict = people.judge(session, command.user_id, tenant)
        granted = set(
            Connection.objects.filter(
                agent=session.agent, principal=session.principal, provider=session.provider, status="active"
            )
            .values_list("requested_scopes", flat=True)
            .first()
            or ()
        )
    if verdict == "no":
        people.refuse_wrong_person(session, command.user_id, work)
    with work.change():
        work.note(verdict=verdict)
        bound = facts.binding(session.agent_id, session.provider_id)
    new = [s for s in session.scopes if s not in granted] or list(session.scopes)
    return c.ConsentPage(
        agent_name=session.agent.name,
        agent_description=session.agent.description,
        owner_name=str(session.agent.owner) if session.agent.owner else "",
        tenant_name=tenant.name,
        provider_name=session.provider.name,
        provider_title=provider_title(session.provider),
        provider_host=host_of(session.provider.endpoints["authorization_endpoint"]),
        scopes=words.lines(new),
        already_granted=tuple(sorted(set(session.scopes) - set(new))),
        return_host=host_of(session.return_url) or session.return_url if session.return_url else None,
        expires_at=session.expires_at,
        reference=work.caller.request_id,
        needs_sign_in=verdict == "sign_in",
        claims_user_id=verdict == "claim",
        max_life_s=int(bound.life.total_seconds()) if bound and bound.life is not None else None,
    )
