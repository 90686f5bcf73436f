"""Bindings between agents and providers: set, read, listed, removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.agents import queries as agents
from apps.agents.models import Agent
from apps.broker import contracts as c
from apps.broker import cursors
from apps.broker.consent.opening import check_scopes
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections import principals
from apps.connections.models import Principal
from apps.core import names
from apps.core.errors import Invalid, NotFound
from apps.policy.bindings import FLOWS
from apps.policy.models import Binding, BindingPrincipal
from apps.providers.models import Provider
from apps.tenants.models import Tenant
from apps.upstream.protocol.parameters import is_reserved

_MOST = 100
_LONGEST_LIFE_S = 366 * 86_400
_MOST_USES = 1_000_000


@handles(c.SetBinding)
def set_(command: c.SetBinding, work: Work) -> c.BindingView:
    _check(command)
    with work.change():
        work.require(names.agent(command.agent))
        agent = agents.by_name(command.agent)
        provider = find_provider(command.provider_id)
        row, told = put(command, agent, provider, work)
        work.note(agent=agent, provider=provider, **told)
        return view(row)


def find_provider(provider_id: UUID) -> Provider:
    """Raises NotFound, for a foreign one as for an absent one."""
    provider: Provider | None = Provider.objects.filter(id=provider_id).first()
    if provider is None:
        raise NotFound("There is no such credential provider.", reason="provider_not_found")
    return provider


def put(command: c.SetBinding, agent: Agent, provider: Provider, work: Work) -> tuple[Binding, dict[str, Any]]:
    """Write the whole binding, inside a scope. Returns it, and what its record says."""
    values: dict[str, Any] = {
        "flows": list(dict.fromkeys(command.flows)),
        "scope_ceiling": _sorted(command.scope_ceiling),
        "resources": _sorted(command.resources),
        "audiences": _sorted(command.audiences),
        "custom_parameters": _stored(command.custom_parameters),
        "people_listed": command.people is not None,
        "valid_from": command.valid_from,
        "valid_until": command.valid_until,
        "connection_life_s": command.connection_life_s,
        "connection_uses": command.connection_uses,
    }
    row: Binding
    row, _made = Binding.objects.update_or_create(agent=agent, provider=provider, defaults=values)
    BindingPrincipal.objects.filter(binding=row).delete()
    people = _principals(command.people or (), agent, work.caller.tenant_id)
    BindingPrincipal.objects.bulk_create(BindingPrincipal(binding=row, principal=one) for one in people)
    told: dict[str, Any] = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()
    }
    # Of custom parameters the names, of people the pseudonyms: the trail cannot forget.
    told["custom_parameters"] = sorted(command.custom_parameters) if command.custom_parameters is not None else None
    told["people"] = sorted(one.pseudonym for one in people) if command.people is not None else None
    return row, told


def _principals(people: Iterable[c.Who], agent: Agent, tenant_id: UUID) -> list[Principal]:
    key = Tenant.objects.get(id=tenant_id).pseudonym_key
    found: dict[UUID, Principal] = {}
    for who in people:
        subject = str(agent.id) if who.kind == "self" else who.subject
        if who.kind == "uid":
            subject = principals.checked_user_id(subject)
        row = principals.find_or_create(kind=who.kind, issuer=who.issuer, subject=subject, pseudonym_key=key)
        found[row.id] = row
    return list(found.values())


def view(row: Binding) -> c.BindingView:
    people = None
    if row.people_listed:
        listed = BindingPrincipal.objects.filter(binding_id=row.id).select_related("principal")
        people = tuple(
            c.Who(kind=p.kind, issuer=p.issuer, subject="" if p.kind == "self" else p.subject)
            for p in sorted((one.principal for one in listed), key=lambda p: (p.kind, p.issuer, p.subject))
        )
    custom = row.custom_parameters
    return c.BindingView(
        id=row.id,
        agent=row.agent.name,
        provider_id=row.provider_id,
        provider=row.provider.name,
        provider_kind=row.provider.kind,
        flows=tuple(row.flows),
        scope_ceiling=_tuple(row.scope_ceiling),
        resources=_tuple(row.resources),
        audiences=_tuple(row.audiences),
        custom_parameters=None if custom is None else {name: _tuple(values) for name, values in custom.items()},
        people=people,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        connection_life_s=row.connection_life_s,
        connection_uses=row.connection_uses,
        created_at=row.created_at,
    )


@handles(c.GetBinding)
def get(command: c.GetBinding, work: Work) -> c.BindingView:
    with work.change():
        work.require(names.DIRECTORY)
        row = _find(command.binding_id)
        work.note(agent=row.agent, provider=row.provider)
        return view(row)


@handles(c.ListBindings)
def list_(command: c.ListBindings, work: Work) -> c.Page:
    if not 1 <= command.limit <= 100:
        raise Invalid.field("limit", "Between 1 and 100.", reason="out_of_range")
    with work.change():
        work.require(names.DIRECTORY)
        rows: QuerySet[Any] = Binding.objects.select_related("agent", "provider").order_by("id")
        if command.agent is not None:
            rows = rows.filter(agent=agents.by_name(command.agent))
        if command.provider_id is not None:
            rows = rows.filter(provider=find_provider(command.provider_id))
        tenant_id = work.caller.tenant_id
        if command.cursor:
            rows = rows.filter(id__gt=UUID(cursors.read(tenant_id, "bindings", command.cursor)))
        found = list(rows[: command.limit + 1])
        shown = found[: command.limit]
        more = cursors.write(tenant_id, "bindings", str(shown[-1].id)) if len(found) > command.limit else None
        return c.Page(items=tuple(view(row) for row in shown), cursor=more)


@handles(c.DeleteBinding)
def delete(command: c.DeleteBinding, work: Work) -> None:
    with work.change():
        work.require(names.DIRECTORY)
        row = _find(command.binding_id)
        work.note(agent=row.agent, provider=row.provider)
        row.delete()


def _find(binding_id: UUID) -> Binding:
    row: Binding | None = Binding.objects.select_related("agent", "provider").filter(id=binding_id).first()
    if row is None:
        raise NotFound("There is no such binding.", reason="binding_not_found")
    return row


def _check(command: c.SetBinding) -> None:
    """Raises Invalid for what could not be meant so."""
    if set(command.flows) - set(FLOWS):
        raise Invalid.field("flows", f"Flows are {', '.join(FLOWS)}.", reason="flow_unknown")
    if command.scope_ceiling is not None:
        try:
            check_scopes(command.scope_ceiling)
        except Invalid as bad:
            raise Invalid.field("scope_ceiling", bad.public, reason=bad.reason) from bad
    for name in ("resources", "audiences"):
        values = getattr(command, name)
        if values is not None and (not values or len(values) > _MOST or any(not _word(v, 2048) for v in values)):
            raise Invalid.field(
                name, f"1 to {_MOST} values of 1 to 2048 characters, or no limit at all.", reason="limit_invalid"
            )
    _check_custom(command.custom_parameters)
    _check_people(command.people)
    for name in ("valid_from", "valid_until"):
        moment = getattr(command, name)
        if moment is not None and moment.tzinfo is None:
            raise Invalid.field(name, "A time needs its offset from UTC.", reason="limit_invalid")
    if command.valid_from and command.valid_until and command.valid_from >= command.valid_until:
        raise Invalid.field("valid_until", "The end comes after the beginning.", reason="limit_invalid")
    for name, low, high in (("connection_life_s", 60, _LONGEST_LIFE_S), ("connection_uses", 1, _MOST_USES)):
        number = getattr(command, name)
        if number is not None and not low <= number <= high:
            raise Invalid.field(name, f"Between {low} and {high}.", reason="out_of_range")


def _check_custom(custom: Mapping[str, tuple[str, ...] | None] | None) -> None:
    for name, values in (custom or {}).items():
        if not _word(name, 64) or is_reserved(name):
            raise Invalid.field(
                "custom_parameters", f"No request can carry the parameter {name[:64]!r}.", reason="reserved_parameter"
            )
        if values is not None and (not values or len(values) > _MOST or any(len(v) > 2048 for v in values)):
            raise Invalid.field(
                "custom_parameters", f"1 to {_MOST} values of at most 2048 characters.", reason="limit_invalid"
            )
    if custom is not None and len(custom) > _MOST:
        raise Invalid.field("custom_parameters", f"At most {_MOST} parameters.", reason="limit_invalid")


def _check_people(people: tuple[c.Who, ...] | None) -> None:
    if people is None:
        return
    if not people or len(people) > 10 * _MOST:
        raise Invalid.field("people", f"1 to {10 * _MOST} people, or everybody.", reason="limit_invalid")
    for who in people:
        right = {
            "self": not who.subject and not who.issuer,
            "uid": bool(who.subject) and not who.issuer,
            "jwt": _word(who.subject, 512) and _word(who.issuer, 2048),
        }.get(who.kind, False)
        if not right:
            raise Invalid.field(
                "people",
                "A person is self, uid with a user id, or jwt with issuer and subject.",
                reason="person_invalid",
            )


def _word(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isprintable() and text == text.strip()


def _sorted(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else sorted(set(values))


def _tuple(values: Any) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _stored(custom: Mapping[str, tuple[str, ...] | None] | None) -> dict[str, list[str] | None] | None:
    return None if custom is None else {name: _sorted(values) for name, values in sorted(custom.items())}
