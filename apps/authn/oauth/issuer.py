"""A tenant's issuer and the addresses below it: one set, for metadata, tokens and the checks of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from apps.authn.api_scopes import SCOPES
from apps.authn.jwt.signing import SIGNING_ALGORITHMS
from apps.authn.oauth.assertions import ASSERTION_ALGORITHMS


@dataclass(frozen=True, slots=True)
class Issuer:
    """`identifier` is compared as text everywhere (RFC 8414 section 2, RFC 9207): https, no query, no fragment."""

    slug: str

    @property
    def identifier(self) -> str:
        return f"{settings.PUBLIC_URL}/t/{self.slug}"

    def endpoint(self, name: str) -> str:
        return f"{self.identifier}/oauth2/{name}"

    def metadata(self) -> Mapping[str, Any]:
        """RFC 8414 section 2, and what OpenID Connect Discovery 1.0 section 3 asks for besides."""
        methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
        signed = list(ASSERTION_ALGORITHMS)
        return {
            "issuer": self.identifier,
            "authorization_endpoint": self.endpoint("authorize"),
            "token_endpoint": self.endpoint("token"),
            "revocation_endpoint": self.endpoint("revoke"),
            "introspection_endpoint": self.endpoint("introspect"),
            "jwks_uri": self.endpoint("jwks"),
            "scopes_supported": sorted(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": [*methods, "none"],
            "token_endpoint_auth_signing_alg_values_supported": signed,
            "revocation_endpoint_auth_methods_supported": [*methods, "none"],
            "revocation_endpoint_auth_signing_alg_values_supported": signed,
            "introspection_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_signing_alg_values_supported": signed,
            "authorization_response_iss_parameter_supported": True,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
            "claims_parameter_supported": False,
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        }
