"""Opaque tokens: what their issuer answers about them (RFC 7662), held to the same rules as a JWT's claims."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from apps.authn.jwt import IssuerPolicy, VerifiedClaims
from apps.authn.jwt.claims import check_claims
from apps.core.errors import Unauthenticated

MAX_TOKEN_CHARS = 4096
# RFC 6750 2.1, without the dots that make three or five segments: those are JWS and JWE, and never sent anywhere.
_OPAQUE = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def looks_opaque(text: str) -> bool:
    """Whether a token is neither a JWS nor a JWE in compact form, nor too long to be an opaque one.

    A JWT that fails must not get a second chance at another door (T010), so everything with the dots of one is one.
    """
    return len(text) <= MAX_TOKEN_CHARS and text.count(".") not in (2, 4) and _OPAQUE.fullmatch(text) is not None


def check(answer: Mapping[str, object], policy: IssuerPolicy, *, now: datetime) -> VerifiedClaims:
    """Claims of an introspection answer, checked against the issuer's policy.

    `active` must be the literal true. `iss` may be absent, because the answer came from the issuer's own endpoint,
    but never another. `exp` and `iat` may be absent (section 2.2): the answer is about this very moment and is not
    kept. Where they are there they count. Raises Unauthenticated and NotAllowed as for a JWT.
    """
    if answer.get("active") is not True:
        raise Unauthenticated(reason="token_inactive")
    if "iss" in answer and answer["iss"] != policy.issuer:
        raise Unauthenticated(reason="issuer_mismatch")
    if str(answer.get("token_type", "bearer")).lower() not in ("bearer", "access_token"):
        raise Unauthenticated(reason="token_type_not_allowed")
    moment = int(now.timestamp())
    claims = {"iat": moment, "exp": moment + 1, **answer, "iss": policy.issuer}
    claims.pop("active")
    claims.pop("token_type", None)
    return check_claims(claims, policy, typ="", now=now)
