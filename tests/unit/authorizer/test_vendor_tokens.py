"""The authorizer lets in tokens in the shapes the common issuers give them, and says by which clause."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apps.authn.authorizer import IssuerRules, JwtRules, Passed, Stopped, decide
from apps.authn.jwt import IssuerPolicy, KeySet
from apps.core.secret import Secret
from tests.unit.jwt.issuing import NOW, jwk, key_set, token
from tests.unit.jwt.test_vendor_tokens import ACCESS

KEYS: KeySet = key_set(jwk("rsa"))
vendors = pytest.mark.parametrize("vendor", sorted(ACCESS))


def asked(text: str, *policies: IssuerPolicy) -> Passed | Stopped:
    rules = JwtRules(issuers=tuple(IssuerRules(policy=one, jwks_uri="https://keys.example") for one in policies))

    def nobody(issuer: IssuerRules, opaque: Secret) -> dict[str, object]:
        raise AssertionError("no issuer takes opaque tokens")

    return decide(Secret(text), rules, keys_for=lambda issuer, kid: KEYS, introspect=nobody, now=NOW)


def made(vendor: str, **changes: Any) -> str:
    header, claims, _, _ = ACCESS[vendor]
    return token({**claims, **changes}, header=header)


@vendors
def test_a_token_of_each_vendor_is_let_in_among_the_issuers_of_all_the_others(vendor: str) -> None:
    issuers: dict[str, IssuerPolicy] = {}
    for _, _, policy, _ in ACCESS.values():
        issuers.setdefault(policy.issuer, policy)
    own = ACCESS[vendor][2]
    issuers[own.issuer] = own
    verdict = asked(made(vendor), *issuers.values())
    assert isinstance(verdict, Passed), verdict
    assert verdict.claims.issuer == own.issuer
    assert verdict.clause.startswith(f"{own.issuer} allowed")


@vendors
def test_the_same_token_is_stopped_by_the_clause_that_does_not_fit(vendor: str) -> None:
    _, claims, policy, _ = ACCESS[vendor]
    elsewhere = asked(made(vendor), replace(policy, issuer="https://other.example"))
    assert isinstance(elsewhere, Stopped)
    assert (elsewhere.refusal.reason, elsewhere.clause) == ("issuer_not_configured", "discoveryUrl")
    other_client = asked(made(vendor), replace(policy, clients=("somebody-else",)))
    assert isinstance(other_client, Stopped)
    assert other_client.clause == f"{policy.issuer} " + (
        "allowedClients" if other_client.refusal.reason == "client_not_allowed" else "allowedAudience"
    )
    narrow = asked(made(vendor), replace(policy, scopes=("never:granted",)))
    assert isinstance(narrow, Stopped) and narrow.clause == f"{policy.issuer} allowedScopes"
