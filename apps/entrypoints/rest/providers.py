"""Credential providers: OAuth 2.0 clients of ours, and API keys."""

from __future__ import annotations

from uuid import UUID

from rest_framework import serializers

from apps.broker import contracts as c
from apps.entrypoints.rest.agents import OptionalReason, Reason
from apps.entrypoints.rest.endpoint import Endpoint
from apps.entrypoints.rest.fields import Choice, Name, Pairs, SecretIn, Strict, Text, Words
from apps.entrypoints.rest.operation import Given, PageQuery, operation, page_of

TAG = "providers"
_METHODS = ("client_secret_basic", "client_secret_post")


class Metadata(serializers.Serializer):
    """An authorization server (RFC 8414)."""

    issuer = serializers.CharField()
    authorization_endpoint = serializers.CharField()
    token_endpoint = serializers.CharField()
    response_types = serializers.ListField(child=serializers.CharField())
    token_endpoint_auth_methods = serializers.ListField(child=serializers.CharField())


class OAuthProvider(serializers.Serializer):
    """An OAuth 2.0 client of ours at some authorization server. Its secret is never shown."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    arn = serializers.CharField()
    vendor = serializers.CharField()
    client_id = serializers.CharField()
    callback_url = serializers.CharField(help_text="Register this redirect URI at the provider.")
    discovery_url = serializers.CharField(allow_null=True)
    metadata = Metadata(allow_null=True)
    client_authentication_method = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class GivenMetadata(Strict):
    """An authorization server described by hand (RFC 8414)."""

    issuer = Text()
    authorization_endpoint = Text()
    token_endpoint = Text()
    response_types = Words(required=False, longest=64)
    token_endpoint_auth_methods = serializers.ListField(child=Choice(choices=_METHODS), required=False, max_length=2)


class OAuthSettings(Strict):
    """How to be a client of the authorization server. Replaces the whole configuration."""

    vendor = Text(max_length=64, help_text="CustomOauth2, or a vendor of the catalogue such as GithubOauth2.")
    client_id = Text(max_length=256)
    client_secret = SecretIn(
        required=False, max_length=2048, help_text="On a change: left out, the stored one stays, if nothing moved."
    )
    discovery_url = Text(required=False)
    metadata = GivenMetadata(required=False)
    vendor_options = Pairs(required=False, most=10, help_text="tenantId, issuer, authorizationEndpoint, tokenEndpoint")
    client_authentication_method = Choice(choices=_METHODS, required=False)


class NewOAuthProvider(OAuthSettings):
    """A new OAuth 2.0 credential provider."""

    name = Name(provider=True)
    client_secret = SecretIn(max_length=2048)
    tags = Pairs(required=False)


class ApiKeyProvider(serializers.Serializer):
    """A stored API key. The key itself is never shown here."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    arn = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ApiKey(Strict):
    """A new key in place of the stored one."""

    api_key = SecretIn(max_length=65536)


class NewApiKeyProvider(ApiKey):
    """A new API-key credential provider."""

    name = Name(provider=True)
    tags = Pairs(required=False)


def _settings(given: Given) -> c.OAuthSettings:
    metadata = given.get("metadata")
    return c.OAuthSettings(
        vendor=given["vendor"],
        client_id=given["client_id"],
        client_secret=given.get("client_secret"),
        discovery_url=given.get("discovery_url"),
        metadata=None
        if metadata is None
        else c.ServerMetadata(
            **{**metadata, "token_endpoint_auth_methods": tuple(metadata.get("token_endpoint_auth_methods", ()))}
        ),
        vendor_options=given.get("vendor_options", {}),
        client_authentication_method=given.get("client_authentication_method"),
    )


_EXAMPLE = {"vendor": "GithubOauth2", "client_id": "Iv1.8a61f9b3a7aba766", "client_secret": "from the provider"}


class OAuthProviders(Endpoint):
    @operation(
        c.ListOAuthProviders,
        id="listOAuthProviders",
        tag=TAG,
        summary="List OAuth 2.0 credential providers",
        query=PageQuery,
        answer=page_of(OAuthProvider),
        repeats=True,
    )
    def get(self, given: Given) -> c.ListOAuthProviders:
        return c.ListOAuthProviders(cursor=given.get("cursor"), limit=given["limit"])

    @operation(
        c.CreateOAuthProvider,
        id="createOAuthProvider",
        tag=TAG,
        summary="Add an OAuth 2.0 credential provider",
        body=NewOAuthProvider,
        answer=OAuthProvider,
        status=201,
        versioned=True,
        located=lambda view: view.name,
        refusals=(409, 502, 503),
        example={"name": "github", **_EXAMPLE},
    )
    def post(self, given: Given) -> c.CreateOAuthProvider:
        return c.CreateOAuthProvider(name=given["name"], settings=_settings(given), tags=given.get("tags", {}))


class OneOAuthProvider(Endpoint):
    @operation(
        c.GetOAuthProvider,
        id="getOAuthProvider",
        tag=TAG,
        summary="Read an OAuth 2.0 credential provider",
        answer=OAuthProvider,
        versioned=True,
        repeats=True,
    )
    def get(self, given: Given, name: str) -> c.GetOAuthProvider:
        return c.GetOAuthProvider(name=name)

    @operation(
        c.UpdateOAuthProvider,
        id="replaceOAuthProvider",
        tag=TAG,
        summary="Replace the configuration of an OAuth 2.0 credential provider",
        notes="A change of client id or addresses needs the secret again, and parks the connections made before.",
        body=OAuthSettings,
        answer=OAuthProvider,
        versioned=True,
        conditional=True,
        refusals=(502, 503),
        example=_EXAMPLE,
    )
    def put(self, given: Given, name: str) -> c.UpdateOAuthProvider:
        return c.UpdateOAuthProvider(name=name, settings=_settings(given), keep_exchange=True)

    @operation(
        c.DeleteOAuthProvider,
        id="deleteOAuthProvider",
        tag=TAG,
        summary="Remove an OAuth 2.0 credential provider",
        notes="Its connections and open consents end with it.",
    )
    def delete(self, given: Given, name: str) -> c.DeleteOAuthProvider:
        return c.DeleteOAuthProvider(name=name)


class ApiKeyProviders(Endpoint):
    @operation(
        c.ListApiKeyProviders,
        id="listApiKeyProviders",
        tag=TAG,
        summary="List API-key credential providers",
        query=PageQuery,
        answer=page_of(ApiKeyProvider),
        repeats=True,
    )
    def get(self, given: Given) -> c.ListApiKeyProviders:
        return c.ListApiKeyProviders(cursor=given.get("cursor"), limit=given["limit"])

    @operation(
        c.CreateApiKeyProvider,
        id="createApiKeyProvider",
        tag=TAG,
        summary="Store an API key",
        body=NewApiKeyProvider,
        answer=ApiKeyProvider,
        status=201,
        versioned=True,
        located=lambda view: view.name,
        refusals=(409,),
        example={"name": "weather", "api_key": "from the provider"},
    )
    def post(self, given: Given) -> c.CreateApiKeyProvider:
        return c.CreateApiKeyProvider(name=given["name"], api_key=given["api_key"], tags=given.get("tags", {}))


class OneApiKeyProvider(Endpoint):
    @operation(
        c.GetApiKeyProvider,
        id="getApiKeyProvider",
        tag=TAG,
        summary="Read an API-key credential provider",
        answer=ApiKeyProvider,
        versioned=True,
        repeats=True,
    )
    def get(self, given: Given, name: str) -> c.GetApiKeyProvider:
        return c.GetApiKeyProvider(name=name)

    @operation(
        c.UpdateApiKeyProvider,
        id="replaceApiKey",
        tag=TAG,
        summary="Replace a stored API key",
        body=ApiKey,
        answer=ApiKeyProvider,
        versioned=True,
        conditional=True,
        example={"api_key": "the new one"},
    )
    def put(self, given: Given, name: str) -> c.UpdateApiKeyProvider:
        return c.UpdateApiKeyProvider(name=name, api_key=given["api_key"])

    @operation(c.DeleteApiKeyProvider, id="deleteApiKeyProvider", tag=TAG, summary="Remove a stored API key")
    def delete(self, given: Given, name: str) -> c.DeleteApiKeyProvider:
        return c.DeleteApiKeyProvider(name=name)


class SuspendProvider(Endpoint):
    @operation(
        c.SuspendProvider,
        id="suspendProvider",
        tag=TAG,
        summary="Release nothing from a provider any more",
        body=Reason,
        example={"why": "client secret leaked"},
    )
    def post(self, given: Given, provider_id: UUID) -> c.SuspendProvider:
        return c.SuspendProvider(provider_id=provider_id, why=given["why"])


class ResumeProvider(Endpoint):
    @operation(
        c.ResumeProvider,
        id="resumeProvider",
        tag=TAG,
        summary="Allow a provider again",
        body=OptionalReason,
        example={},
    )
    def post(self, given: Given, provider_id: UUID) -> c.ResumeProvider:
        return c.ResumeProvider(provider_id=provider_id, why=given.get("why", ""))
