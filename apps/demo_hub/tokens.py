"""Codes, access tokens and refresh tokens: issued, redeemed, rotated, ended."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import Any

from . import scopes
from .errors import OAuthError
from .hub import Hub
from .model import CODE_LIFETIME_S, AccessToken, Client, Code, Grant, RefreshToken, digest

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 4.1
# Refresh tokens remembered per family, so that an endless series of refreshes does not fill the memory.
_FAMILY_KEPT = 64


def s256(verifier: str) -> str:
    """The S256 code challenge of a verifier (RFC 7636 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def issue_code(hub: Hub, code: Code) -> str:
    """Remember an authorization code and return its text."""
    text = secrets.token_urlsafe(32)
    code.expires_at = hub.now() + CODE_LIFETIME_S
    with hub.changing() as state:
        state.codes[digest(text)] = code
    return text


def redeem_code(
    hub: Hub, client: Client, *, flavour: str, code: str, redirect_uri: str | None, verifier: str | None
) -> tuple[Grant, Code]:
    """Turn a code into a grant, once.

    Raises:
        OAuthError: invalid_grant. A code that comes back ends what was issued for it (RFC 6749 4.1.2). A failed
            attempt spends the code too, so that a thief has one guess at the verifier.
    """
    with hub.changing() as state:
        held = state.codes.get(digest(code))
        if held is None or held.client_id != client.client_id or held.flavour != flavour:
            raise OAuthError("invalid_grant", "The code is unknown.")
        if held.spent:
            hub.ledger.happened("code_reuses")
            if held.grant_id:
                _end(hub, held.grant_id, "code_reused")
            raise OAuthError("invalid_grant", "The code was used before.")
        held.spent = True
        if held.expires_at <= hub.now():
            raise OAuthError("invalid_grant", "The code has expired.")
        if (redirect_uri is not None or held.redirect_uri_given) and redirect_uri != held.redirect_uri:
            raise OAuthError("invalid_grant", "redirect_uri is not the one that the code was sent to.")
        _check_verifier(held.challenge, verifier)
        if hub.person(held.sub) is None:
            raise OAuthError("invalid_grant", "The account is not active any more.")
        grant = _new_grant(hub, client, held.flavour, held.sub, held.scopes, held.audience, held.auth_time)
        held.grant_id = grant.grant_id
        return grant, held


def _check_verifier(challenge: str, verifier: str | None) -> None:
    if not challenge:
        if verifier is not None:
            # RFC 9700 4.8.2: a verifier without a challenge means that somebody removed the challenge on the way.
            raise OAuthError("invalid_grant", "A code_verifier was sent for a code without a code_challenge.")
        return
    if verifier is None or not _VERIFIER.fullmatch(verifier):
        raise OAuthError("invalid_grant", "code_verifier is missing or malformed.")
    if not hmac.compare_digest(s256(verifier).encode(), challenge.encode()):
        raise OAuthError("invalid_grant", "code_verifier does not match.")


def own_grant(hub: Hub, client: Client, requested: list[str], audience: str) -> Grant:
    """A grant of an application acting for itself (client credentials)."""
    with hub.changing():
        return _new_grant(hub, client, scopes.OIDC, "", requested, audience, 0)


def _new_grant(
    hub: Hub, client: Client, flavour: str, sub: str, granted: list[str], audience: str, auth_time: int
) -> Grant:
    grant = Grant(
        grant_id=f"grant-{secrets.token_hex(8)}",
        client_id=client.client_id,
        flavour=flavour,
        sub=sub,
        scopes=list(granted),
        audience=audience,
        auth_time=auth_time,
        created_at=hub.now(),
    )
    if sub:  # what an application does for itself leaves no grant that anybody could withdraw
        hub.state.grants[grant.grant_id] = grant
    return grant


def issue_access_token(hub: Hub, client: Client, grant: Grant, granted: list[str]) -> tuple[str, int]:
    """A new access token and its lifetime in seconds (0: it never expires)."""
    now = hub.now()
    lifetime = 0 if grant.flavour == scopes.GITHUB else client.access_lifetime_s
    if grant.flavour == scopes.GITHUB:
        text = f"gho_{secrets.token_hex(20)}"
    elif client.jwt_access_tokens:
        text = _jwt_access_token(hub, client, grant, granted, now, lifetime)
    else:
        text = f"hubat_{secrets.token_urlsafe(32)}"
    record = AccessToken(
        grant_id=grant.grant_id,
        client_id=client.client_id,
        sub=grant.sub,
        scopes=list(granted),
        audience=grant.audience,
        issued_at=now,
        expires_at=now + lifetime if lifetime else 0,
    )
    with hub.changing() as state:
        state.access_tokens[digest(text)] = record
    return text, lifetime


def _jwt_access_token(hub: Hub, client: Client, grant: Grant, granted: list[str], now: int, lifetime: int) -> str:
    claims: dict[str, Any] = {
        "iss": hub.url,
        "sub": grant.sub or client.client_id,
        "aud": hub.audience(grant.audience),
        "client_id": client.client_id,
        "iat": now,
        "exp": now + lifetime,
        "jti": secrets.token_urlsafe(16),
        "scope": " ".join(granted),
    }
    if grant.auth_time:
        claims["auth_time"] = grant.auth_time
    return hub.signer.sign(claims, "RS256", "at+jwt")  # RFC 9068


def issue_refresh_token(hub: Hub, client: Client, grant: Grant) -> str:
    """The next refresh token of a family."""
    text = f"hubrt_{secrets.token_urlsafe(32)}"
    now = hub.now()
    with hub.changing() as state:
        state.refresh_tokens[digest(text)] = RefreshToken(
            grant_id=grant.grant_id, issued_at=now, expires_at=now + client.refresh_lifetime_s
        )
        grant.refresh_digests.append(digest(text))
        while len(grant.refresh_digests) > _FAMILY_KEPT:
            state.refresh_tokens.pop(grant.refresh_digests.pop(0), None)
    return text


def redeem_refresh_token(
    hub: Hub, client: Client, token: str, requested: list[str] | None
) -> tuple[Grant, list[str], str | None]:
    """Use a refresh token: the grant, the scopes for the access token and the next refresh token, if it rotates.

    Raises:
        OAuthError: invalid_grant or invalid_scope. A token that was used before ends its whole family
            (RFC 9700 4.14.2): either the one who used it first or the one who came now is a thief.
    """
    with hub.changing() as state:
        held = state.refresh_tokens.get(digest(token))
        grant = state.grants.get(held.grant_id) if held else None
        if held is None or grant is None or grant.client_id != client.client_id:
            raise OAuthError("invalid_grant", "The refresh token is unknown.")
        if held.used_at:
            hub.ledger.happened("refresh_token_reuses")
            _end(hub, grant.grant_id, "refresh_token_reused")
            raise OAuthError("invalid_grant", "The refresh token was used before; its whole family is revoked.")
        if grant.ended_at:
            raise OAuthError("invalid_grant", "The access was withdrawn.")
        if held.expires_at <= hub.now():
            raise OAuthError("invalid_grant", "The refresh token has expired.")
        if hub.person(grant.sub) is None:
            raise OAuthError("invalid_grant", "The account is not active any more.")
        if requested is not None and not set(requested) <= set(grant.scopes):
            raise OAuthError("invalid_scope", "A refresh cannot ask for more than was granted.")
        grant.refreshes += 1
        hub.ledger.refreshed(grant.grant_id)
        following = None
        if client.rotate_refresh_tokens:
            held.used_at = hub.now()
            following = issue_refresh_token(hub, client, grant)
        return grant, requested if requested is not None else list(grant.scopes), following


def is_live(hub: Hub, held: AccessToken) -> bool:
    """Whether the resource API would accept this access token now."""
    with hub.lock:
        if held.expired_early or 0 < held.expires_at <= hub.now():
            return False
        grant = hub.state.grants.get(held.grant_id)
        if grant is not None and grant.ended_at:  # a token issued while its family was being ended
            return False
        return hub.client(held.client_id) is not None and (not held.sub or hub.person(held.sub) is not None)


def find_access_token(hub: Hub, token: str) -> AccessToken | None:
    """The live access token with this text."""
    with hub.lock:
        held = hub.state.access_tokens.get(digest(token))
        return held if held is not None and is_live(hub, held) else None


def find_refresh_token(hub: Hub, token: str) -> RefreshToken | None:
    """The live refresh token with this text."""
    with hub.lock:
        held = hub.state.refresh_tokens.get(digest(token))
        grant = hub.state.grants.get(held.grant_id) if held else None
        if held is None or grant is None or held.used_at or grant.ended_at or held.expires_at <= hub.now():
            return None
        return held


def revoke(hub: Hub, client: Client, token: str) -> bool:
    """Revoke a token of this client (RFC 7009): a refresh token with its family, an access token alone.

    Returns:
        Whether there was such a token.

    Raises:
        OAuthError: the token belongs to another client.
    """
    with hub.changing() as state:
        refresh = state.refresh_tokens.get(digest(token))
        access = state.access_tokens.get(digest(token))
        grant = state.grants.get(refresh.grant_id) if refresh else None
        owner = grant.client_id if grant else access.client_id if access else None
        if owner is None:
            return False
        if owner != client.client_id:
            raise OAuthError("unauthorized_client", "The token was issued to another client.")
        hub.ledger.happened("revocations")
        if grant:
            _end(hub, grant.grant_id, "revoked_by_client")
        else:
            del state.access_tokens[digest(token)]
        return True


def end_grant(hub: Hub, grant_id: str, because: str) -> bool:
    """End a family and every access token of it; False if it is unknown or ended already."""
    with hub.changing():
        return _end(hub, grant_id, because)


def _end(hub: Hub, grant_id: str, because: str) -> bool:
    grant = hub.state.grants.get(grant_id)
    if grant is None or grant.ended_at:
        return False
    grant.ended_at, grant.ended_because = hub.now(), because
    for text in [key for key, value in hub.state.access_tokens.items() if value.grant_id == grant_id]:
        del hub.state.access_tokens[text]
    return True


def expire_access_tokens(hub: Hub, client_id: str) -> int:
    """Make every live access token of a client expired, as if its time had passed; returns how many."""
    with hub.changing() as state:
        live = [t for t in state.access_tokens.values() if t.client_id == client_id and not t.expired_early]
        for token in live:
            token.expired_early = True
        return len(live)
