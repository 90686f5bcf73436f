"""Inbound JSON Web Tokens of issuers a tenant trusts.

    token = parse(text)
    policy = ...                                   # by tenant and token.claimed_issuer(), exact text
    keys = cache.keys_for(tenant_id, jwks_uri, kid=wanted_key_id(token, policy))
    claims = verify(token, policy, keys, now=now())

Pure, apart from the cache, which is handed its fetch function and its clock.
"""

from apps.authn.jwt.bearer import bearer_token
from apps.authn.jwt.claims import VerifiedClaims
from apps.authn.jwt.issuer_policy import DEFAULT_ALGORITHMS, ClaimRule, IssuerPolicy
from apps.authn.jwt.jwks_cache import JwksCache
from apps.authn.jwt.keys import KeySet, parse_key_set
from apps.authn.jwt.unverified import UnverifiedJwt, parse
from apps.authn.jwt.verify import verify, verify_signature, wanted_key_id

__all__ = [
    "DEFAULT_ALGORITHMS",
    "ClaimRule",
    "IssuerPolicy",
    "JwksCache",
    "KeySet",
    "UnverifiedJwt",
    "VerifiedClaims",
    "bearer_token",
    "parse",
    "parse_key_set",
    "verify",
    "verify_signature",
    "wanted_key_id",
]
