"""Access keys: made with explicit permissions, shown once, ended at once."""

from __future__ import annotations

from apps.agents import queries as agents
from apps.authn import sigv4_keys
from apps.authn.caller import CallerKind
from apps.authn.models import AccessKey, AccessKeyGrant
from apps.broker import contracts as c
from apps.broker.contracts_admin import EnableAccessKey
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import Invalid, NotAllowed, NotFound
from apps.policy import facts
from apps.policy.conditions import stored
from apps.policy.grants import EVERYTHING, Grant, not_held, problem
from apps.vault import storing

_MAX_GRANTS = 100


def _check(grants: tuple[Grant, ...]) -> None:
    if len(grants) > _MAX_GRANTS:
        raise Invalid.field("grants", f"A key has at most {_MAX_GRANTS} permissions.", reason="too_many_grants")
    for grant in grants:
        if wrong := problem(grant):
            raise Invalid.field("grants", wrong, reason="grant_invalid")


def _require_holds(wanted: tuple[Grant, ...], work: Work) -> None:
    """Nobody gives what they do not hold: operations, resources and conditions, a wildcard counting for all it
    matches. Raises NotAllowed."""
    if work.caller.kind is CallerKind.SYSTEM:
        return
    if work.caller.scopes is not None and EVERYTHING in wanted:
        # A token that may make keys must not make itself one that may more than any token.
        raise NotAllowed("A token's scopes never cover everything.", reason="grant_above_own")
    held = facts.held_by(work.caller)
    missing = frozenset[str]().union(*(not_held(grant, held) for grant in wanted))
    if missing:
        raise NotAllowed(
            "You cannot give what you do not hold yourself: " + ", ".join(sorted(missing)[:3]) + ".",
            reason="grant_above_own",
        )


@handles(c.CreateAccessKey)
def create(command: c.CreateAccessKey, work: Work) -> c.NewAccessKey:
    with work.change():
        work.require(names.VAULT)
        grants = tuple(dict.fromkeys(one if isinstance(one, Grant) else Grant(*one) for one in command.grants))
        _check(grants)
        _require_holds((EVERYTHING,) if command.full_access else grants, work)
        agent = agents.by_name(command.agent) if command.agent else None
        key, secret = sigv4_keys.create(
            label=command.label[:200], full_access=command.full_access, agent=agent, expires_at=command.expires_at
        )
        AccessKeyGrant.objects.bulk_create(
            AccessKeyGrant(access_key=key, action=one.action, resource=one.resource, conditions=stored(one.conditions))
            for one in grants
        )
        # The conditions' values may name people: the trail has their operators and keys.
        told = [[one.action, one.resource, *(f"{x.operator} {x.key}" for x in one.conditions)] for one in grants]
        work.note(access_key_id=key.key_id, full_access=command.full_access, grants=told)
        if agent is not None:
            work.note(agent=agent)
        return c.NewAccessKey(row_id=key.id, access_key_id=key.key_id, secret_access_key=secret)


def _find(key_id: str) -> AccessKey:
    key: AccessKey | None = AccessKey.objects.select_for_update(of=("self",)).filter(key_id=key_id).first()
    if key is None:
        raise NotFound("There is no such access key.", reason="access_key_not_found")
    return key


@handles(c.DisableAccessKey)
def disable(command: c.DisableAccessKey, work: Work) -> None:
    with work.change():
        work.require(names.VAULT)
        key = _find(command.access_key_id)
        work.note(access_key_id=key.key_id)
        key.status = AccessKey.Status.DISABLED
        key.save(update_fields=["status"])


@handles(EnableAccessKey)
def enable(command: EnableAccessKey, work: Work) -> None:
    with work.change():
        work.require(names.VAULT)
        key = _find(command.access_key_id)
        # Whoever may not make such a key may not bring it back either.
        held = facts.of_key(key.id)
        assert held is not None
        _require_holds((EVERYTHING,) if held.full_access else held.grants, work)
        work.note(access_key_id=key.key_id)
        key.status = AccessKey.Status.ACTIVE
        key.save(update_fields=["status"])


@handles(c.DeleteAccessKey)
def delete(command: c.DeleteAccessKey, work: Work) -> None:
    with work.change():
        work.require(names.VAULT)
        key = _find(command.access_key_id)
        work.note(access_key_id=key.key_id)
        storing.forget(table="authn_accesskey", row_ids=[key.id])
        key.delete()
