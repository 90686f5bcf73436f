"""Discovery, keys and userinfo."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_safe

from . import scopes
from .resources import bearer
from .running import the_hub
from .token_endpoint import about
from .web import reply

_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]


def _metadata() -> dict[str, Any]:
    url = the_hub().url
    return {
        "issuer": url,
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/token",
        "jwks_uri": f"{url}/jwks",
        "revocation_endpoint": f"{url}/revoke",
        "introspection_endpoint": f"{url}/introspect",
        "scopes_supported": list(scopes.SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": _AUTH_METHODS,
        "revocation_endpoint_auth_methods_supported": _AUTH_METHODS,
        "introspection_endpoint_auth_methods_supported": _AUTH_METHODS[:2],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "service_documentation": f"{url}/",
    }


@require_safe
def authorization_server(request: HttpRequest) -> HttpResponse:
    """RFC 8414."""
    return reply(_metadata())


@require_safe
def openid_configuration(request: HttpRequest) -> HttpResponse:
    """OpenID Connect Discovery 1.0."""
    claims = "iss sub aud azp exp iat auth_time nonce at_hash name preferred_username email email_verified"
    return reply(
        _metadata()
        | {
            "userinfo_endpoint": f"{the_hub().url}/userinfo",
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "claims_supported": claims.split(),
            "prompt_values_supported": ["none", "login", "consent", "select_account"],
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
        }
    )


@require_safe
def jwks(request: HttpRequest) -> HttpResponse:
    """The published signing keys (RFC 7517)."""
    hub = the_hub()
    with hub.lock:
        return reply(hub.signer.jwks())


@require_http_methods(["GET", "HEAD", "POST"])
def userinfo(request: HttpRequest) -> HttpResponse:
    """OpenID Connect Core 5.3."""
    hub = the_hub()
    token = bearer(request, "openid", any_audience=True)
    if isinstance(token, HttpResponse):
        return token
    sub = "somebody-else" if hub.switches.strikes("userinfo_wrong_sub", token.client_id) else token.sub
    return reply({"sub": sub, **about(hub, token.sub, token.scopes)})
