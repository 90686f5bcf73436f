"""Tags on agents, credential providers and the vault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from apps.agents.models import Agent
from apps.broker import contracts as c
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import Invalid, NotFound, QuotaExceeded
from apps.providers.models import Provider
from apps.tenants.models import Tenant

_MAX = 50


class _Tagged(Protocol):
    def save(self, *, update_fields: list[str]) -> None: ...


def _find(arn: str, work: Work) -> tuple[_Tagged, str]:
    """The row behind a resource name and the field its tags are in. Foreign and absent are the same NotFound."""
    parsed = names.parse(arn)
    missing = NotFound("There is no such resource.", reason="resource_not_found")
    if parsed is None or parsed.account_id != work.caller.account_id:
        raise missing
    row: Agent | Provider | Tenant | None
    match parsed.kind:
        case "agent" | "runtime":
            row = Agent.objects.select_for_update().filter(name=parsed.name).first()
        case "oauth_provider" | "api_key_provider":
            kind = Provider.Kind.OAUTH2 if parsed.kind == "oauth_provider" else Provider.Kind.API_KEY
            row = Provider.objects.select_for_update().filter(kind=kind, name=parsed.name).first()
        case _:
            return Tenant.objects.select_for_update().get(id=work.caller.tenant_id), "vault_tags"
    if row is None:
        raise missing
    return row, "tags"


def _path(arn: str) -> str:
    return arn.split(":", 5)[-1]


def _tags(row: _Tagged, field: str) -> dict[str, str]:
    return dict(getattr(row, field))


def _save(row: _Tagged, field: str, tags: Mapping[str, str]) -> None:
    setattr(row, field, dict(tags))
    row.save(update_fields=[field])


@handles(c.TagResource)
def tag(command: c.TagResource, work: Work) -> None:
    with work.change():
        work.require(_path(command.arn))
        row, field = _find(command.arn, work)
        merged = {**_tags(row, field), **command.tags}
        if any(key.startswith("aws:") for key in command.tags):
            raise Invalid.field("tags", "Tag keys starting with aws: are reserved.", reason="tag_reserved")
        if len(merged) > _MAX:
            raise QuotaExceeded(f"A resource has at most {_MAX} tags.", reason="too_many_tags")
        work.note(resource=command.arn, keys=sorted(command.tags))
        _save(row, field, merged)


@handles(c.UntagResource)
def untag(command: c.UntagResource, work: Work) -> None:
    with work.change():
        work.require(_path(command.arn))
        row, field = _find(command.arn, work)
        work.note(resource=command.arn, keys=sorted(command.keys))
        _save(row, field, {k: v for k, v in _tags(row, field).items() if k not in command.keys})


@handles(c.ListTags)
def list_(command: c.ListTags, work: Work) -> dict[str, str]:
    with work.change():
        work.require(_path(command.arn))
        row, field = _find(command.arn, work)
        work.note(resource=command.arn)
        return _tags(row, field)
