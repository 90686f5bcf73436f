"""Access keys: made with explicit permissions, shown once, ended at once."""

from __future__ import annotations

from apps.agents import queries as agents
from apps.authn import sigv4_keys
from apps.authn.api_scopes import actions_of
from apps.authn.caller import CallerKind
from apps.authn.models import AccessKey, AccessKeyGrant
from apps.broker import contracts as c
from apps.broker.contracts_admin import EnableAccessKey
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import Invalid, NotAllowed, NotFound
from apps.policy import facts
from apps.policy.decide import matches
from apps.policy.permissions import GRANTABLE, PERMISSION, SERVICE
from apps.vault import storing

_MAX_GRANTS = 100


def _check(grants: tuple[tuple[str, str], ...]) -> None:
    if len(grants) > _MAX_GRANTS:
        raise Invalid.field("grants", f"A key has at most {_MAX_GRANTS} permissions.", reason="too_many_grants")
    known = {f"{SERVICE}:{name}" for name in PERMISSION.values()}
    for action, resource in grants:
        plain = "*" not in action and "?" not in action
        if (not action.startswith(f"{SERVICE}:") and action != "*") or (plain and action not in known):
            raise Invalid.field(
                "grants",
                f"An action looks like {SERVICE}:GetResourceOauth2Token; * and ? are wildcards.",
                reason="grant_invalid",
            )
        if resource != "*" and not resource.startswith("arn:"):
            raise Invalid.field("grants", "A resource is an ARN pattern or *.", reason="grant_invalid")


def _require_holds(command: c.CreateAccessKey, work: Work) -> None:
    """Nobody gives what they do not hold, a wildcard counting for all it matches. Raises NotAllowed."""
    caller = work.caller
    if caller.kind is not CallerKind.PERSON and caller.scopes is None:
        return
    every = frozenset(PERMISSION.values())
    holds = every
    if caller.kind is CallerKind.PERSON:
        role = facts.role_of(caller.row_id, caller.tenant_id) if caller.row_id else None
        holds = GRANTABLE.get(role or "", frozenset())
    if caller.scopes is not None:
        # A token that may make keys must not make itself one that may more than the token.
        holds &= {PERMISSION[action] for action in actions_of(caller.scopes) if action in PERMISSION}
        if command.full_access:
            raise NotAllowed("A token's scopes never cover everything.", reason="grant_above_own")
    asked = (
        every
        if command.full_access
        else frozenset(name for name in every for action, _ in command.grants if matches(action, f"{SERVICE}:{name}"))
    )
    if not asked <= holds:
        raise NotAllowed(
            "Only an owner can make a key that may do this: " + ", ".join(sorted(asked - holds)[:3]) + ".",
            reason="grant_above_own",
        )


@handles(c.CreateAccessKey)
def create(command: c.CreateAccessKey, work: Work) -> c.NewAccessKey:
    with work.change():
        work.require(names.VAULT)
        _check(command.grants)
        _require_holds(command, work)
        agent = agents.by_name(command.agent) if command.agent else None
        key, secret = sigv4_keys.create(
            label=command.label[:200], full_access=command.full_access, agent=agent, expires_at=command.expires_at
        )
        AccessKeyGrant.objects.bulk_create(
            AccessKeyGrant(access_key=key, action=action, resource=resource)
            for action, resource in dict.fromkeys(command.grants)
        )
        work.note(
            access_key_id=key.key_id, full_access=command.full_access, grants=[list(pair) for pair in command.grants]
        )
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
        grants = tuple(AccessKeyGrant.objects.filter(access_key=key).values_list("action", "resource"))
        _require_holds(c.CreateAccessKey(grants=grants, full_access=key.full_access), work)
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
