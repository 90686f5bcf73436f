"""Is the person at the browser the one this consent is for?"""

from __future__ import annotations

from uuid import UUID

from apps.broker.consent.problems import refusal
from apps.broker.work import Work
from apps.connections import sessions
from apps.connections.models import ConsentSession, PrincipalLink
from apps.tenants.models import Membership, Tenant

Verdict = str  # "yes", "sign_in", "claim", "no"


def judge(session: ConsentSession, user_id: UUID | None, tenant: Tenant) -> Verdict:
    """Compare the portal account with the session's principal.

    Application-verified: an absent or unlinked account may go on (the application vouches later), an account
    linked to another principal may not. Portal-verified: the account must be this principal's; in a tenant
    that lets user ids be claimed, a member may claim one nobody is linked to.
    """
    portal = session.binding == ConsentSession.Binding.PORTAL
    if user_id is None:
        return "sign_in" if portal else "yes"
    owner = PrincipalLink.objects.filter(principal_id=session.principal_id).values_list("user_id", flat=True).first()
    if owner is not None:
        return "yes" if owner == user_id else "no"
    linked_elsewhere = PrincipalLink.objects.filter(
        user_id=user_id, principal__kind=session.principal.kind, principal__issuer=session.principal.issuer
    ).exists()
    if not portal:
        return "no" if linked_elsewhere else "yes"
    may_claim = (
        tenant.claim_user_ids
        and session.principal.kind == "uid"
        and Membership.objects.filter(tenant=tenant, user_id=user_id).exists()
    )
    return "claim" if may_claim else "no"


def refuse_wrong_person(session: ConsentSession, user_id: UUID | None, work: Work) -> None:
    """Record the attempt; the session survives five. Raises NotAllowed. Call it outside any scope."""
    with work.look():
        row = sessions.by_id(session.id, lock=True)
        if row is not None and row.status in ConsentSession.LIVE:
            row.attempts += 1
            row.save(update_fields=["attempts"])
            if row.attempts >= sessions.MAX_ATTEMPTS:
                sessions.end(row, ConsentSession.Status.FAILED, "too_many_attempts")
        work.also(
            "consent.wrong_user",
            outcome="denied",
            reason="binding_mismatch",
            session=str(session.id),
            expected=session.principal.pseudonym,
            account=str(user_id) if user_id else "",
        )
    raise refusal("wrong_user")


def claim(session: ConsentSession, user_id: UUID, work: Work) -> None:
    """Link the signed-in account to the user id, for good. Inside a scope."""
    PrincipalLink.objects.create(principal=session.principal, user_id=user_id)
    work.also("principal.link", principal=session.principal.pseudonym, account=str(user_id), claimed=True)
