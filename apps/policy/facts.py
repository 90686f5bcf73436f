"""Gathers what decisions need, inside the caller's scope."""

from __future__ import annotations

from uuid import UUID

from apps.agents.models import GatewayKey
from apps.authn.models import AccessKey, AccessKeyGrant, OAuthClient
from apps.core import names
from apps.policy.decide import ClientFacts, KeyFacts
from apps.policy.models import Binding
from apps.tenants.models import Membership, User


def of_key(row_id: UUID) -> KeyFacts | None:
    """The access key as it is now, None when it is gone."""
    key = AccessKey.objects.select_related("tenant").filter(id=row_id).first()
    if key is None:
        return None
    grants = tuple(AccessKeyGrant.objects.filter(access_key_id=row_id).values_list("action", "resource"))
    return KeyFacts(
        status=key.status,
        tenant_status=key.tenant.status,
        expires_at=key.expires_at,
        full_access=key.full_access,
        grants=grants,
    )


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


def binding(agent_id: UUID, provider_id: UUID) -> Binding | None:
    return Binding.objects.filter(agent_id=agent_id, provider_id=provider_id).first()
