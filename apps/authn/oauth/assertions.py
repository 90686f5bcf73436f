"""Client assertions: a client proves itself with a token it signed (RFC 7523 section 3, `private_key_jwt`).

Pure: the caller brings the client's registered keys and remembers which `jti` was used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.authn.jwt import IssuerPolicy, KeySet, parse, parse_key_set, verify_signature
from apps.core.errors import Invalid, Unauthenticated, UpstreamRefused
from apps.core.secret import Secret

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGORITHMS = ("ES256", "ES384", "PS256", "RS256", "Ed25519")
MAX_LIFE = timedelta(minutes=5)
_LEEWAY_S = 10
_MAX_JTI_CHARS = 255
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MAX_KEYS = 5
_LAST_MOMENT = 253402300799  # 9999-12-31T23:59:59Z


@dataclass(frozen=True, slots=True)
class Assertion:
    """A proven assertion. `digest` stands for its `jti`; remember it until `expires_at`."""

    digest: bytes
    expires_at: datetime


def checked_key_set(document: Mapping[str, Any]) -> dict[str, Any]:
    """A client's public keys as they may be stored. Raises Invalid for a private key, an unusable or no key."""
    keys = document.get("keys")
    if not isinstance(keys, list) or not 0 < len(keys) <= _MAX_KEYS or not all(isinstance(key, dict) for key in keys):
        raise Invalid.field("jwks", f"A JWK set with 1 to {_MAX_KEYS} public keys.", reason="jwks_invalid")
    if any(_PRIVATE_MEMBERS & set(key) for key in keys):
        raise Invalid.field("jwks", "This holds a private key. Give the public half only.", reason="jwks_private")
    try:
        usable = parse_key_set(json.dumps({"keys": keys}).encode())
    except UpstreamRefused as bad:
        raise Invalid.field("jwks", "None of these keys can be used.", reason="jwks_invalid") from bad
    if len(usable.keys) != len(keys) or any(key.kid is None for key in usable.keys):
        raise Invalid.field(
            "jwks", "Every key needs a kid, and has to be an RSA, P-256, P-384 or Ed25519 one.", reason="jwks_invalid"
        )
    return {"keys": keys}


def client_id_in(assertion: Secret) -> str:
    """Who the assertion says it is from: not proven, only where to look for the keys. Raises Unauthenticated."""
    return parse(assertion.reveal()).claimed_issuer()


def prove(
    assertion: Secret, *, client_id: str, keys: Mapping[str, Any], audiences: tuple[str, ...], now: datetime
) -> Assertion:
    """Check an assertion against the client's registered keys.

    `aud` is one text, and exactly one of `audiences` (the issuer, or the token endpoint): a list could name another
    server too, which could then present the assertion here. `iss` and `sub` are the client. It lives five minutes at
    most, and has a `jti`. Raises Unauthenticated.
    """
    token = parse(assertion.reveal())
    policy = IssuerPolicy(issuer=client_id, audiences=audiences, algorithms=ASSERTION_ALGORITHMS)
    verify_signature(token, policy, _key_set(keys))
    payload = token.payload
    # A person's or another service's token, signed with the same key, is no introduction of this client.
    if payload.get("iss") != client_id or payload.get("sub") != client_id:
        raise Unauthenticated(reason="assertion_not_of_client")
    audience = payload.get("aud")
    if not isinstance(audience, str) or audience not in audiences:
        raise Unauthenticated(reason="audience_mismatch")
    jti = payload.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI_CHARS:
        raise Unauthenticated(reason="jti_missing")
    expires = _check_times(payload, now)
    return Assertion(digest=hashlib.sha256(jti.encode()).digest(), expires_at=expires + timedelta(seconds=_LEEWAY_S))


def _check_times(payload: Mapping[str, object], now: datetime) -> datetime:
    """When it ends. What counts is how long it is still good for: `iat` may say anything."""
    moment = now.timestamp()
    seconds: dict[str, float] = {}
    for name in ("exp", "iat", "nbf"):
        if name not in payload:
            continue
        value = payload[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_MOMENT:
            raise Unauthenticated(reason=f"{name}_invalid")
        seconds[name] = value
    if "exp" not in seconds:
        raise Unauthenticated(reason="exp_missing")
    if moment >= seconds["exp"] + _LEEWAY_S:
        raise Unauthenticated(reason="token_expired")
    if seconds["exp"] > moment + MAX_LIFE.total_seconds() + _LEEWAY_S:
        raise Unauthenticated(reason="exp_invalid")
    if any(seconds.get(name, 0) > moment + _LEEWAY_S for name in ("iat", "nbf")):
        raise Unauthenticated(reason="token_not_yet_valid")
    return datetime.fromtimestamp(seconds["exp"], UTC)


def _key_set(keys: Mapping[str, Any]) -> KeySet:
    try:
        return parse_key_set(json.dumps(keys).encode())
    except UpstreamRefused as bad:
        raise Unauthenticated(reason="client_has_no_key") from bad
