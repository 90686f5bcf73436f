"""Refusals in the words of RFC 6749 section 5.2, with our own reason for the audit record."""

from __future__ import annotations

from apps.core.errors import Code, PortalError

_CODES = {
    "invalid_client": Code.UNAUTHENTICATED,
    "access_denied": Code.NOT_ALLOWED,
    "unauthorized_client": Code.NOT_ALLOWED,
    "temporarily_unavailable": Code.UNAVAILABLE,
    "server_error": Code.BROKEN,
}
_WORDS = {
    "invalid_client": "The client is unknown, disabled, or did not prove itself.",
    "invalid_grant": "The code or refresh token is not valid, not this client's, used up or over.",
    "invalid_scope": "Name scopes, and only such as this client may have.",
    "unauthorized_client": "This client may not use this grant.",
    "unsupported_grant_type": "The grants are authorization_code, client_credentials and refresh_token.",
    "unsupported_response_type": "The only response type is code.",
    "invalid_target": "This authorization server issues tokens for the portal's own API only.",
    "access_denied": "The request was denied.",
}


class OAuthRefused(PortalError):
    """`error` is the word on the wire. Descriptions are fixed texts: nothing of the request comes back in them."""

    def __init__(self, error: str, *, reason: str, description: str = "") -> None:
        words = description or _WORDS.get(error, "The request is missing a parameter, or one is wrong or repeated.")
        super().__init__(words, reason=reason, code=_CODES.get(error, Code.INVALID))
        self.error = error


class AuthorizationRefused(OAuthRefused):
    """At the authorization endpoint. `return_to`: where the client hears of it, only ever a registered address;
    None: nobody is sent anywhere, the person reads it here (RFC 6749 section 4.1.2.1)."""

    def __init__(self, error: str, *, reason: str, return_to: str | None = None) -> None:
        super().__init__(error, reason=reason)
        self.return_to = return_to
