"""Every address of Demo Hub. The namespace says who uses it: people (page), operators (control), programs (none)."""

from __future__ import annotations

from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from . import control, github, oidc, pages, resources, scopes, token_endpoint

_pages = [
    path("", pages.home, name="home"),
    path("authorize", pages.authorize, {"flavour": scopes.OIDC}, name="authorize"),
    path("github/login/oauth/authorize", pages.authorize, {"flavour": scopes.GITHUB}, name="github_authorize"),
    path("consent", pages.decide, name="consent"),
    path("signin", pages.sign_in, name="signin"),
    path("signout", pages.sign_out, name="signout"),
    path("withdraw", pages.withdraw, name="withdraw"),
    path("demo-app/callback", pages.demo_app_landing, name="demo_app_callback"),
]
_control = [
    path("clients", control.clients, name="clients"),
    path("clients/<str:client_id>", control.client, name="client"),
    path("clients/<str:client_id>/expire-access-tokens", control.expire_access_tokens, name="expire_access_tokens"),
    path("people", control.people, name="people"),
    path("people/<str:username>", control.person, name="person"),
    path("grants", control.grants, name="grants"),
    path("grants/<str:grant_id>", control.grant, name="grant"),
    path("api-keys", control.api_keys, name="api_keys"),
    path("api-keys/<str:key_id>", control.api_key, name="api_key"),
    path("keys/rotate", control.rotate_keys, name="rotate_keys"),
    path("clock", control.clock, name="clock"),
    path("switches", control.switches, name="switches"),
    path("counters", control.counters, name="counters"),
    path("requests", control.requests_seen, name="requests_seen"),
]

_programs = [
    path(".well-known/openid-configuration", oidc.openid_configuration, name="openid_configuration"),
    path(".well-known/oauth-authorization-server", oidc.authorization_server, name="authorization_server"),
    path("jwks", oidc.jwks, name="jwks"),
    path("userinfo", oidc.userinfo, name="userinfo"),
    path("token", token_endpoint.token, name="token"),
    path("revoke", token_endpoint.revoke, name="revoke"),
    path("introspect", token_endpoint.introspect, name="introspect"),
    path("github/login/oauth/access_token", github.access_token, name="github_access_token"),
    path("github/user", github.user, name="github_user"),
    path("github/applications/<str:client_id>/token", github.delete_token, name="github_delete_token"),
    path("api/me", resources.me, name="api_me"),
    path("api/repos", resources.repositories, name="api_repos"),
    path("api/repos/<str:repository_id>/releases", resources.releases, name="api_releases"),
    path("api/status", resources.status, name="api_status"),
    path("api/weather", resources.weather, name="api_weather"),
]
# Programs prove who they are with a header or a secret in the body, and no cookie counts, so a form sent by
# somebody else's page has nothing to forge.
for pattern in _control + _programs:
    pattern.callback = csrf_exempt(pattern.callback)

urlpatterns = [
    path("", include((_pages, "page"))),
    path("control/", include((_control, "control"))),
    path("assets/", include(([path("<str:name>", pages.asset, name="asset")], "asset"))),
    *_programs,
]
handler404 = "apps.demo_hub.pages.not_found"
handler500 = "apps.demo_hub.pages.broken"
