"""Access keys as administrators see them: never a secret."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from apps.authn.models import AccessKey
from apps.broker import contracts as c
from apps.broker import cursors
from apps.broker.contracts_admin import AccessKeyView, GetAccessKey, ListAccessKeys
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import NotFound
from apps.policy import conditions
from apps.policy.grants import Grant


def view(row: AccessKey) -> AccessKeyView:
    return AccessKeyView(
        id=row.id,
        access_key_id=row.key_id,
        label=row.label,
        status=row.status,
        full_access=row.full_access,
        agent=row.agent.name if row.agent is not None else None,
        grants=tuple(
            Grant(one.action, one.resource, conditions.read(one.conditions))
            for one in sorted(row.grants.all(), key=lambda one: (one.action, one.resource))
        ),
        expires_at=row.expires_at,
        created_at=row.created_at,
    )


def _rows() -> QuerySet[AccessKey]:
    rows: QuerySet[AccessKey] = AccessKey.objects.select_related("agent").prefetch_related("grants")
    return rows


@handles(ListAccessKeys)
def list_(command: ListAccessKeys, work: Work) -> c.Page:
    def fetch(after: str, limit: int) -> list[AccessKey]:
        rows = _rows()
        if after:
            at, last = cursors.moment_of(after)
            rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=last))
        return list(rows.order_by("-created_at", "-id")[: limit + 1])

    with work.change():
        work.require(names.VAULT)
        return cursors.paged(
            work.caller.tenant_id,
            "access_keys",
            cursor=command.cursor,
            limit=command.limit,
            fetch=fetch,
            show=view,
            place=lambda row: cursors.place_in_time(row.created_at, row.id),
        )


@handles(GetAccessKey)
def get(command: GetAccessKey, work: Work) -> AccessKeyView:
    with work.change():
        work.require(names.VAULT)
        row = _rows().filter(key_id=command.access_key_id).first()
        if row is None:
            raise NotFound("There is no such access key.", reason="access_key_not_found")
        work.note(access_key_id=row.key_id)
        return view(row)
