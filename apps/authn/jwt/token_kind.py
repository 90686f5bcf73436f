"""Is this signed thing an access token, an ID token, or something that was never meant as a credential?

Issuers sign many things with the same keys. Each check looks at marks the issuer put there, in the order of how
certain they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from apps.authn.jwt.issuer_policy import CLIENT_CLAIMS
from apps.core.errors import Unauthenticated

# RFC 7519 5.1 and RFC 9068 2.1. Everything else (logout+jwt, dpop+jwt, secevent+jwt, ...) says it is something else.
_TYPES = frozenset({"jwt", "at+jwt"})
# RFC 8417 `events` (logout and security event tokens), RFC 9449 `htm` and `htu`, RFC 9701.
_NEVER_A_CREDENTIAL = ("events", "htm", "htu", "token_introspection")
_NEVER_KEYCLOAK = ("Refresh", "Offline", "Logout")
# OIDC Core 2 and 3.3.2.11: hashes of what was handed out beside the ID token.
_HASHES = ("at_hash", "c_hash", "s_hash")
_RIGHTS = ("scope", "scp", "roles")


def header_type(header: Mapping[str, object]) -> str:
    """The `typ` of the header in one spelling, empty when absent. Raises Unauthenticated `token_type_not_allowed`."""
    if "typ" not in header:
        return ""
    value = header["typ"]
    # RFC 7515 4.1.9: case-insensitive, and "application/" may be left out.
    kind = value.lower().removeprefix("application/") if isinstance(value, str) else ""
    if kind not in _TYPES:
        raise Unauthenticated(reason="token_type_not_allowed")
    return kind


def refuse_other_kinds(claims: Mapping[str, object], *, typ: str, id_tokens: bool) -> None:
    """Raises Unauthenticated `token_type_not_allowed` for what is no access token (nor, if allowed, an ID token)."""
    other = (
        any(mark in claims for mark in _NEVER_A_CREDENTIAL)
        or claims.get("typ") in _NEVER_KEYCLOAK
        or claims.get("sub") == claims.get("iss")  # RFC 7523 3: how a client introduces itself
    )
    if other or (not id_tokens and is_id_token(claims, typ=typ)):
        raise Unauthenticated(reason="token_type_not_allowed")


def is_id_token(claims: Mapping[str, object], *, typ: str) -> bool:
    """Whether the marks say ID token.

    An ID token without nonce and hashes, from an issuer that names no client and no type, has no mark at all.
    Only the audience keeps that one out: list the audience of the API, not the client id.
    """
    if any(mark in claims for mark in _HASHES):
        return True
    if claims.get("typ") == "ID" or claims.get("token_use") == "id":  # Keycloak; Cognito
        return True
    if typ == "at+jwt" or claims.get("typ") == "Bearer" or claims.get("token_use") == "access":
        return False
    if any(claim in claims for claim in _RIGHTS):
        return False
    clients = [claims[name] for name in ("client_id", *CLIENT_CLAIMS) if name in claims]
    return "nonce" in claims or any(_audience_is(claims.get("aud"), client) for client in clients)


def _audience_is(audience: object, client: object) -> bool:
    return audience in (client, [client])
