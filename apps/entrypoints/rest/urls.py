"""Addresses of the REST API. Names and ids are read strictly: what does not fit is no address."""

from __future__ import annotations

from django.urls import path, re_path, register_converter
from django.urls.converters import StringConverter

from apps.entrypoints.rest import (
    access_keys,
    agents,
    api_clients,
    connections,
    gateway_keys,
    pages,
    people,
    providers,
    tenant,
    tokens,
)


class NameConverter(StringConverter):
    regex = r"[A-Za-z0-9_.-]{1,255}"


register_converter(NameConverter, "portal_name")

app_name = "rest"
V1 = "api/v1/"

endpoints = [
    path(V1 + "me", tenant.Me.as_view()),
    path(V1 + "tenant", tenant.OneTenant.as_view()),
    path(V1 + "agents", agents.Agents.as_view()),
    path(V1 + "agents/<portal_name:name>", agents.OneAgent.as_view()),
    path(V1 + "agents/<portal_name:name>/suspend", agents.SuspendAgent.as_view()),
    path(V1 + "agents/<portal_name:name>/resume", agents.ResumeAgent.as_view()),
    path(V1 + "agents/<portal_name:name>/trust", agents.TrustAgent.as_view()),
    path(V1 + "agents/<portal_name:name>/gateway-keys", gateway_keys.GatewayKeys.as_view()),
    path(V1 + "gateway-keys/<uuid:gateway_key_id>", gateway_keys.OneGatewayKey.as_view()),
    path(V1 + "oauth-providers", providers.OAuthProviders.as_view()),
    path(V1 + "oauth-providers/<portal_name:name>", providers.OneOAuthProvider.as_view()),
    path(V1 + "api-key-providers", providers.ApiKeyProviders.as_view()),
    path(V1 + "api-key-providers/<portal_name:name>", providers.OneApiKeyProvider.as_view()),
    path(V1 + "providers/<uuid:provider_id>/suspend", providers.SuspendProvider.as_view()),
    path(V1 + "providers/<uuid:provider_id>/resume", providers.ResumeProvider.as_view()),
    path(V1 + "connections", connections.Connections.as_view()),
    path(V1 + "connections/<uuid:connection_id>", connections.OneConnection.as_view()),
    path(V1 + "connections/<uuid:connection_id>/revoke", connections.RevokeConnection.as_view()),
    path(V1 + "tokens/workload", tokens.WorkloadTokens.as_view()),
    path(V1 + "tokens/oauth", tokens.OAuthTokens.as_view()),
    path(V1 + "tokens/api-key", tokens.ApiKeys.as_view()),
    path(V1 + "consent-sessions/complete", tokens.CompleteConsent.as_view()),
    path(V1 + "consent-sessions/<uuid:session_id>", tokens.OneConsentSession.as_view()),
    path(V1 + "access-keys", access_keys.AccessKeys.as_view()),
    path(V1 + "access-keys/<portal_name:access_key_id>", access_keys.OneAccessKey.as_view()),
    path(V1 + "access-keys/<portal_name:access_key_id>/disable", access_keys.DisableAccessKey.as_view()),
    path(V1 + "access-keys/<portal_name:access_key_id>/enable", access_keys.EnableKey.as_view()),
    path(V1 + "api-clients", api_clients.ApiClients.as_view()),
    path(V1 + "api-clients/<portal_name:client_id>", api_clients.OneApiClient.as_view()),
    path(V1 + "api-clients/<portal_name:client_id>/rotate", api_clients.RotateClient.as_view()),
    path(V1 + "api-clients/<portal_name:client_id>/disable", api_clients.DisableClient.as_view()),
    path(V1 + "api-clients/<portal_name:client_id>/enable", api_clients.EnableClient.as_view()),
    path(V1 + "signing-keys/rotate", api_clients.RotateKeys.as_view()),
    path(V1 + "trusted-issuers", people.Issuers.as_view()),
    path(V1 + "trusted-issuers/<uuid:issuer_id>", people.OneIssuer.as_view()),
    path(V1 + "members", people.Members.as_view()),
    path(V1 + "members/<uuid:user_id>", people.OneMember.as_view()),
    path(V1 + "principals", people.Principals.as_view()),
    path(V1 + "principals/links", people.PrincipalLinks.as_view()),
    path(V1 + "principals/<uuid:principal_id>/suspend", people.SuspendOne.as_view()),
    path(V1 + "principals/<uuid:principal_id>/resume", people.ResumeOne.as_view()),
    path(V1 + "audit/events", tenant.AuditEvents.as_view()),
]

urlpatterns = [
    *endpoints,
    path(V1 + "openapi.json", pages.openapi, name="openapi"),
    path("api/docs/", pages.reference, name="reference"),
    path("problems/", pages.problem_list, name="problems"),
    path("problems/<slug:name>", pages.problem, name="problem"),
    # Whatever else is asked for below /api/ gets a problem document, and never a redirect that drops a body.
    re_path(r"^api(?:/[\s\S]*)?\Z", pages.nothing_here),
]
