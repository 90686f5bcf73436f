"""A tenant's authorization server. The tenant is the one in the path, here and in RFC 8414's own place for metadata."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.entrypoints.oauth import endpoints, metadata

app_name = "oauth"
urlpatterns: list[URLPattern] = [
    path("t/<str:slug>/oauth2/token", endpoints.token, name="token"),
    path("t/<str:slug>/oauth2/revoke", endpoints.revoke, name="revoke"),
    path("t/<str:slug>/oauth2/introspect", endpoints.introspect, name="introspect"),
    path("t/<str:slug>/oauth2/jwks", metadata.key_set, name="jwks"),
    path("t/<str:slug>/.well-known/openid-configuration", metadata.document, name="openid_configuration"),
    path(".well-known/oauth-authorization-server/t/<str:slug>", metadata.document, name="metadata"),
]
