"""Keys for the proxy in front of an agent."""

from __future__ import annotations

from uuid import UUID

from rest_framework import serializers

from apps.broker.inbound import contracts as c
from apps.entrypoints.rest.endpoint import Endpoint
from apps.entrypoints.rest.fields import SecretOut, Strict, Text
from apps.entrypoints.rest.operation import Given, operation

TAG = "gateway keys"


class GatewayKeyLabel(Strict):
    """What uses it, for people."""

    label = Text(required=False, allow_blank=True, max_length=200)


class NewGatewayKey(serializers.Serializer):
    """The key is here once and never again."""

    id = serializers.UUIDField(source="row_id")
    key = SecretOut()


class GatewayKeys(Endpoint):
    @operation(
        c.CreateGatewayKey,
        id="createGatewayKey",
        tag=TAG,
        summary="Make a key for the proxy in front of an agent",
        body=GatewayKeyLabel,
        answer=NewGatewayKey,
        status=201,
        example={"label": "nginx"},
    )
    def post(self, given: Given, name: str) -> c.CreateGatewayKey:
        return c.CreateGatewayKey(agent=name, label=given.get("label", ""))


class OneGatewayKey(Endpoint):
    @operation(
        c.DeleteGatewayKey,
        id="deleteGatewayKey",
        tag=TAG,
        summary="Remove a gateway key",
        notes="The proxy that uses it lets nobody in any more, from the next call on.",
    )
    def delete(self, given: Given, gateway_key_id: UUID) -> c.DeleteGatewayKey:
        return c.DeleteGatewayKey(key_id=gateway_key_id)
