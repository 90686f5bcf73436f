"""Discovery and signing keys."""

from __future__ import annotations

import requests
from joserfc import jwt
from joserfc.jwk import KeySet

from apps.demo_hub.driver import HubProcess


def keys_of(hub: HubProcess) -> list[dict[str, str]]:
    return list(requests.get(f"{hub.url}/jwks", timeout=20).json()["keys"])


def test_discovery_tells_the_truth(hub: HubProcess) -> None:
    oidc = requests.get(f"{hub.url}/.well-known/openid-configuration", timeout=20).json()
    oauth = requests.get(f"{hub.url}/.well-known/oauth-authorization-server", timeout=20).json()
    assert oidc["issuer"] == oauth["issuer"] == hub.url
    assert oidc["authorization_response_iss_parameter_supported"] is True
    assert oidc["code_challenge_methods_supported"] == ["S256"]
    assert all(oidc[name] == value for name, value in oauth.items())
    for name, value in oidc.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert value.startswith(hub.url)
            assert requests.get(value, timeout=20).status_code != 404, name


def test_the_key_set_holds_public_keys_of_both_kinds(hub: HubProcess) -> None:
    keys = keys_of(hub)
    assert {key["alg"] for key in keys} == {"RS256", "ES256"} and len({key["kid"] for key in keys}) == len(keys)
    assert not any(private in key for key in keys for private in ("d", "p", "q", "dp", "dq", "qi"))


def test_rotated_keys_sign_and_old_ones_stay_until_they_are_dropped(other_hub: HubProcess) -> None:
    dana = other_hub.person("dana")
    old_token = dana.sign_in_and_get_jwt()
    old = {key["kid"] for key in keys_of(other_hub)}
    new = set(other_hub.rotate_keys())
    assert {key["kid"] for key in keys_of(other_hub)} == old | new and not old & new
    new_token = dana.sign_in_and_get_jwt()
    everything = KeySet.import_key_set({"keys": keys_of(other_hub)})
    assert jwt.decode(old_token, everything, algorithms=["RS256"]).header["kid"] in old
    assert jwt.decode(new_token, everything, algorithms=["RS256"]).header["kid"] in new
    newest = set(other_hub.rotate_keys(drop_old=True))
    assert {key["kid"] for key in keys_of(other_hub)} == newest
