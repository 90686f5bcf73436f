"""The tenant itself, its trail, and who is asking."""

from __future__ import annotations

from dataclasses import replace

from django.db.models import Q

from apps.audit.models import AuditRecord
from apps.authn.api_scopes import actions_of
from apps.authn.caller import CallerKind
from apps.broker import contracts as c
from apps.broker import cursors
from apps.broker.contracts_admin import (
    AuditEventView,
    CallerView,
    DescribeCaller,
    GetTenant,
    ListAuditEvents,
    TenantView,
)
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import Unauthenticated
from apps.policy import facts
from apps.policy.permissions import ROLE_ACTIONS
from apps.tenants.models import Tenant


@handles(GetTenant)
def get(command: GetTenant, work: Work) -> TenantView:
    with work.change():
        work.require(names.VAULT)
        row = Tenant.objects.get(id=work.caller.tenant_id)
        return TenantView(
            id=row.id,
            slug=row.slug,
            name=row.name,
            account_id=row.account_id,
            status=row.status,
            binding_mode=row.binding_mode,
            claim_user_ids=row.claim_user_ids,
            workload_token_life_s=row.workload_token_life_s,
            consent_session_life_s=row.consent_session_life_s,
            stale_issuer_keys_s=row.stale_issuer_keys_s,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


@handles(DescribeCaller)
def describe(command: DescribeCaller, work: Work) -> CallerView:
    """Asking who one is needs no right, but a credential that still holds."""
    caller = work.caller
    if ended := work.ended():
        raise ended
    with work.change():
        work.proven_by_possession()
        tenant = Tenant.objects.get(id=caller.tenant_id)
        plain = CallerView(
            kind=caller.kind.value,
            name=caller.name,
            proof=caller.proof,
            tenant=tenant.slug,
            account_id=tenant.account_id,
            scopes=None if caller.scopes is None else tuple(sorted(caller.scopes)),
        )
        of_token = None if caller.scopes is None else actions_of(caller.scopes)
        if caller.kind is CallerKind.ACCESS_KEY:
            key = facts.of_key(caller.row_id) if caller.row_id else None
            if key is None:
                raise Unauthenticated(reason="access_key_gone")
            return replace(
                plain,
                full_access=key.full_access,
                grants=tuple(sorted(key.grants, key=lambda one: (one.action, one.resource))),
            )
        if caller.kind is not CallerKind.PERSON:
            return replace(plain, actions=tuple(sorted(of_token or ())))
        role = facts.role_of(caller.row_id, caller.tenant_id) if caller.row_id else None
        may = ROLE_ACTIONS.get(role or "", frozenset())
        return replace(plain, role=role, actions=tuple(sorted(may if of_token is None else may & of_token)))


@handles(ListAuditEvents)
def events(command: ListAuditEvents, work: Work) -> c.Page:
    filters = {
        "action": command.event_action,
        "outcome": command.outcome,
        "agent_name": command.agent,
        "provider_name": command.provider,
        "actor": command.actor,
        "request_id": command.request_id,
        "at__gte": command.since,
        "at__lt": command.until,
    }
    asked = {name: value for name, value in filters.items() if value is not None}

    def fetch(after: str, limit: int) -> list[AuditRecord]:
        rows = AuditRecord.objects.filter(**asked)
        if after:
            at, last = cursors.moment_of(after)
            rows = rows.filter(Q(at__lt=at) | Q(at=at, id__lt=last))
        return list(rows.order_by("-at", "-id")[: limit + 1])

    with work.change():
        work.require(names.VAULT)
        return cursors.paged(
            work.caller.tenant_id,
            cursors.kind_of("audit", **filters),
            cursor=command.cursor,
            limit=command.limit,
            fetch=fetch,
            show=_event,
            place=lambda row: cursors.place_in_time(row.at, row.id),
        )


def _event(row: AuditRecord) -> AuditEventView:
    return AuditEventView(
        id=row.id,
        at=row.at,
        action=row.action,
        outcome=row.outcome,
        reason=row.reason,
        actor_kind=row.actor_kind,
        actor=row.actor,
        proof=row.proof,
        agent=row.agent_name,
        on_behalf_of=row.on_behalf_of,
        provider=row.provider_name,
        connection_id=row.connection_id,
        details=row.details,
        request_id=row.request_id,
        source_ip=row.source_ip,
    )
