"""Gathers what decisions need, inside the caller's scope."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from apps.agents.models import Agent, GatewayKey
from apps.authn.caller import Caller, CallerKind
from apps.authn.models import AccessKey, AccessKeyGrant, OAuthClient
from apps.connections.models import Connection
from apps.core import names
from apps.policy import conditions
from apps.policy.bindings import BindingFacts, ConsentFacts
from apps.policy.conditions import Context
from apps.policy.decide import ClientFacts, KeyFacts, scope_actions
from apps.policy.grants import EVERYTHING, Grant
from apps.policy.models import Binding, BindingPrincipal
from apps.policy.permissions import GRANTABLE, PERMISSION, SERVICE
from apps.providers.models import Provider
from apps.tenants.models import Membership, Tenant, User
from apps.tenants.scope import current_tenant_id


def of_key(row_id: UUID) -> KeyFacts | None:
    """The access key as it is now, None when it is gone."""
    key = AccessKey.objects.select_related("tenant").filter(id=row_id).first()
    if key is None:
        return None
    rows = AccessKeyGrant.objects.filter(access_key_id=row_id).values_list("action", "resource", "conditions")
    grants = tuple(Grant(action, resource, conditions.read(limits)) for action, resource, limits in rows)
    return KeyFacts(
        status=key.status,
        tenant_status=key.tenant.status,
        expires_at=key.expires_at,
        full_access=key.full_access,
        grants=grants,
        agent_id=key.agent_id,
    )


def context_of(key: KeyFacts, arns: tuple[str, ...], about: Mapping[str, tuple[str, ...]]) -> Context:
    """What the key's conditions can look at. Tags are read only for a key that has conditions on them."""
    tagged = any(one.key.startswith(conditions.TAG) for grant in key.grants for one in grant.conditions)
    return Context(request=about, tags=tags_of(arns) if tagged else {})


def tags_of(arns: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """The tags of the resources behind these names, as far as they exist in the open tenant."""
    found: dict[str, dict[str, str]] = {}
    for arn in arns:
        name = names.parse(arn)
        tags = None
        if name is None:
            continue
        if name.kind == "agent":
            tags = Agent.objects.filter(name=name.name).values_list("tags", flat=True).first()
        elif name.kind == "vault":
            tags = Tenant.objects.filter(id=current_tenant_id()).values_list("vault_tags", flat=True).first()
        else:
            kind = "oauth2" if name.kind == "oauth_provider" else "api_key"
            tags = Provider.objects.filter(kind=kind, name=name.name).values_list("tags", flat=True).first()
        if tags:
            found[arn] = dict(tags)
    return found


def held_by(caller: Caller) -> tuple[Grant, ...]:
    """What a caller may pass on to a key: a person by role, a key or a client what it may do itself; all of them no
    more than the access token they came with allows."""
    if caller.row_id is None:
        return ()
    match caller.kind:
        case CallerKind.PERSON:
            given = GRANTABLE.get(role_of(caller.row_id, caller.tenant_id) or "", frozenset())
        case CallerKind.API_CLIENT:
            client = of_client(caller.row_id)
            # One that serves a single agent holds nothing on the whole of anything.
            if client is None or client.agent_path is not None or caller.scopes is None:
                return ()
            given = frozenset(PERMISSION[a] for a in scope_actions(client.allowed_scopes) if a in PERMISSION)
        case CallerKind.ACCESS_KEY:
            key = of_key(caller.row_id)
            if key is None:
                return ()
            return (EVERYTHING,) if key.full_access else key.grants
        case _:
            return ()
    if caller.scopes is not None:
        given &= frozenset(PERMISSION[a] for a in scope_actions(caller.scopes) if a in PERMISSION)
    return tuple(Grant(f"{SERVICE}:{name}", "*") for name in sorted(given))


def of_client(row_id: UUID) -> ClientFacts | None:
    """The OAuth client as it is now, None when it is gone."""
    client = OAuthClient.objects.select_related("tenant", "agent").filter(id=row_id).first()
    if client is None:
        return None
    return ClientFacts(
        status=client.status,
        tenant_status=client.tenant.status,
        allowed_scopes=frozenset(client.allowed_scopes),
        agent_path=names.agent(client.agent.name) if client.agent is not None else None,
    )


def gateway_key_active(row_id: UUID) -> bool:
    return bool(GatewayKey.objects.filter(id=row_id, status="active").exists())


def role_of(user_id: UUID, tenant_id: UUID) -> str | None:
    """The person's role in the tenant, `platform_admin` for platform staff, None for strangers."""
    user = User.objects.filter(id=user_id, is_active=True).first()
    if user is None:
        return None
    if user.is_platform_admin:
        return "platform_admin"
    return Membership.objects.filter(user_id=user_id, tenant_id=tenant_id).values_list("role", flat=True).first()


def binding(agent_id: UUID, provider_id: UUID) -> BindingFacts | None:
    """The agent's ceiling at the provider as it is now, None without a binding."""
    row: Binding | None = Binding.objects.filter(agent_id=agent_id, provider_id=provider_id).first()
    return of_binding(row) if row is not None else None


def of_binding(row: Binding) -> BindingFacts:
    people = None
    if row.people_listed:
        people = frozenset(BindingPrincipal.objects.filter(binding_id=row.id).values_list("principal_id", flat=True))
    return BindingFacts(
        flows=frozenset(row.flows),
        ceiling=_set(row.scope_ceiling),
        resources=_set(row.resources),
        audiences=_set(row.audiences),
        custom=_custom(row.custom_parameters),
        people=people,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        life=timedelta(seconds=row.connection_life_s) if row.connection_life_s is not None else None,
        uses=row.connection_uses,
    )


def consent(row: Connection | None, *, config_version: int) -> ConsentFacts | None:
    """A stored connection, as the decision looks at it."""
    if row is None:
        return None
    return ConsentFacts(
        status=row.status,
        held=row.generation > 0,
        current=row.provider_config_version == config_version,
        requested=frozenset(row.requested_scopes),
        granted=frozenset(row.granted_scopes),
        consented_at=row.consented_at,
        expires_at=row.expires_at,
        uses_left=row.uses_left,
    )


def _set(values: list[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def _custom(stored: object) -> dict[str, frozenset[str] | None] | None:
    """What cannot be read allows nothing."""
    if stored is None:
        return None
    if not isinstance(stored, dict):
        return {}
    return {
        str(name): None if values is None else frozenset(v for v in values if isinstance(v, str))
        for name, values in stored.items()
        if values is None or isinstance(values, list)
    }
