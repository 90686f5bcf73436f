"""Members, principals and the issuers that prove them."""

from __future__ import annotations

from django.db.models import Q

from apps.authn.models import TrustedIssuer
from apps.broker import contracts as c
from apps.broker import cursors
from apps.broker.contracts_admin import (
    IssuerView,
    ListIssuers,
    ListMembers,
    ListPrincipals,
    MemberView,
    PrincipalView,
    ResumePrincipal,
    SuspendPrincipal,
)
from apps.broker.control_plane.lifecycle import checked_why
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections.models import Principal
from apps.core import names
from apps.core.errors import NotFound
from apps.tenants.models import Membership


@handles(ListMembers)
def members(command: ListMembers, work: Work) -> c.Page:
    """In order of e-mail."""

    def fetch(after: str, limit: int) -> list[Membership]:
        rows = Membership.objects.select_related("user").filter(tenant_id=work.caller.tenant_id, user__email__gt=after)
        return list(rows.order_by("user__email")[: limit + 1])

    with work.change():
        work.require(names.DIRECTORY)
        return cursors.paged(
            work.caller.tenant_id,
            "members",
            cursor=command.cursor,
            limit=command.limit,
            fetch=fetch,
            show=lambda row: MemberView(
                user_id=row.user_id,
                email=row.user.email,
                name=row.user.name,
                role=row.role,
                created_at=row.created_at,
            ),
            place=lambda row: row.user.email,
        )


@handles(ListPrincipals)
def principals(command: ListPrincipals, work: Work) -> c.Page:
    filters = {"kind": command.kind, "subject": command.subject}
    asked = {name: value for name, value in filters.items() if value is not None}

    def fetch(after: str, limit: int) -> list[Principal]:
        rows = Principal.objects.filter(**asked)
        if after:
            at, last = cursors.moment_of(after)
            rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=last))
        return list(rows.order_by("-created_at", "-id")[: limit + 1])

    with work.change():
        work.require(names.DIRECTORY)
        return cursors.paged(
            work.caller.tenant_id,
            cursors.kind_of("principals", **filters),
            cursor=command.cursor,
            limit=command.limit,
            fetch=fetch,
            show=lambda row: PrincipalView(
                id=row.id,
                kind=row.kind,
                issuer=row.issuer,
                subject=row.subject,
                pseudonym=row.pseudonym,
                status=row.status,
                created_at=row.created_at,
            ),
            place=lambda row: cursors.place_in_time(row.created_at, row.id),
        )


@handles(SuspendPrincipal)
def suspend(command: SuspendPrincipal, work: Work) -> None:
    with work.change():
        row = _principal(command, work)
        work.note(why=checked_why(command.why))
        # The epoch ends the workload tokens that are out already.
        row.status, row.epoch = "suspended", row.epoch + 1
        row.save(update_fields=["status", "epoch"])


@handles(ResumePrincipal)
def resume(command: ResumePrincipal, work: Work) -> None:
    with work.change():
        row = _principal(command, work)
        work.note(why=command.why.strip()[:500])
        row.status = "active"
        row.save(update_fields=["status"])


def _principal(command: SuspendPrincipal | ResumePrincipal, work: Work) -> Principal:
    work.require(names.DIRECTORY)
    row: Principal | None = Principal.objects.select_for_update().filter(id=command.principal_id).first()
    if row is None:
        raise NotFound("There is no such principal.", reason="principal_not_found")
    work.note(principal=row)
    return row


@handles(ListIssuers)
def issuers(command: ListIssuers, work: Work) -> c.Page:
    """In order of issuer."""

    def fetch(after: str, limit: int) -> list[TrustedIssuer]:
        rows = TrustedIssuer.objects.select_related("agent")
        if command.agent is not None:
            rows = rows.filter(agent__name=command.agent)
        if after:
            issuer, _, last = after.rpartition("|")
            rows = rows.filter(Q(issuer__gt=issuer) | Q(issuer=issuer, id__gt=last))
        return list(rows.order_by("issuer", "id")[: limit + 1])

    with work.change():
        work.require(names.DIRECTORY)
        return cursors.paged(
            work.caller.tenant_id,
            cursors.kind_of("issuers", agent=command.agent),
            cursor=command.cursor,
            limit=command.limit,
            fetch=fetch,
            show=lambda row: IssuerView(
                id=row.id,
                issuer=row.issuer,
                discovery_url=row.discovery_url,
                audiences=tuple(row.audiences),
                clients=tuple(row.clients),
                client_claims=tuple(row.client_claims),
                agent=row.agent.name if row.agent is not None else None,
                status=row.status,
                created_at=row.created_at,
                updated_at=row.updated_at,
            ),
            place=lambda row: f"{row.issuer}|{row.id}",
        )
