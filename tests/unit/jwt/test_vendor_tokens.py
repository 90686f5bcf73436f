"""Tokens in the shapes the common issuers give them: they pass with the policy one would write for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apps.authn.jwt import IssuerPolicy
from apps.core.errors import Unauthenticated
from tests.unit.jwt.issuing import NOW_S, check, jwk, key_set, token

TIMES = {"iat": NOW_S - 5, "exp": NOW_S + 3600}
TENANT = "0f6b1f6e-3a60-4a0e-9f0e-0f5d3f0c2b11"
API = "6e74172b-be56-4843-9ff4-e66a39bb12e3"
POOL = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123"
COGNITO_CLIENT = "1h57kf5cpq17m0eml12EXAMPLE"

# name: header changes, claims, policy, expected client
ACCESS: dict[str, tuple[dict[str, Any], dict[str, Any], IssuerPolicy, str | None]] = {
    "okta": (
        {"typ": ...},
        {
            "ver": 1,
            "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
            "iss": "https://acme.okta.example/oauth2/default",
            "aud": "api://default",
            "cid": "0oab8eb55Kb9jdMIr5d6",
            "uid": "00ub0oNGTSWTBKOLGLNR",
            "scp": ["openid", "agent.invoke"],
            "sub": "john.doe@acme.example",
            **TIMES,
        },
        IssuerPolicy(
            issuer="https://acme.okta.example/oauth2/default",
            audiences=("api://default",),
            clients=("0oab8eb55Kb9jdMIr5d6",),
            client_claims=("cid",),
            scopes=("agent.invoke",),
        ),
        "0oab8eb55Kb9jdMIr5d6",
    ),
    "entra v2": (
        {"x5t": "aPctw_odvROoENg3VoOlIh2tiEs"},
        {
            "aud": API,
            "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "nbf": NOW_S - 5,
            "aio": "ATQAy/8TAAAA",
            "azp": "b14a7505-96e9-4927-91e8-0601d0fc9caa",
            "azpacr": "1",
            "name": "Alice",
            "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474",
            "preferred_username": "alice@acme.example",
            "rh": "0.AAAA",
            "scp": "Agent.Invoke",
            "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
            "tid": TENANT,
            "uti": "fqiBqXLPj0eQa82S-IYFAA",
            "ver": "2.0",
            **TIMES,
        },
        IssuerPolicy(
            issuer=f"https://login.microsoftonline.com/{TENANT}/v2.0",
            audiences=(API,),
            clients=("b14a7505-96e9-4927-91e8-0601d0fc9caa",),
            client_claims=("azp", "appid"),
            scopes=("Agent.Invoke",),
        ),
        "b14a7505-96e9-4927-91e8-0601d0fc9caa",
    ),
    "entra v1": (
        {"x5t": "aPctw_odvROoENg3VoOlIh2tiEs"},
        {
            "aud": f"api://{API}",
            "iss": f"https://sts.windows.net/{TENANT}/",
            "nbf": NOW_S - 5,
            "appid": "b14a7505-96e9-4927-91e8-0601d0fc9caa",
            "appidacr": "0",
            "scp": "Agent.Invoke",
            "sub": "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA",
            "ver": "1.0",
            **TIMES,
        },
        IssuerPolicy(
            issuer=f"https://sts.windows.net/{TENANT}/",
            audiences=(f"api://{API}",),
            clients=("b14a7505-96e9-4927-91e8-0601d0fc9caa",),
            client_claims=("azp", "appid"),
        ),
        "b14a7505-96e9-4927-91e8-0601d0fc9caa",
    ),
    "entra application": (
        {},
        {
            "aud": API,
            "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "azp": "b14a7505-96e9-4927-91e8-0601d0fc9caa",
            "roles": ["Agent.Invoke.All"],
            "sub": "f0e1d2c3-1111-2222-3333-444455556666",
            "oid": "f0e1d2c3-1111-2222-3333-444455556666",
            **TIMES,
        },
        IssuerPolicy(issuer=f"https://login.microsoftonline.com/{TENANT}/v2.0", audiences=(API,)),
        None,
    ),
    "cognito by client": (
        {"typ": ...},
        {
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "cognito:groups": ["staff"],
            "iss": POOL,
            "version": 2,
            "client_id": COGNITO_CLIENT,
            "event_id": "64f513be-32db-42b0-b78e-b02127b4f463",
            "token_use": "access",
            "scope": "openid agents/invoke",
            "auth_time": NOW_S - 60,
            "jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "username": "alice",
            **TIMES,
        },
        IssuerPolicy(issuer=POOL, clients=(COGNITO_CLIENT,), scopes=("agents/invoke",)),
        COGNITO_CLIENT,
    ),
    "cognito by client id as audience": (
        {"typ": ...},
        {"sub": "aaaa", "iss": POOL, "client_id": COGNITO_CLIENT, "token_use": "access", **TIMES},
        IssuerPolicy(issuer=POOL, audiences=(COGNITO_CLIENT,)),
        COGNITO_CLIENT,
    ),
    "auth0": (
        {},
        {
            "iss": "https://acme.eu.auth0.example/",
            "sub": "auth0|507f1f77bcf86cd799439020",
            "aud": ["https://api.acme.example", "https://acme.eu.auth0.example/userinfo"],
            "azp": "my_client_id",
            "scope": "openid profile agent:invoke",
            "permissions": ["agent:invoke"],
            **TIMES,
        },
        IssuerPolicy(
            issuer="https://acme.eu.auth0.example/",
            audiences=("https://api.acme.example",),
            clients=("my_client_id",),
            client_claims=("azp",),
            scopes=("agent:invoke",),
        ),
        "my_client_id",
    ),
    "auth0 in the RFC 9068 profile": (
        {"typ": "at+jwt"},
        {
            "iss": "https://acme.eu.auth0.example/",
            "sub": "my_client_id@clients",
            "aud": "https://api.acme.example",
            "client_id": "my_client_id",
            "jti": "7xRj9VpkLtWq",
            **TIMES,
        },
        IssuerPolicy(
            issuer="https://acme.eu.auth0.example/", audiences=("https://api.acme.example",), clients=("my_client_id",)
        ),
        "my_client_id",
    ),
    "keycloak": (
        {},
        {
            "jti": "onrtac:7b0c6a1e-0a57-4b8d-a4f2-5b5f0d0f0e01",
            "iss": "https://sso.acme.example/realms/acme",
            "aud": ["agents", "account"],
            "sub": "b5b2a9f4-7a44-4d8f-8b2e-6f4f8a2f9d11",
            "typ": "Bearer",
            "azp": "agent-app",
            "sid": "b8a5",
            "acr": "1",
            "nbf": 0,
            "allowed-origins": ["https://app.acme.example"],
            "realm_access": {"roles": ["offline_access", "uma_authorization"]},
            "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
            "scope": "openid email profile",
            "email_verified": True,
            "preferred_username": "alice",
            **TIMES,
        },
        IssuerPolicy(
            issuer="https://sso.acme.example/realms/acme",
            audiences=("agents",),
            clients=("agent-app",),
            client_claims=("azp",),
        ),
        "agent-app",
    ),
}

ID_TOKENS: dict[str, tuple[dict[str, Any], str]] = {
    "google": (
        {
            "iss": "https://accounts.google.com",
            "azp": "1234987819200.apps.googleusercontent.com",
            "aud": "1234987819200.apps.googleusercontent.com",
            "sub": "10769150350006150715113082367",
            "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
            "hd": "acme.example",
            "email": "alice@acme.example",
            "email_verified": True,
            "nonce": "0394852-3190485-2490358",
        },
        "1234987819200.apps.googleusercontent.com",
    ),
    "google without nonce": (
        {
            "iss": "https://accounts.google.com",
            "azp": "1234987819200.apps.googleusercontent.com",
            "aud": "1234987819200.apps.googleusercontent.com",
            "sub": "10769150350006150715113082367",
        },
        "1234987819200.apps.googleusercontent.com",
    ),
    "okta": (
        {
            "ver": 1,
            "sub": "00uid4BxXw6I6TV4m0g3",
            "iss": "https://acme.okta.example/oauth2/default",
            "aud": "0oab8eb55Kb9jdMIr5d6",
            "jti": "ID.4eAWJOCMB3SX8XewDfVR",
            "amr": ["pwd"],
            "idp": "00ok1u7AsAkrwdZL3z0g3",
            "nonce": "n",
            "at_hash": "cpqKfdQA5eH891Ff5oJr_Q",
        },
        "0oab8eb55Kb9jdMIr5d6",
    ),
    "entra": (
        {
            "ver": "2.0",
            "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "aud": "6cb04018-a3f5-46a7-b995-940c78f5aef3",
            "nonce": "12345",
            "tid": TENANT,
            "oid": "00000000-0000-0000-66f3-3332eca7ea81",
        },
        "6cb04018-a3f5-46a7-b995-940c78f5aef3",
    ),
    "cognito": (
        {"sub": "aaaa", "iss": POOL, "aud": COGNITO_CLIENT, "token_use": "id", "cognito:username": "alice"},
        COGNITO_CLIENT,
    ),
    "auth0": (
        {
            "iss": "https://acme.eu.auth0.example/",
            "sub": "auth0|507f",
            "aud": "my_client_id",
            "sid": "s",
            "nonce": "n",
            "name": "Alice",
        },
        "my_client_id",
    ),
    "keycloak": (
        {
            "iss": "https://sso.acme.example/realms/acme",
            "sub": "b5b2",
            "aud": "agent-app",
            "typ": "ID",
            "azp": "agent-app",
            "sid": "b8a5",
        },
        "agent-app",
    ),
}


@pytest.mark.parametrize("vendor", ACCESS)
def test_an_access_token_of_a_common_issuer_is_accepted(vendor: str) -> None:
    header, claims, policy, client = ACCESS[vendor]
    verified = check(token(claims, header=header), policy)
    assert verified.principal == (claims["iss"], claims["sub"])
    assert verified.client == client
    assert not verified.is_id_token


@pytest.mark.case("T017")
@pytest.mark.parametrize("vendor", ID_TOKENS)
def test_T017_an_id_token_of_a_common_issuer_is_accepted_only_where_id_tokens_are(vendor: str) -> None:
    claims, audience = ID_TOKENS[vendor]
    text = token({**claims, **TIMES})
    policy = IssuerPolicy(issuer=claims["iss"], audiences=(audience,), allow_id_tokens=True)
    assert check(text, policy).principal == (claims["iss"], claims["sub"])
    with pytest.raises(Unauthenticated) as caught:
        check(text, replace(policy, allow_id_tokens=False))
    assert caught.value.reason == "token_type_not_allowed"


@pytest.mark.parametrize("vendor", ID_TOKENS)
def test_the_client_of_an_id_token_is_its_audience(vendor: str) -> None:
    claims, audience = ID_TOKENS[vendor]
    policy = IssuerPolicy(
        issuer=claims["iss"], audiences=(audience,), clients=(audience,), client_claims=("azp",), allow_id_tokens=True
    )
    assert check(token({**claims, **TIMES}), policy).client == audience


@pytest.mark.case("T014")
def test_T014_a_missing_audience_is_forgiven_only_to_cognito() -> None:
    claims = {"sub": "a", "iss": POOL, "client_id": COGNITO_CLIENT, "token_use": "access", **TIMES}
    policy = IssuerPolicy(issuer=POOL, audiences=(COGNITO_CLIENT,))
    assert check(token(claims), policy).subject == "a"
    for change in ({"token_use": "id"}, {"token_use": None}, {"client_id": "other"}, {"client_id": [COGNITO_CLIENT]}):
        with pytest.raises(Unauthenticated):
            check(token({**claims, **change}), policy)


def test_keys_as_the_common_issuers_publish_them() -> None:
    keys = key_set(
        jwk("rsa", alg="RS256", e="AQAB"),  # Google, Okta, Auth0
        jwk("rsa/other", kid="enc", use="enc", alg="RSA-OAEP"),  # Keycloak's encryption key
        jwk("rsa/entra", x5t="abc", x5c=["MIIC"], issuer="https://login.microsoftonline.com/{tenantid}/v2.0"),
    )
    assert [key.kid for key in keys.keys] == ["rsa", "rsa/entra"]
