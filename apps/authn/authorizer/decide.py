"""One token against one authorizer. The issuers are alternatives; within an issuer every clause must hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from apps.authn.authorizer import introspected
from apps.authn.jwt import IssuerPolicy, KeySet, VerifiedClaims, parse, verify, wanted_key_id
from apps.core.errors import PortalError, Unauthenticated
from apps.core.secret import Secret

# Reason of a refusal -> the clause of the authorizer that gave it. What is missing here is the token's own form.
_CLAUSES = {
    "issuer_not_configured": "discoveryUrl",
    "issuer_mismatch": "discoveryUrl",
    "signature_invalid": "discoveryUrl",
    "kid_unknown": "discoveryUrl",
    "kid_missing": "discoveryUrl",
    "key_alg_mismatch": "discoveryUrl",
    "issuer_keys_unavailable": "discoveryUrl",
    "alg_not_allowed": "algorithms",
    "audience_mismatch": "allowedAudience",
    "client_not_allowed": "allowedClients",
    "insufficient_scope": "allowedScopes",
    "claim_mismatch": "customClaims",
    "token_inactive": "introspection",
    "introspection_failed": "introspection",
    "opaque_token_not_accepted": "introspection",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRules:
    """One issuer of an authorizer. `opaque`: its tokens that are no JWT are asked about at the issuer (RFC 7662)."""

    policy: IssuerPolicy
    jwks_uri: str
    stale_max_s: int = 0
    opaque: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtRules:
    """A JWT authorizer. At most one issuer may take opaque tokens: nothing in such a token says whose it is, and
    asking around would hand it to issuers that have never seen it."""

    issuers: tuple[IssuerRules, ...]

    def __post_init__(self) -> None:
        if sum(one.opaque for one in self.issuers) > 1:
            raise ValueError("at most one issuer takes opaque tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """The token passed; `clause` says which issuer let it in and by what."""

    claims: VerifiedClaims
    clause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The token was stopped by `clause`; `refusal` carries the reason and whether it is about proof or rights."""

    refusal: PortalError
    clause: str


KeysFor = Callable[[IssuerRules, str | None], KeySet]
Introspect = Callable[[IssuerRules, Secret], Mapping[str, object]]


def decide(
    token: Secret, rules: JwtRules, *, keys_for: KeysFor, introspect: Introspect, now: datetime
) -> Passed | Stopped:
    """Judge a bearer token. `now` is timezone-aware.

    `keys_for` gets the issuer and the wanted key id and may fetch; `introspect` asks the issuer about an opaque
    token and returns the answer's members. Both may raise PortalError, which stops the token: an issuer that
    cannot be asked lets nobody in.
    """
    text = token.reveal()
    issuer: IssuerRules | None = None
    try:
        if introspected.looks_opaque(text):
            issuer = next((one for one in rules.issuers if one.opaque), None)
            if issuer is None:
                raise Unauthenticated(reason="malformed")
            claims = introspected.check(introspect(issuer, token), issuer.policy, now=now)
        else:
            unverified = parse(text)
            claimed = unverified.claimed_issuer()
            issuer = next((one for one in rules.issuers if one.policy.issuer == claimed), None)
            if issuer is None:
                raise Unauthenticated(reason="issuer_not_configured")
            keys = keys_for(issuer, wanted_key_id(unverified, issuer.policy))
            claims = verify(unverified, issuer.policy, keys, now=now)
    except PortalError as refusal:
        return Stopped(refusal=refusal, clause=_named(issuer, _CLAUSES.get(refusal.reason, "token")))
    return Passed(claims=claims, clause=_named(issuer, _let_in(claims, issuer.policy)))


def _named(issuer: IssuerRules | None, clause: str) -> str:
    return clause if issuer is None else f"{issuer.policy.issuer} {clause}"


def _let_in(claims: VerifiedClaims, policy: IssuerPolicy) -> str:
    """Every configured restriction held; say which, with what of the token met it."""
    met = []
    if policy.audiences:
        met.append(f"allowedAudience={next((one for one in claims.audiences if one in policy.audiences), 'by client')}")
    if policy.clients:
        met.append(f"allowedClients={claims.client}")
    if policy.scopes:
        met.append(f"allowedScopes={' '.join(one for one in policy.scopes if one in claims.scopes)}")
    if policy.rules:
        met.append(f"customClaims={' '.join(rule.claim for rule in policy.rules)}")
    return ", ".join(met)
