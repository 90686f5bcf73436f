"""OAuth provider configurations between the wire and the broker: the one place where the two shapes differ much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.broker.contracts import OAuthProviderView, OAuthSettings, ServerMetadata
from apps.core.errors import Invalid, NotSupported
from apps.core.secret import Secret

Members = Mapping[str, Any]
_AT = "oauth2ProviderConfigInput"

# Vendors with a member of their own in the union; all others share `includedOauth2ProviderConfig`.
_OWN_MEMBER = {
    "CustomOauth2": "customOauth2ProviderConfig",
    "GoogleOauth2": "googleOauth2ProviderConfig",
    "GithubOauth2": "githubOauth2ProviderConfig",
    "SlackOauth2": "slackOauth2ProviderConfig",
    "SalesforceOauth2": "salesforceOauth2ProviderConfig",
    "MicrosoftOauth2": "microsoftOauth2ProviderConfig",
    "AtlassianOauth2": "atlassianOauth2ProviderConfig",
    "LinkedinOauth2": "linkedinOauth2ProviderConfig",
}
_VENDOR_OPTIONS = ("tenantId", "issuer", "authorizationEndpoint", "tokenEndpoint")
_AUTHENTICATION = {"CLIENT_SECRET_BASIC": "client_secret_basic", "CLIENT_SECRET_POST": "client_secret_post"}
_ON_THE_WIRE = {word: name for name, word in _AUTHENTICATION.items()}

# Options of the model that lie outside the product (decisions.md 35), with what to tell people.
_OUTSIDE = {
    "privateKeyJwtConfig": "Client authentication with a private key is not supported by this portal.",
    "privateEndpoint": "Private (VPC) endpoints are not supported by this portal. "
    "An operator can allow a private host instead.",
    "privateEndpointOverrides": "Private (VPC) endpoints are not supported by this portal. "
    "An operator can allow a private host instead.",
    "certificateConfigurations": "Certificates per provider are not supported by this portal.",
}


def member_of(vendor: str) -> str:
    """The union member that carries a vendor's configuration."""
    return _OWN_MEMBER.get(vendor, "includedOauth2ProviderConfig")


def settings_of(members: Members) -> OAuthSettings:
    """The broker's settings from the members of a create or update request.

    Raises:
        Invalid: `vendor_mismatch`, the configuration belongs to another vendor.
        NotSupported: an option outside the product.
    """
    vendor: str = members["credentialProviderVendor"]
    ((given, config),) = members[_AT].items()
    if given != member_of(vendor):
        raise Invalid.field(
            f"{_AT}.{given}",
            f"The configuration does not match the vendor {vendor}, which takes {member_of(vendor)}.",
            reason="vendor_mismatch",
        )
    refuse_external_secret(config, "clientSecret", family="clientSecret")
    for option, sentence in _OUTSIDE.items():
        if option in config:
            raise NotSupported(sentence, reason="option_unsupported")
    discovery = config.get("oauthDiscovery", {})
    return OAuthSettings(
        vendor=vendor,
        client_id=config.get("clientId", ""),
        client_secret=secret_of(config, "clientSecret"),
        discovery_url=discovery.get("discoveryUrl"),
        metadata=_metadata(discovery.get("authorizationServerMetadata")),
        vendor_options={name: config[name] for name in _VENDOR_OPTIONS if name in config},
        client_authentication_method=_authentication(config.get("clientAuthenticationMethod")),
        on_behalf_of=config.get("onBehalfOfTokenExchangeConfig"),
    )


def secret_of(members: Members, name: str) -> Secret | None:
    """A secret that was given; an empty one counts as none, as its default on AWS is the empty text."""
    return Secret(members[name]) if members.get(name) else None


def refuse_external_secret(members: Members, name: str, *, family: str) -> None:
    """Secrets live in the portal's vault; there is no other secret store to read them from.

    `family` begins the names of the two members that point to such a store, `name` is the secret itself.
    """
    if members.get(f"{family}Source") == "EXTERNAL" or f"{family}Config" in members:
        raise NotSupported(
            f"Secrets in an external store are not supported by this portal. Send {name} instead; "
            "the portal keeps it sealed.",
            reason="external_secret_unsupported",
        )


def _metadata(given: Members | None) -> ServerMetadata | None:
    if given is None:
        return None
    return ServerMetadata(
        issuer=given["issuer"],
        authorization_endpoint=given["authorizationEndpoint"],
        token_endpoint=given["tokenEndpoint"],
        response_types=tuple(given.get("responseTypes", ())),
        token_endpoint_auth_methods=tuple(given.get("tokenEndpointAuthMethods", ())),
    )


def _authentication(given: str | None) -> str | None:
    if given is None:
        return None
    if given not in _AUTHENTICATION:
        raise NotSupported(
            f"The client authentication method {given} is not supported by this portal. "
            f"Use {' or '.join(_AUTHENTICATION)}.",
            reason="option_unsupported",
        )
    return _AUTHENTICATION[given]


def created(view: OAuthProviderView) -> dict[str, Any]:
    """The answer to a create: no vendor and no times, as modelled."""
    return {
        "name": view.name,
        "credentialProviderArn": view.arn,
        "callbackUrl": view.callback_url,
        "clientSecretArn": {"secretArn": view.secret_arn},
        "clientSecretSource": "MANAGED",
        "oauth2ProviderConfigOutput": {member_of(view.vendor): _config(view)},
        "status": "READY",
    }


def described(view: OAuthProviderView) -> dict[str, Any]:
    """The answer to get and update."""
    return {
        **created(view),
        "credentialProviderVendor": view.vendor,
        "createdTime": view.created_at,
        "lastUpdatedTime": view.updated_at,
    }


def listed(view: OAuthProviderView) -> dict[str, Any]:
    """One line of a list."""
    return {
        "name": view.name,
        "credentialProviderVendor": view.vendor,
        "credentialProviderArn": view.arn,
        "createdTime": view.created_at,
        "lastUpdatedTime": view.updated_at,
    }


def _config(view: OAuthProviderView) -> dict[str, Any]:
    config: dict[str, Any] = {"oauthDiscovery": _discovery(view), "clientId": view.client_id or None}
    if view.vendor == "CustomOauth2":
        method = view.client_authentication_method
        config["clientAuthenticationMethod"] = _ON_THE_WIRE.get(method) if method else None
        config["onBehalfOfTokenExchangeConfig"] = view.on_behalf_of
    return config


def _discovery(view: OAuthProviderView) -> dict[str, Any]:
    if view.discovery_url is not None:
        return {"discoveryUrl": view.discovery_url}
    metadata = view.metadata
    if metadata is None:
        raise TypeError(f"provider {view.id} has neither a discovery URL nor metadata")
    methods = [word for word in metadata.token_endpoint_auth_methods if word in _ON_THE_WIRE]
    return {
        "authorizationServerMetadata": {
            "issuer": metadata.issuer,
            "authorizationEndpoint": metadata.authorization_endpoint,
            "tokenEndpoint": metadata.token_endpoint,
            "responseTypes": list(metadata.response_types) or None,
            "tokenEndpointAuthMethods": methods or None,
        }
    }
