"""From an unverified token to verified claims: one algorithm from our configuration, one key from the issuer.

joserfc only computes the signature. Which algorithm, which key, and what the header may contain are decided here.
Every failure is Unauthenticated with one public sentence; the reason is for the audit record.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError

from apps.authn.jwt.algorithms import ALGORITHMS, Algorithm
from apps.authn.jwt.claims import VerifiedClaims, check_claims
from apps.authn.jwt.issuer_policy import IssuerPolicy
from apps.authn.jwt.keys import KeySet, VerificationKey, is_kid
from apps.authn.jwt.token_kind import header_type
from apps.authn.jwt.unverified import UnverifiedJwt
from apps.core.errors import Unauthenticated

# A token that brings its own key, or says where to fetch one, proves nothing (CVE-2018-0114, CVE-2026-27962).
_KEY_HEADERS = ("jwk", "jku", "x5u", "x5c")
# RFC 7515 4.1.11 asks to refuse critical headers one does not know; we know none. RFC 7797 changes what is
# signed; `zip` and `enc` belong to encrypted tokens.
_UNSUPPORTED_HEADERS = ("crit", "b64", "zip", "enc")


def wanted_key_id(token: UnverifiedJwt, policy: IssuerPolicy) -> str | None:
    """The key id to look up, after all checks that need no key; None when the token names none.

    Call this before fetching keys, so that a token that cannot pass never causes a request to the issuer.
    Raises Unauthenticated.
    """
    _accepted_algorithm(token.header, policy)
    if any(name in token.header for name in _KEY_HEADERS):
        raise Unauthenticated(reason="untrusted_key_header")
    if any(name in token.header for name in _UNSUPPORTED_HEADERS):
        raise Unauthenticated(reason="unsupported_header")
    header_type(token.header)
    if token.claimed_issuer() != policy.issuer:
        raise Unauthenticated(reason="issuer_mismatch")
    if "kid" not in token.header:
        return None
    kid = token.header["kid"]
    if not isinstance(kid, str) or not is_kid(kid):
        raise Unauthenticated(reason="kid_invalid")
    return kid


def verify(token: UnverifiedJwt, policy: IssuerPolicy, keys: KeySet, *, now: datetime) -> VerifiedClaims:
    """Verify signature and claims of a token.

    `now` is timezone-aware. Raises Unauthenticated for a token that is not the issuer's, not for us or not for
    now, and NotAllowed (`client_not_allowed`, `insufficient_scope`, `claim_mismatch`) for a proven token that the
    policy leaves out.
    """
    verify_signature(token, policy, keys)
    return check_claims(token.payload, policy, typ=header_type(token.header), now=now)


def verify_signature(token: UnverifiedJwt, policy: IssuerPolicy, keys: KeySet) -> None:
    """Verify header, issuer and signature, and nothing of the claims: whoever calls this checks them.

    Raises Unauthenticated.
    """
    kid = wanted_key_id(token, policy)
    algorithm = _accepted_algorithm(token.header, policy)
    if not any(_signed_by(token, algorithm, key) for key in _choose(kid, algorithm, keys)):
        raise Unauthenticated(reason="signature_invalid")


def _accepted_algorithm(header: Mapping[str, object], policy: IssuerPolicy) -> Algorithm:
    name = header.get("alg")
    algorithm = ALGORITHMS.get(name) if isinstance(name, str) else None
    if algorithm is None or algorithm not in policy.accepted:
        raise Unauthenticated(reason="alg_not_allowed")
    return algorithm


def _choose(kid: str | None, algorithm: Algorithm, keys: KeySet) -> tuple[VerificationKey, ...]:
    """The key by this name that works with this algorithm; two only where the issuer gave two the same name."""
    if kid is None:
        named = keys.keys
    elif kid in keys.by_kid:
        named = keys.by_kid[kid]
    elif kid in keys.dropped:
        raise Unauthenticated(reason="key_alg_mismatch", private=f"that key is not usable: {keys.dropped[kid]}")
    else:
        raise Unauthenticated(reason="kid_unknown")
    fitting = tuple(key for key in named if key.fits(algorithm))
    if not fitting:
        raise Unauthenticated(reason="key_alg_mismatch")
    # OIDC Core 10.1: a token may leave the name out only where there is nothing to choose.
    if kid is None and len(fitting) > 1:
        raise Unauthenticated(reason="kid_missing")
    return fitting


def _signed_by(token: UnverifiedJwt, algorithm: Algorithm, key: VerificationKey) -> bool:
    try:
        algorithm.primitive.check_key(key.key)
        return algorithm.primitive.verify(token.signing_input, token.signature, key.key)
    except (JoseError, ValueError, TypeError, UnsupportedAlgorithm):
        return False
