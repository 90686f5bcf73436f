"""Provider rows on one side, the OAuth client on the other: the only place that knows both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings

from apps.connections.models import ConsentSession
from apps.core.errors import Conflict
from apps.core.secret import Secret
from apps.providers.endpoints import from_json
from apps.providers.models import Provider
from apps.upstream import client as upstream
from apps.upstream.catalogue.catalogue import vendor
from apps.upstream.protocol import authorization_code
from apps.upstream.protocol.callback import CallbackCode, CallbackError
from apps.upstream.protocol.callback import read_callback as read_answer
from apps.upstream.protocol.types import ClientCredentials, TokenSet
from apps.vault.opening import open_at

Ask = Callable[[], TokenSet]


def callback_url(provider: Provider) -> str:
    """Unique per tenant and provider: another provider's answer cannot arrive here (COAT)."""
    return f"{settings.PUBLIC_URL}/connect/callback/{provider.callback_id}"


def provider_title(provider: Provider) -> str:
    """What people call it: the vendor, or for a custom one the name its administrator gave."""
    return provider.name if provider.vendor == "CustomOauth2" else vendor(provider.vendor).name


def credentials(provider: Provider) -> ClientCredentials:
    """Open the client secret. Inside a scope.

    Raises Conflict when the provider was moved since its row was read: the secret may be for the new address already,
    and the row's endpoints are the old ones.
    """
    secret = open_at(table="providers_provider", row_id=provider.id, column="client_secret")
    if not Provider.objects.filter(id=provider.id, config_version=provider.config_version).exists():
        raise Conflict("The provider's settings were just changed. Try again.", reason="provider_changed")
    return ClientCredentials(client_id=provider.client_id, secret=secret, method=provider.endpoints["client_auth"])


def authorization_url(session: ConsentSession, *, state: Secret, verifier: Secret, nonce: Secret, callback: str) -> str:
    provider = session.provider
    params: dict[str, Any] = session.params
    return authorization_code.authorization_url(
        from_json(provider.endpoints),
        client_id=provider.client_id,
        redirect_uri=callback,
        scopes=tuple(session.scopes),
        state=state,
        verifier=verifier,
        nonce=nonce if "openid" in session.scopes else None,
        custom=params.get("custom", {}),
        resources=tuple(params.get("resources", ())),
        audiences=tuple(params.get("audiences", ())),
        dialect=vendor(provider.vendor).dialect(),
    )


def read_callback(provider: Provider, query: tuple[tuple[str, str], ...]) -> CallbackCode | CallbackError:
    """Raises PortalError (`malformed_callback`, `iss_mismatch`)."""
    endpoints = from_json(provider.endpoints)
    return read_answer(query, expected_issuer=endpoints.expected_issuer, iss_required=endpoints.iss_parameter_supported)


def exchange_code(session: ConsentSession, *, code: Secret, verifier: Secret, nonce: Secret, callback: str) -> Ask:
    """Open what the token request needs, now and inside a scope; the returned call touches only the network."""
    provider = session.provider
    endpoints, client = from_json(provider.endpoints), credentials(provider)
    dialect, tenant_id = vendor(provider.vendor).dialect(), session.tenant_id
    asked = tuple(session.scopes)

    def ask() -> TokenSet:
        return upstream.exchange_code(
            endpoints,
            client,
            code=code,
            verifier=verifier,
            nonce=nonce if "openid" in asked else None,
            redirect_uri=callback,
            dialect=dialect,
            tenant_id=tenant_id,
        )

    return ask


def refresh(provider: Provider, *, refresh_token: Secret, scopes: tuple[str, ...]) -> Ask:
    endpoints, client = from_json(provider.endpoints), credentials(provider)
    dialect, tenant_id = vendor(provider.vendor).dialect(), provider.tenant_id

    def ask() -> TokenSet:
        return upstream.refresh(
            endpoints, client, refresh_token=refresh_token, scopes=scopes, dialect=dialect, tenant_id=tenant_id
        )

    return ask


def client_credentials(provider: Provider, *, params: dict[str, Any]) -> Ask:
    endpoints, client = from_json(provider.endpoints), credentials(provider)
    dialect, tenant_id = vendor(provider.vendor).dialect(), provider.tenant_id

    def ask() -> TokenSet:
        return upstream.client_credentials(
            endpoints,
            client,
            scopes=tuple(params.get("scopes", ())),
            resources=tuple(params.get("resources", ())),
            audiences=tuple(params.get("audiences", ())),
            custom=params.get("custom", {}),
            dialect=dialect,
            tenant_id=tenant_id,
        )

    return ask
