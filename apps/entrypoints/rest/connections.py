"""Connections: what people let agents use. Their tokens are never shown here."""

from __future__ import annotations

from uuid import UUID

from rest_framework import serializers

from apps.broker import contracts as c
from apps.broker.contracts_admin import GetConnection, ListConnections
from apps.entrypoints.rest.agents import Reason
from apps.entrypoints.rest.endpoint import Endpoint
from apps.entrypoints.rest.operation import Given, PageQuery, operation, page_of

TAG = "connections"
_STATES = ("active", "needs_reconsent", "revoked")


class Connection(serializers.Serializer):
    """A vaulted token: agent, principal and provider."""

    id = serializers.UUIDField()
    agent = serializers.CharField()
    principal = serializers.CharField(help_text="The pseudonym, as in the audit trail.")
    principal_id = serializers.UUIDField()
    provider = serializers.CharField()
    flow = serializers.CharField()
    status = serializers.CharField()
    status_reason = serializers.CharField()
    requested_scopes = serializers.ListField(child=serializers.CharField())
    granted_scopes = serializers.ListField(child=serializers.CharField())
    reduced = serializers.BooleanField(help_text="The provider granted less than was asked for.")
    renewable = serializers.BooleanField(help_text="There is a refresh token.")
    resources = serializers.ListField(child=serializers.CharField())
    audiences = serializers.ListField(child=serializers.CharField())
    custom_parameters = serializers.ListField(child=serializers.CharField(), help_text="Names only.")
    access_expires_at = serializers.DateTimeField(allow_null=True)
    consented_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True, help_text="The end of the consent itself.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ConnectionQuery(PageQuery):
    agent = serializers.CharField(max_length=255, required=False)
    provider = serializers.CharField(max_length=128, required=False)
    status = serializers.ChoiceField(choices=_STATES, required=False)
    principal_id = serializers.UUIDField(required=False)


class Connections(Endpoint):
    @operation(
        ListConnections,
        id="listConnections",
        tag=TAG,
        summary="List connections, newest first",
        query=ConnectionQuery,
        answer=page_of(Connection),
        repeats=True,
    )
    def get(self, given: Given) -> ListConnections:
        return ListConnections(**given)


class OneConnection(Endpoint):
    @operation(GetConnection, id="getConnection", tag=TAG, summary="Read a connection", answer=Connection, repeats=True)
    def get(self, given: Given, connection_id: UUID) -> GetConnection:
        return GetConnection(connection_id=connection_id)


class RevokeConnection(Endpoint):
    @operation(
        c.RevokeConnection,
        id="revokeConnection",
        tag=TAG,
        summary="End a connection and forget its tokens",
        notes="An access token the agent holds already lives on at the provider until it expires.",
        body=Reason,
        example={"why": "asked for by the person"},
    )
    def post(self, given: Given, connection_id: UUID) -> c.RevokeConnection:
        return c.RevokeConnection(connection_id=connection_id, why=given["why"])
