"""Clients of the portal's own authorization server, and the keys it signs with."""

from __future__ import annotations

from rest_framework import serializers

from apps.broker.authorization_server import contracts as c
from apps.broker.authorization_server.signing_keys import RotateSigningKeys
from apps.entrypoints.rest.endpoint import Endpoint
from apps.entrypoints.rest.fields import Choice, Flag, Name, SecretOut, Strict, Text, Words
from apps.entrypoints.rest.operation import Given, operation

TAG = "API clients"


class KeySet(serializers.JSONField):
    """Public keys (RFC 7517). What is in it is checked by the broker."""

    def to_internal_value(self, data: object) -> object:
        if not isinstance(data, dict):
            raise serializers.ValidationError("This must be a JWK set.")
        return super().to_internal_value(data)


class NewClient(Strict):
    """A new client."""

    name = Text(max_length=255)
    scopes = Words(longest=64)
    grant = Choice(choices=("client_credentials", "authorization_code"), required=False)
    proof = Choice(choices=("client_secret", "private_key_jwt", "none"), required=False)
    jwks = KeySet(required=False, help_text="Public keys, for private_key_jwt.")
    redirect_uris = Words(required=False)
    agent = Name(required=False, help_text="Only as this agent, with tokens: scopes.")


class NewKeys(Strict):
    """New public keys, for a client that signs; nothing for one with a secret."""

    jwks = KeySet(required=False)


class ApiClient(serializers.Serializer):
    """The secret, where there is one, is here once and never again."""

    client_id = serializers.CharField()
    client_secret = SecretOut(allow_null=True)
    issuer = serializers.CharField()
    token_endpoint = serializers.CharField()


class Rotation(Strict):
    """Whether the active keys are withdrawn at once."""

    compromised = Flag(required=False)


class SigningKeys(serializers.Serializer):
    """The keys that sign from now on."""

    key_ids = serializers.ListField(child=serializers.CharField())


class ApiClients(Endpoint):
    @operation(
        c.CreateApiClient,
        id="createApiClient",
        tag=TAG,
        summary="Add a client of the authorization server",
        body=NewClient,
        answer=ApiClient,
        status=201,
        located=lambda made: made.client_id,
        example={"name": "nightly report", "scopes": ["agents:read", "audit:read"]},
    )
    def post(self, given: Given) -> c.CreateApiClient:
        return c.CreateApiClient(**given)


class OneApiClient(Endpoint):
    @operation(c.DeleteApiClient, id="deleteApiClient", tag=TAG, summary="Remove a client with its tokens")
    def delete(self, given: Given, client_id: str) -> c.DeleteApiClient:
        return c.DeleteApiClient(client_id=client_id)


class RotateClient(Endpoint):
    @operation(
        c.RotateApiClient,
        id="rotateApiClient",
        tag=TAG,
        summary="Give a client a new secret, or new keys",
        body=NewKeys,
        answer=ApiClient,
        example={},
    )
    def post(self, given: Given, client_id: str) -> c.RotateApiClient:
        return c.RotateApiClient(client_id=client_id, **given)


class DisableClient(Endpoint):
    @operation(c.DisableApiClient, id="disableApiClient", tag=TAG, summary="Disable a client and end its tokens")
    def post(self, given: Given, client_id: str) -> c.DisableApiClient:
        return c.DisableApiClient(client_id=client_id)


class EnableClient(Endpoint):
    @operation(c.EnableApiClient, id="enableApiClient", tag=TAG, summary="Allow a disabled client again")
    def post(self, given: Given, client_id: str) -> c.EnableApiClient:
        return c.EnableApiClient(client_id=client_id)


class RotateKeys(Endpoint):
    @operation(
        RotateSigningKeys,
        id="rotateSigningKeys",
        tag=TAG,
        summary="Move the tenant's signing keys one step on",
        body=Rotation,
        answer=SigningKeys,
        shaped=lambda ids: {"key_ids": list(ids)},
        example={},
    )
    def post(self, given: Given) -> RotateSigningKeys:
        return RotateSigningKeys(**given)
