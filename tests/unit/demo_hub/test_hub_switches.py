"""Every failure switch does what it says, to whom it says, and nothing once it is off."""

from __future__ import annotations

import base64
import json
import time

import pytest
import requests
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from apps.demo_hub.driver import ControlRefused, HubClient, HubProcess, Person

from .conftest import Register, api


def refreshed(hub: HubProcess, client: HubClient, token: str) -> requests.Response:
    return hub.token_request(client, grant_type="refresh_token", refresh_token=token)


def claims_of(hub: HubProcess, token: str) -> jwt.Claims:
    keys = KeySet.import_key_set(requests.get(f"{hub.url}/jwks", timeout=20).json())
    return jwt.decode(token, keys, algorithms=["RS256"]).claims


def test_refresh_fails(hub: HubProcess, client: HubClient, dana: Person) -> None:
    tokens = dana.get_tokens(client)
    hub.switch(client, refresh_fails=True)
    for _ in range(2):
        assert refreshed(hub, client, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    hub.switch(client, refresh_fails=False)
    assert refreshed(hub, client, tokens["refresh_token"]).status_code == 200


def test_a_switch_can_strike_a_number_of_times(hub: HubProcess, client: HubClient) -> None:
    hub.switch(client, token_endpoint_500=2)
    seen = [hub.token_request(client, grant_type="client_credentials").status_code for _ in range(3)]
    assert seen == [500, 500, 200]


def test_token_endpoint_500_leaves_the_code_unspent(hub: HubProcess, client: HubClient, dana: Person) -> None:
    answer = dana.authorize(client)
    hub.switch(client, token_endpoint_500=1)
    assert dana.redeem(client, answer).status_code == 500
    assert dana.redeem(client, answer).status_code == 200


def test_invalid_grant_once(hub: HubProcess, client: HubClient, dana: Person) -> None:
    tokens = dana.get_tokens(client)
    hub.switch(client, invalid_grant_once=True)
    assert refreshed(hub, client, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert refreshed(hub, client, tokens["refresh_token"]).status_code == 200


def test_drop_response_after_rotating(hub: HubProcess, client: HubClient, dana: Person) -> None:
    tokens = dana.get_tokens(client)
    hub.switch(client, drop_response_after_rotating=1)
    with pytest.raises(requests.ConnectionError):
        refreshed(hub, client, tokens["refresh_token"])
    assert hub.grants(client)[0]["refreshes"] == 1
    assert hub.requests_seen(client=client, endpoint="token")[-1]["hung_up"] is True
    # The old token was rotated away: using it again looks like theft.
    assert refreshed(hub, client, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert hub.grants(client)[0]["ended_because"] == "refresh_token_reused"


def test_slow_ms_delays_programs_but_not_pages(hub: HubProcess, client: HubClient, dana: Person) -> None:
    hub.switch(client, slow_ms=400)
    started = time.monotonic()
    assert hub.token_request(client, grant_type="client_credentials").status_code == 200
    assert time.monotonic() - started >= 0.4
    hub.switch(client, slow_ms=60_000)
    assert dana.authorize(client).parameters["code"]


def test_deny_consent(hub: HubProcess, client: HubClient, dana: Person) -> None:
    hub.switch(client, deny_consent=True)
    assert dana.authorize(client).parameters["error"] == "access_denied"
    assert not any(page.shows("hub-approve") for page in dana.history)
    hub.clear_switches(client)
    assert dana.authorize(client).parameters["code"]


def test_wrong_iss_and_omit_iss(hub: HubProcess, client: HubClient, dana: Person) -> None:
    hub.switch(client, wrong_iss=1)
    wrong = dana.authorize(client)
    assert wrong.parameters["iss"] != hub.url and dana.redeem(client, wrong).status_code == 200
    hub.switch(client, omit_iss=2)
    omitted = dana.authorize(client)
    assert "iss" not in omitted.parameters and dana.redeem(client, omitted).status_code == 200
    assert "iss" not in dana.authorize(client, approve=False).parameters
    assert dana.authorize(client).parameters["iss"] == hub.url


def test_bad_nonce(hub: HubProcess, client: HubClient, dana: Person) -> None:
    hub.switch(client, bad_nonce=1)
    answer = dana.authorize(client)
    assert claims_of(hub, dana.redeem(client, answer).json()["id_token"])["nonce"] != answer.nonce
    answer = dana.authorize(client)
    assert claims_of(hub, dana.redeem(client, answer).json()["id_token"])["nonce"] == answer.nonce


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_bad_id_token_signature_is_right_in_every_other_respect(
    hub: HubProcess, register: Register, dana: Person, algorithm: str
) -> None:
    client = register(id_token_alg=algorithm)
    keys = KeySet.import_key_set(requests.get(f"{hub.url}/jwks", timeout=20).json())
    good = jwt.decode(dana.sign_in_and_get_jwt(client), keys, algorithms=[algorithm])
    hub.switch(client, bad_id_token_signature=1)
    bad = dana.sign_in_and_get_jwt(client)
    with pytest.raises(BadSignatureError):
        jwt.decode(bad, keys, algorithms=[algorithm])
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in bad.split(".")[:2])
    assert header == good.header
    assert claims.keys() == good.claims.keys() and claims["aud"] == client.client_id


def test_unsigned_id_token(hub: HubProcess, client: HubClient, dana: Person) -> None:
    hub.switch(client, unsigned_id_token=1)
    token = dana.sign_in_and_get_jwt(client)
    assert token.endswith(".") and token.count(".") == 2
    assert claims_of(hub, dana.sign_in_and_get_jwt(client))["aud"] == client.client_id


def test_reduce_scopes(hub: HubProcess, client: HubClient, dana: Person) -> None:
    hub.switch(client, reduce_scopes=True)
    assert dana.get_tokens(client, "openid repo:read repo:write")["scope"] == "openid repo:read"
    hub.switch(client, reduce_scopes=["repo:read"])
    tokens = dana.get_tokens(client, "openid repo:read repo:write")
    assert tokens["scope"] == "openid repo:write"
    assert api(hub, tokens["access_token"], "/api/repos").status_code == 403
    hub.switch(client, reduce_scopes=False)
    assert dana.get_tokens(client, "openid repo:read repo:write")["scope"] == "openid repo:read repo:write"


def test_omit_expires_in(hub: HubProcess, client: HubClient, dana: Person) -> None:
    hub.switch(client, omit_expires_in=1)
    assert "expires_in" not in dana.get_tokens(client)
    assert dana.get_tokens(client)["expires_in"] == 3600


def test_id_token_claims_and_token_reply(hub: HubProcess, client: HubClient, dana: Person) -> None:
    hub.switch(
        client, id_token_claims={"aud": "other", "nonce": None}, token_reply={"expires_in": "3600", "scope": None}
    )
    tokens = dana.get_tokens(client)
    claims = claims_of(hub, tokens["id_token"])
    assert claims["aud"] == "other" and "nonce" not in claims
    assert tokens["expires_in"] == "3600" and "scope" not in tokens
    hub.switch(client, id_token_claims=None, token_reply=None)
    assert claims_of(hub, dana.sign_in_and_get_jwt(client))["aud"] == client.client_id


def test_userinfo_wrong_sub(hub: HubProcess, client: HubClient, dana: Person) -> None:
    token = dana.get_tokens(client)["access_token"]
    hub.switch(client, userinfo_wrong_sub=1)
    assert api(hub, token, "/userinfo").json()["sub"] != hub.account("dana")["sub"]
    assert api(hub, token, "/userinfo").json()["sub"] == hub.account("dana")["sub"]


def test_revocation_fails(hub: HubProcess, client: HubClient, dana: Person) -> None:
    tokens = dana.get_tokens(client)
    hub.switch(client, revocation_fails=1)
    assert hub.as_client(client, "revoke", token=tokens["refresh_token"]).status_code == 503
    assert api(hub, tokens["access_token"]).status_code == 200
    assert hub.as_client(client, "revoke", token=tokens["refresh_token"]).status_code == 200
    assert api(hub, tokens["access_token"]).status_code == 401


def test_expiring_access_tokens_touches_one_client_and_no_refresh_token(
    hub: HubProcess, register: Register, dana: Person
) -> None:
    one, other = register(), register()
    tokens, others = dana.get_tokens(one), dana.get_tokens(other)
    assert hub.expire_access_tokens(one) == 1
    assert api(hub, tokens["access_token"]).status_code == 401
    assert api(hub, others["access_token"]).status_code == 200
    assert refreshed(hub, one, tokens["refresh_token"]).status_code == 200


def test_one_clients_switch_leaves_others_alone_and_wins_over_everybodys(other_hub: HubProcess) -> None:
    one = other_hub.register_client(redirect_uris=["http://127.0.0.1:9/a"])
    other = other_hub.register_client(redirect_uris=["http://127.0.0.1:9/b"])
    other_hub.switch(one, token_endpoint_500=True)
    assert other_hub.token_request(one, grant_type="client_credentials").status_code == 500
    assert other_hub.token_request(other, grant_type="client_credentials").status_code == 200
    other_hub.switch(token_endpoint_500=True)
    other_hub.switch(one, token_endpoint_500=False)
    assert other_hub.token_request(one, grant_type="client_credentials").status_code == 200
    assert other_hub.token_request(other, grant_type="client_credentials").status_code == 500
    other_hub.clear_switches()
    assert other_hub.token_request(other, grant_type="client_credentials").status_code == 200


@pytest.mark.parametrize(
    "setting",
    [{"no_such": True}, {"refresh_fails": "yes"}, {"slow_ms": -1}, {"reduce_scopes": "repo"}, {"token_reply": []}],
)
def test_an_impossible_setting_is_refused_whole(hub: HubProcess, client: HubClient, setting: dict[str, object]) -> None:
    with pytest.raises(ControlRefused):
        hub.switch(client, omit_iss=True, **setting)
    assert client.client_id not in hub.control("GET", "switches")["settings"]
