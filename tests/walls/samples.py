"""One sample row for every tenant-owned table. A new table without one fails the suite the day it is born."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from apps.agents.models import Agent, AgentRuntime, Authorizer, AuthorizerIssuer, GatewayKey
from apps.audit.models import AuditRecord
from apps.authn import models as authn
from apps.connections.models import Connection, ConsentSession, Principal, PrincipalLink
from apps.core import clock
from apps.policy.models import Binding, BindingPrincipal
from apps.providers.models import Provider
from apps.tenants.models import User
from apps.vault.models import SealedSecret, TenantKey


def agent() -> Agent:
    return Agent.objects.create(name=f"agent-{uuid.uuid4().hex[:8]}")


def authorizer() -> Authorizer:
    return Authorizer.objects.create(agent=agent(), kind="CUSTOM_JWT")


def provider() -> Provider:
    return Provider.objects.create(kind="oauth2", name=f"p-{uuid.uuid4().hex[:8]}", vendor="CustomOauth2", endpoints={})


def principal() -> Principal:
    return Principal.objects.create(kind="uid", subject=uuid.uuid4().hex, pseudonym="p_x")


def user() -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex}@example.org")


def connection(**more: Any) -> Connection:
    fields = {"agent": agent(), "principal": principal(), "provider": provider(), **more}
    return Connection.objects.create(
        flow="user_federation", params_digest=os.urandom(32), provider_config_version=1, **fields
    )


def session(**more: Any) -> ConsentSession:
    fields = {"agent": agent(), "principal": principal(), "provider": provider(), **more}
    return ConsentSession.objects.create(
        provider_config_version=1,
        binding="portal",
        digest=os.urandom(32),
        params_digest=os.urandom(32),
        expires_at=clock.now() + timedelta(minutes=5),
        **fields,
    )


def access_key() -> authn.AccessKey:
    return authn.AccessKey.objects.create(key_id=f"IPAK{uuid.uuid4().hex[:20].upper()}")


def client() -> authn.OAuthClient:
    return authn.OAuthClient.objects.create(
        name="c", client_type="confidential", authorization_grant_type="client-credentials"
    )


_soon = lambda: clock.now() + timedelta(hours=1)  # noqa: E731

SAMPLES: dict[str, Callable[[], Any]] = {
    "agents.Agent": agent,
    "agents.AgentRuntime": lambda: AgentRuntime.objects.create(agent=agent(), name=f"r{uuid.uuid4().hex[:8]}"),
    "agents.Authorizer": authorizer,
    "agents.AuthorizerIssuer": lambda: AuthorizerIssuer.objects.create(
        authorizer=authorizer(), issuer=uuid.uuid4().hex, discovery_url="d", jwks_uri="j", audiences=["a"]
    ),
    "agents.GatewayKey": lambda: GatewayKey.objects.create(agent=agent(), digest=os.urandom(32)),
    "providers.Provider": provider,
    "vault.TenantKey": lambda: TenantKey.objects.create(
        version=int.from_bytes(os.urandom(3)), state="retiring", ring="r", wrapped=b"x"
    ),
    "vault.SealedSecret": lambda: SealedSecret.objects.create(
        table="t", row_id=uuid.uuid4(), column="c", purpose="p", key_version=1, blob=b"x"
    ),
    "connections.Principal": principal,
    "connections.PrincipalLink": lambda: PrincipalLink.objects.create(principal=principal(), user=user()),
    "connections.Connection": connection,
    "connections.ConsentSession": session,
    "policy.Binding": lambda: Binding.objects.create(agent=agent(), provider=provider()),
    "policy.BindingPrincipal": lambda: BindingPrincipal.objects.create(
        binding=Binding.objects.create(agent=agent(), provider=provider()), principal=principal()
    ),
    "authn.AccessKey": access_key,
    "authn.AccessKeyGrant": lambda: authn.AccessKeyGrant.objects.create(
        access_key=access_key(), action="a", resource="r"
    ),
    "authn.TrustedIssuer": lambda: authn.TrustedIssuer.objects.create(
        issuer=uuid.uuid4().hex, discovery_url="d", jwks_uri="j", audiences=["a"]
    ),
    "authn.WorkloadToken": lambda: authn.WorkloadToken.objects.create(
        digest=os.urandom(32),
        agent=agent(),
        principal=principal(),
        proof="uid",
        tenant_epoch=1,
        agent_epoch=1,
        principal_epoch=1,
        issued_at=clock.now(),
        expires_at=_soon(),
    ),
    "authn.AnsweredRequest": lambda: authn.AnsweredRequest.objects.create(fingerprint=os.urandom(32)),
    "authn.SigningKey": lambda: authn.SigningKey.objects.create(
        kid=uuid.uuid4().hex, algorithm="ES384", state="retiring", public_jwk={}, state_since=clock.now()
    ),
    "authn.OAuthClient": client,
    "authn.OAuthAssertion": lambda: authn.OAuthAssertion.objects.create(
        application=client(), digest=os.urandom(32), expires_at=_soon()
    ),
    "authn.OAuthGrant": lambda: authn.OAuthGrant.objects.create(
        application=client(), user=user(), code=uuid.uuid4().hex, expires=_soon(), redirect_uri="https://x.example"
    ),
    "authn.OAuthIdToken": lambda: authn.OAuthIdToken.objects.create(application=client(), expires=_soon()),
    "authn.OAuthAccessToken": lambda: authn.OAuthAccessToken.objects.create(
        application=client(), token=uuid.uuid4().hex, expires=_soon()
    ),
    "authn.OAuthRefreshToken": lambda: authn.OAuthRefreshToken.objects.create(
        application=client(), user=user(), token=uuid.uuid4().hex
    ),
    "authn.OAuthDeviceGrant": lambda: authn.OAuthDeviceGrant.objects.create(
        client_id="c", device_code=uuid.uuid4().hex, user_code=uuid.uuid4().hex[:8], expires=_soon()
    ),
    "audit.AuditRecord": lambda: AuditRecord.objects.bulk_create(
        [AuditRecord(action="agent.read", outcome="allowed", actor_kind="x", actor="x", request_id="r")]
    )[0],
}
