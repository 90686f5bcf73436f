"""Connections as administrators see them: never a token."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from apps.broker import contracts as c
from apps.broker import cursors
from apps.broker.contracts_admin import ConnectionView, GetConnection, ListConnections
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections.models import Connection
from apps.core import names
from apps.core.errors import NotFound


def view(row: Connection) -> ConnectionView:
    params = row.params
    return ConnectionView(
        id=row.id,
        agent=row.agent.name,
        principal=row.principal.pseudonym,
        principal_id=row.principal_id,
        provider=row.provider.name,
        flow=row.flow,
        status=row.status,
        status_reason=row.status_reason,
        requested_scopes=tuple(row.requested_scopes),
        granted_scopes=tuple(row.granted_scopes),
        reduced=row.reduced,
        renewable=row.has_refresh_token,
        resources=tuple(params.get("resources") or ()),
        audiences=tuple(params.get("audiences") or ()),
        custom_parameters=tuple(sorted(params.get("custom") or ())),
        access_expires_at=row.access_expires_at,
        consented_at=row.consented_at,
        expires_at=row.expires_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _rows() -> QuerySet[Connection]:
    rows: QuerySet[Connection] = Connection.objects.select_related("agent", "principal", "provider")
    return rows


@handles(ListConnections)
def list_(command: ListConnections, work: Work) -> c.Page:
    filters = {
        "agent__name": command.agent,
        "provider__name": command.provider,
        "status": command.status,
        "principal_id": command.principal_id,
    }
    asked = {name: value for name, value in filters.items() if value is not None}

    def fetch(after: str, limit: int) -> list[Connection]:
        rows = _rows().filter(**asked)
        if after:
            at, last = cursors.moment_of(after)
            rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=last))
        return list(rows.order_by("-created_at", "-id")[: limit + 1])

    with work.change():
        work.require(names.VAULT)
        return cursors.paged(
            work.caller.tenant_id,
            cursors.kind_of("connections", **filters),
            cursor=command.cursor,
            limit=command.limit,
            fetch=fetch,
            show=view,
            place=lambda row: cursors.place_in_time(row.created_at, row.id),
        )


@handles(GetConnection)
def get(command: GetConnection, work: Work) -> ConnectionView:
    with work.change():
        work.require(names.VAULT)
        row = _rows().filter(id=command.connection_id).first()
        if row is None:
            raise NotFound("There is no such connection.", reason="connection_not_found")
        work.note(agent=row.agent, principal=row.principal, provider=row.provider, connection_id=row.id)
        return view(row)
