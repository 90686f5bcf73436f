"""Checks of the claims of a token whose signature is already proven."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from apps.authn.jwt.issuer_policy import IssuerPolicy
from apps.authn.jwt.token_kind import is_id_token, refuse_other_kinds
from apps.core.errors import NotAllowed, Unauthenticated

MAX_SUBJECT_CHARS = 255
_LAST_MOMENT = 253402300799  # 9999-12-31T23:59:59Z, the last second Python and PostgreSQL agree on
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class VerifiedClaims:
    """What a token says, after everything about it was checked. Only `verify()` makes one.

    `claims` has all of them, for display and audit; decide with the typed members.
    """

    issuer: str
    subject: str
    audiences: tuple[str, ...]
    client: str | None
    scopes: frozenset[str]
    issued_at: datetime
    expires_at: datetime
    token_id: str | None
    is_id_token: bool
    claims: Mapping[str, object] = field(repr=False)

    @property
    def principal(self) -> tuple[str, str]:
        """Who this is: issuer and subject, exactly as written. E-mail and names are display only."""
        return self.issuer, self.subject


def check_claims(claims: Mapping[str, object], policy: IssuerPolicy, *, typ: str, now: datetime) -> VerifiedClaims:
    """Apply a policy to proven claims.

    Raises Unauthenticated for a token that is not for us or not for now; NotAllowed for a good token of a client,
    scope or claim that the policy leaves out.
    """
    issued_at, expires_at = _times(claims, policy, now)
    subject = _subject(claims)
    refuse_other_kinds(claims, typ=typ, id_tokens=policy.allow_id_tokens)
    id_token = is_id_token(claims, typ=typ)
    audiences = _audiences(claims, policy)
    client = _client(claims, policy, id_token=id_token, audiences=audiences)
    scopes = _scopes(claims, policy)
    if not all(rule.holds(claims) for rule in policy.rules):
        raise _not_allowed("claim_mismatch")
    token_id = claims.get("jti")
    return VerifiedClaims(
        issuer=policy.issuer,
        subject=subject,
        audiences=audiences,
        client=client,
        scopes=scopes,
        issued_at=issued_at,
        expires_at=expires_at,
        token_id=token_id if isinstance(token_id, str) else None,
        is_id_token=id_token,
        claims=MappingProxyType(dict(claims)),
    )


def _times(claims: Mapping[str, object], policy: IssuerPolicy, now: datetime) -> tuple[datetime, datetime]:
    moment = now.timestamp()
    expires, issued = _seconds(claims, "exp"), _seconds(claims, "iat")
    if moment >= expires + policy.leeway_s:
        raise Unauthenticated(reason="token_expired")
    if issued > moment + policy.leeway_s:
        raise Unauthenticated(reason="token_not_yet_valid")
    if "nbf" in claims and _seconds(claims, "nbf") > moment + policy.leeway_s:
        raise Unauthenticated(reason="token_not_yet_valid")
    if policy.max_lifetime_s is not None and expires - issued > policy.max_lifetime_s:
        raise Unauthenticated(reason="exp_invalid")
    return _EPOCH + timedelta(seconds=issued), _EPOCH + timedelta(seconds=expires)


def _seconds(claims: Mapping[str, object], name: str) -> float:
    """A NumericDate (RFC 7519 2): seconds since 1970, a number and not a text that looks like one."""
    if name not in claims:
        raise Unauthenticated(reason=f"{name}_missing")
    value = claims[name]
    # bool is an int to Python, and comparing with NaN is always false.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unauthenticated(reason=f"{name}_invalid")
    if not 0 <= value <= _LAST_MOMENT:
        raise Unauthenticated(reason=f"{name}_invalid")
    return value


def _subject(claims: Mapping[str, object]) -> str:
    subject = claims.get("sub")
    if (
        not isinstance(subject, str)
        or not 0 < len(subject) <= MAX_SUBJECT_CHARS
        # Two people must never look alike in an audit record because one id holds a line break.
        or any(unicodedata.category(char) == "Cc" for char in subject)
    ):
        raise Unauthenticated(reason="sub_invalid")
    return subject


def _audiences(claims: Mapping[str, object], policy: IssuerPolicy) -> tuple[str, ...]:
    found = claims.get("aud")
    if "aud" not in claims:
        # Cognito's access tokens carry no `aud`; the client they were issued to stands for it, but only for
        # tokens with Cognito's own mark, and only if that very client id is listed.
        if claims.get("token_use") == "access" and claims.get("client_id") in (*policy.audiences, *policy.clients):
            return ()
        if not policy.audiences:
            return ()  # the client list, which then is not empty, decides
        raise Unauthenticated(reason="audience_mismatch")
    several = found if isinstance(found, list) else [found]
    names = tuple(one for one in several if isinstance(one, str))
    if not names or len(names) != len(several):
        raise Unauthenticated(reason="audience_mismatch")
    if policy.audiences and not any(one in policy.audiences for one in names):
        raise Unauthenticated(reason="audience_mismatch")
    return names


def _client(
    claims: Mapping[str, object], policy: IssuerPolicy, *, id_token: bool, audiences: tuple[str, ...]
) -> str | None:
    values = [claims[name] for name in ("client_id", *policy.client_claims) if name in claims]
    if not values and id_token and len(audiences) == 1:
        values = [audiences[0]]  # OIDC Core 2: the audience of an ID token is the client
    client = values[0] if values else None
    if not policy.clients:
        return client if isinstance(client, str) else None
    # Names that disagree are refused, not ranked: an attacker would bring the one that ranks higher.
    if not isinstance(client, str) or any(value != client for value in values) or client not in policy.clients:
        raise _not_allowed("client_not_allowed")
    return client


def _scopes(claims: Mapping[str, object], policy: IssuerPolicy) -> frozenset[str]:
    """Scopes of `scope` (RFC 8693 4.2, space-separated) and `scp` (Entra ID a text, Okta a list), nothing else."""
    found: set[str] = set()
    for name in ("scope", "scp"):
        value = claims.get(name)
        if isinstance(value, str):
            found.update(one for one in value.split(" ") if one)
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            found.update(one for one in value if isinstance(one, str) and one)
        elif value is not None and policy.scopes:
            raise _not_allowed("insufficient_scope")
    if policy.scopes:
        match = any if policy.scope_match == "any" else all
        if not match(one in found for one in policy.scopes):
            raise _not_allowed("insufficient_scope")
    return frozenset(found)


def _not_allowed(reason: str) -> NotAllowed:
    return NotAllowed("The token is good, but what it was issued for is not allowed here.", reason=reason)
