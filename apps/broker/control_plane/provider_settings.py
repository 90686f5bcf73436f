"""From what an administrator gave to what the OAuth client needs. May read discovery: call outside any scope."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from apps.broker.contracts import OAuthSettings
from apps.core.errors import Invalid, NotSupported
from apps.core.net.process import transport
from apps.providers.endpoints import to_json
from apps.upstream import client as upstream
from apps.upstream.catalogue import catalogue
from apps.upstream.protocol.types import Endpoints

CUSTOM = "CustomOauth2"
_METHODS = ("client_secret_basic", "client_secret_post")
_OPTIONS = {
    "tenantId": "tenant_id",
    "issuer": "issuer",
    "authorizationEndpoint": "authorization_endpoint",
    "tokenEndpoint": "token_endpoint",
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """`config` is what to show again, `endpoints` what to use; both plain JSON without secrets."""

    config: dict[str, Any]
    endpoints: dict[str, Any]


def resolve(settings: OAuthSettings, *, for_tenant: UUID) -> Resolved:
    """Raises Invalid naming the member that is wrong, UpstreamUnavailable when discovery cannot be read."""
    if not settings.client_id:
        raise Invalid.field("client_id", "The client id is missing.", reason="client_id_missing")
    method = settings.client_authentication_method
    if method is not None and method not in _METHODS:
        raise NotSupported(
            "This way of client authentication is not available yet. Use CLIENT_SECRET_BASIC or CLIENT_SECRET_POST.",
            reason="client_authentication_unsupported",
        )
    config: dict[str, Any] = {}
    if method:
        config["client_authentication_method"] = method
    if settings.on_behalf_of:
        config["on_behalf_of"] = dict(settings.on_behalf_of)
    if settings.vendor == CUSTOM:
        endpoints = _custom(settings, config, for_tenant)
        client_auth = method or _first_supported(endpoints)
    else:
        given = {_OPTIONS[name]: value for name, value in settings.vendor_options.items() if value}
        endpoints = catalogue.resolve_endpoints(settings.vendor, given, transport().rules)
        config["vendor_options"] = dict(settings.vendor_options)
        config["metadata"] = _metadata(endpoints)
        client_auth = method or catalogue.vendor(settings.vendor).client_auth.method
    return Resolved(config=config, endpoints=to_json(endpoints, client_auth=client_auth))


def _custom(settings: OAuthSettings, config: dict[str, Any], for_tenant: UUID) -> Endpoints:
    if settings.discovery_url is not None:
        config["discovery_url"] = settings.discovery_url
        return upstream.discover(settings.discovery_url, tenant_id=for_tenant)
    if settings.metadata is None:
        raise Invalid.field("discovery_url", "Give a discovery URL or the server's metadata.", reason="no_discovery")
    config["metadata"] = asdict(settings.metadata)
    given = {name: value for name, value in asdict(settings.metadata).items() if value}
    endpoints = catalogue.resolve_endpoints(CUSTOM, given, transport().rules)
    upstream.vet(endpoints)
    return endpoints


def _metadata(endpoints: Endpoints) -> dict[str, Any]:
    return {
        "issuer": endpoints.issuer,
        "authorization_endpoint": endpoints.authorization_endpoint,
        "token_endpoint": endpoints.token_endpoint,
        "response_types": ["code"],
        "token_endpoint_auth_methods": [m for m in endpoints.token_endpoint_auth_methods if m in _METHODS],
    }


def _first_supported(endpoints: Endpoints) -> str:
    """Basic by default; post only where the server says it takes nothing else of ours."""
    methods = endpoints.token_endpoint_auth_methods
    if "client_secret_basic" in methods or not methods:
        return "client_secret_basic"
    return "client_secret_post" if "client_secret_post" in methods else "client_secret_basic"
