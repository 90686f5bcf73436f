"""The grants the portal knows, and no others: oauthlib's machinery, put together from its parts.

What is not here cannot be switched on by a setting or a client's row: no implicit, no password, no hybrid, no device
grant. With `validator.py` this is the only module that knows oauthlib and the toolkit.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from oauthlib.oauth2 import (
    AuthorizationCodeGrant,
    AuthorizationEndpoint,
    BearerToken,
    ClientCredentialsGrant,
    RefreshTokenGrant,
    RevocationEndpoint,
    TokenEndpoint,
)
from oauthlib.oauth2.rfc6749.grant_types.authorization_code import code_challenge_method_s256

from apps.authn.oauth.validator import PortalValidator
from apps.core import tickets
from apps.core.secret import Secret

ACCESS_TOKEN_LIFE_S: int = settings.OAUTH2_PROVIDER["ACCESS_TOKEN_EXPIRE_SECONDS"]  # type: ignore[assignment]
REFRESH_TOKEN_LIFE_S: int = settings.OAUTH2_PROVIDER["REFRESH_TOKEN_EXPIRE_SECONDS"]  # type: ignore[assignment]
GRANT_TYPES = ("authorization_code", "client_credentials", "refresh_token")


def code_digest(code: Secret) -> str:
    """The form in which a code is stored, looked up and compared: the toolkit never sees the code itself."""
    return hashlib.sha256(b"portal/authorization-code/v1\0" + code.reveal().encode()).hexdigest()


class _CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    """PKCE with S256 only (RFC 7636 section 4.2; RFC 9700 section 2.1.1), and codes of our own making."""

    _code_challenge_methods = {"S256": code_challenge_method_s256}

    def __init__(self, validator: PortalValidator, account_id: str) -> None:
        super().__init__(validator)
        self._account_id = account_id

    def create_authorization_code(self, request: Any) -> dict[str, str]:
        code = tickets.mint(tickets.Kind.AUTHORIZATION_CODE, self._account_id)
        answer = {"code": code.reveal()}
        if request.state:
            answer["state"] = request.state
        return answer


class PortalServer(AuthorizationEndpoint, TokenEndpoint, RevocationEndpoint):  # type: ignore[misc]
    """One tenant's authorization server for one request."""

    def __init__(self, validator: PortalValidator, account_id: str) -> None:
        bearer = BearerToken(
            validator,
            token_generator=lambda _request: tickets.mint(tickets.Kind.ACCESS_TOKEN, account_id).reveal(),
            refresh_token_generator=lambda _request: tickets.mint(tickets.Kind.REFRESH_TOKEN, account_id).reveal(),
            expires_in=ACCESS_TOKEN_LIFE_S,
        )
        code = _CodeGrant(validator, account_id)
        AuthorizationEndpoint.__init__(
            self, default_response_type="code", response_types={"code": code}, default_token_type=bearer
        )
        grants = {
            "authorization_code": code,
            "client_credentials": ClientCredentialsGrant(validator),
            "refresh_token": RefreshTokenGrant(validator),
        }
        TokenEndpoint.__init__(
            self, default_grant_type="authorization_code", grant_types=grants, default_token_type=bearer
        )
        RevocationEndpoint.__init__(self, validator)
