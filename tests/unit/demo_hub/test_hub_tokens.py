"""Codes, tokens and client authentication at the token, revocation and introspection endpoints."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet
from oauthlib.oauth2 import WebApplicationClient

from apps.demo_hub import control
from apps.demo_hub import tokens as issuing
from apps.demo_hub.driver import HubClient, HubProcess, Person
from apps.demo_hub.hub import Hub

from .conftest import Register, api


def verified(hub: HubProcess, token: str, algorithm: str = "RS256") -> jwt.Token:
    keys = KeySet.import_key_set(requests.get(f"{hub.url}/jwks", timeout=20).json())
    return jwt.decode(token, keys, algorithms=[algorithm])


def refreshed(hub: HubProcess, client: HubClient, token: str, **more: str) -> requests.Response:
    return hub.token_request(client, grant_type="refresh_token", refresh_token=token, **more)


# --- the code flow --------------------------------------------------------------------------------------------


def test_the_whole_code_flow_with_pkce(hub: HubProcess, client: HubClient, dana: Person) -> None:
    answer = dana.authorize(client, "openid profile email repo:read")
    assert answer.parameters["state"] == answer.state and answer.parameters["iss"] == hub.url
    response = dana.redeem(client, answer)
    tokens = response.json()
    assert response.status_code == 200 and response.headers["Cache-Control"] == "no-store"
    assert tokens["token_type"] == "Bearer" and tokens["expires_in"] == 3600
    assert tokens["scope"] == "openid profile email repo:read"
    claims = verified(hub, tokens["id_token"]).claims
    account = hub.account("dana")
    assert {name: claims[name] for name in ("iss", "aud", "sub", "nonce", "name", "email")} == {
        "iss": hub.url,
        "aud": client.client_id,
        "sub": account["sub"],
        "nonce": answer.nonce,
        "name": "Dana Whitfield",
        "email": "dana@acme.example",
    }
    assert abs(claims["iat"] - time.time()) < 30 and claims["exp"] > claims["iat"] >= claims["auth_time"]
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert claims["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    userinfo = api(hub, tokens["access_token"], "/userinfo").json()
    assert userinfo["sub"] == account["sub"] and userinfo["email"] == "dana@acme.example"


def test_a_stock_oauth_library_can_use_it(
    hub: HubProcess, client: HubClient, dana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # loopback
    library = WebApplicationClient(client.client_id)
    verifier = library.create_code_verifier(64)
    url = library.prepare_request_uri(
        f"{hub.url}/authorize",
        client.redirect_uri,
        ["openid", "repo:read"],
        "s1",
        code_challenge=library.create_code_challenge(verifier, "S256"),
        code_challenge_method="S256",
    )
    dana.stop_at = [client.redirect_uri]
    dana.open(url)
    code = library.parse_request_uri_response(dana.walk().url, "s1")["code"]
    body = library.prepare_request_body(code, client.redirect_uri, code_verifier=verifier)
    response = requests.post(
        f"{hub.url}/token", data=body, timeout=20,
        auth=(client.client_id, client.client_secret), headers={"Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert response.status_code == 200, response.text
    assert library.parse_request_body_response(response.text)["access_token"]


def test_each_person_has_a_subject_of_their_own(hub: HubProcess) -> None:
    subjects = {verified(hub, hub.person(name).sign_in_and_get_jwt()).claims["sub"] for name in ("dana", "lee")}
    assert len(subjects) == 2


def test_a_wrong_verifier_is_refused_and_spends_the_code(hub: HubProcess, client: HubClient, dana: Person) -> None:
    answer = dana.authorize(client)
    wrong = dana.redeem(client, answer, code_verifier="x" * 43)
    assert wrong.status_code == 400 and wrong.json()["error"] == "invalid_grant"
    assert dana.redeem(client, answer).json()["error"] == "invalid_grant"
    assert dana.redeem(client, dana.authorize(client)).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"code_verifier": ""},
        {"code_verifier": "short"},
        {"redirect_uri": "http://127.0.0.1:9/other"},
        {"redirect_uri": ""},
        {"code": "unknown"},
    ],
)
def test_a_code_is_bound_to_verifier_and_address(client: HubClient, dana: Person, change: dict[str, str]) -> None:
    assert dana.redeem(client, dana.authorize(client)).status_code == 200
    refused = dana.redeem(client, dana.authorize(client), **change)
    assert refused.status_code == 400 and refused.json()["error"] == "invalid_grant"


def test_a_verifier_for_a_code_without_challenge_is_refused(register: Register, dana: Person) -> None:
    client = register(require_pkce=False)
    answer = dana.authorize(client, code_challenge=None, code_challenge_method=None)
    assert dana.redeem(client, answer).json()["error"] == "invalid_grant"
    answer = dana.authorize(client, code_challenge=None, code_challenge_method=None)
    assert dana.redeem(client, answer, code_verifier="").status_code == 200


def test_a_code_works_once_and_its_reuse_ends_what_came_of_it(hub: HubProcess, client: HubClient, dana: Person) -> None:
    answer = dana.authorize(client)
    tokens = dana.redeem(client, answer).json()
    assert api(hub, tokens["access_token"]).status_code == 200
    before = hub.counters()["code_reuses"]
    assert dana.redeem(client, answer).json()["error"] == "invalid_grant"
    assert hub.counters()["code_reuses"] == before + 1
    assert api(hub, tokens["access_token"]).status_code == 401
    assert refreshed(hub, client, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert hub.grants(client)[0]["ended_because"] == "code_reused"


def test_a_code_of_another_client_is_unknown(register: Register, dana: Person) -> None:
    one, other = register(), register()
    answer = dana.authorize(one)
    assert dana.redeem(other, answer).json()["error"] == "invalid_grant"
    assert dana.redeem(one, answer).status_code == 200


def test_a_code_lives_a_minute(other_hub: HubProcess) -> None:
    dana, app = other_hub.person("dana"), other_hub.demo_app()
    answer = dana.authorize(app)
    other_hub.advance_clock(57)
    assert dana.redeem(app, answer).status_code == 200
    answer = dana.authorize(app)
    other_hub.advance_clock(61)
    assert dana.redeem(app, answer).json()["error"] == "invalid_grant"


def test_id_tokens_can_be_es256(hub: HubProcess, register: Register, dana: Person) -> None:
    client = register(id_token_alg="ES256")
    assert verified(hub, dana.sign_in_and_get_jwt(client), "ES256").header["alg"] == "ES256"


def test_without_openid_there_is_no_id_token(hub: HubProcess, client: HubClient, dana: Person) -> None:
    tokens = dana.get_tokens(client, "repo:read")
    assert "id_token" not in tokens
    assert api(hub, tokens["access_token"], "/userinfo").status_code == 403


# --- client authentication ------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["basic", "post"])
def test_a_secret_is_taken_both_ways(hub: HubProcess, client: HubClient, auth: str) -> None:
    assert hub.token_request(client, auth=auth, grant_type="client_credentials").status_code == 200
    wrong = HubClient(client.client_id, client.client_secret + "x", client.redirect_uri)
    refused = hub.token_request(wrong, auth=auth, grant_type="client_credentials")
    assert refused.status_code == 401 and refused.json()["error"] == "invalid_client"
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_confidential_client_cannot_leave_its_secret_out(hub: HubProcess, client: HubClient) -> None:
    assert hub.token_request(client, auth="none", grant_type="client_credentials").status_code == 401


def test_two_ways_at_once_are_refused(hub: HubProcess, client: HubClient) -> None:
    both = hub.token_request(client, grant_type="client_credentials", client_secret=client.client_secret)
    assert both.status_code == 400 and both.json()["error"] == "invalid_request"


def test_a_client_can_be_held_to_one_method(hub: HubProcess, register: Register) -> None:
    client = register(auth_methods=["client_secret_post"])
    assert hub.token_request(client, auth="post", grant_type="client_credentials").status_code == 200
    assert hub.token_request(client, auth="basic", grant_type="client_credentials").status_code == 401


def test_a_public_client_has_no_secret_and_cannot_act_for_itself(
    hub: HubProcess, register: Register, dana: Person
) -> None:
    client = register(public=True)
    assert client.client_secret == ""
    assert dana.get_tokens(client)["id_token"]
    assert hub.token_request(client, grant_type="client_credentials").json()["error"] == "unauthorized_client"


def test_a_new_secret_replaces_the_old_one(hub: HubProcess, client: HubClient) -> None:
    renewed = hub.change_client(client, new_secret=True)
    assert hub.token_request(client, grant_type="client_credentials").status_code == 401
    assert hub.token_request(renewed, grant_type="client_credentials").status_code == 200


@pytest.mark.parametrize("body", [b'{"grant_type": "client_credentials"}', b""])
def test_only_forms_are_read(hub: HubProcess, client: HubClient, body: bytes) -> None:
    answer = requests.post(
        f"{hub.url}/token", data=body, auth=(client.client_id, client.client_secret), timeout=20,
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert answer.status_code == 400 and answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("grant", ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code"])
def test_other_grants_are_not_supported(hub: HubProcess, client: HubClient, grant: str) -> None:
    assert hub.token_request(client, grant_type=grant).json()["error"] == "unsupported_grant_type"


# --- refreshing -----------------------------------------------------------------------------------------------


def test_refreshing_rotates(hub: HubProcess, client: HubClient, dana: Person) -> None:
    first = dana.get_tokens(client, "openid repo:read")
    second = refreshed(hub, client, first["refresh_token"]).json()
    third = refreshed(hub, client, second["refresh_token"]).json()
    assert len({first["refresh_token"], second["refresh_token"], third["refresh_token"]}) == 3
    for tokens in (first, second, third):
        assert api(hub, tokens["access_token"]).status_code == 200
    claims = verified(hub, third["id_token"]).claims
    assert claims["sub"] == hub.account("dana")["sub"] and "nonce" not in claims
    assert hub.grants(client)[0]["refreshes"] == 2
    assert hub.counters()["refreshes"][hub.grants(client)[0]["grant_id"]] == 2


def test_a_refresh_token_that_comes_back_ends_the_family(hub: HubProcess, client: HubClient, dana: Person) -> None:
    first = dana.get_tokens(client)
    other_family = hub.person("lee").get_tokens(client)
    second = refreshed(hub, client, first["refresh_token"]).json()
    before = hub.counters()["refresh_token_reuses"]
    replay = refreshed(hub, client, first["refresh_token"])
    assert replay.status_code == 400 and replay.json()["error"] == "invalid_grant"
    assert hub.counters()["refresh_token_reuses"] == before + 1
    assert refreshed(hub, client, second["refresh_token"]).json()["error"] == "invalid_grant"
    for tokens in (first, second):
        assert api(hub, tokens["access_token"]).status_code == 401
    assert refreshed(hub, client, other_family["refresh_token"]).status_code == 200


def test_another_client_cannot_use_or_spoil_a_refresh_token(hub: HubProcess, register: Register, dana: Person) -> None:
    one, other = register(), register()
    tokens = dana.get_tokens(one)
    for _ in range(2):
        assert refreshed(hub, other, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert refreshed(hub, one, tokens["refresh_token"]).status_code == 200


def test_a_refresh_may_narrow_but_not_widen(hub: HubProcess, client: HubClient, dana: Person) -> None:
    tokens = dana.get_tokens(client, "openid repo:read")
    wider = refreshed(hub, client, tokens["refresh_token"], scope="openid repo:read repo:write")
    assert wider.json()["error"] == "invalid_scope"
    narrow = refreshed(hub, client, tokens["refresh_token"], scope="openid").json()
    assert narrow["scope"] == "openid" and api(hub, narrow["access_token"], "/api/repos").status_code == 403
    assert refreshed(hub, client, narrow["refresh_token"]).json()["scope"] == "openid repo:read"


def test_a_client_can_have_refresh_tokens_that_stay(hub: HubProcess, register: Register, dana: Person) -> None:
    client = register(rotate_refresh_tokens=False)
    tokens = dana.get_tokens(client)
    for _ in range(2):
        answer = refreshed(hub, client, tokens["refresh_token"])
        assert answer.status_code == 200 and "refresh_token" not in answer.json()


def test_a_client_can_go_without_refresh_tokens(register: Register, dana: Person) -> None:
    assert "refresh_token" not in dana.get_tokens(register(issue_refresh_tokens=False))


def test_refresh_tokens_expire(other_hub: HubProcess) -> None:
    uri = "http://127.0.0.1:9/cb"
    client = other_hub.register_client(redirect_uris=[uri], refresh_lifetime_s=100, access_lifetime_s=10)
    tokens = other_hub.person("dana").get_tokens(client)
    other_hub.advance_clock(50)
    assert api(other_hub, tokens["access_token"]).status_code == 401
    tokens = refreshed(other_hub, client, tokens["refresh_token"]).json()
    assert tokens["expires_in"] == 10 and api(other_hub, tokens["access_token"]).status_code == 200
    other_hub.advance_clock(101)
    assert refreshed(other_hub, client, tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_disabled_person_or_client_gets_nothing_more(hub: HubProcess, register: Register) -> None:
    client = register()
    hub.create_person("temp")
    tokens = hub.person("temp").get_tokens(client)
    hub.control("PATCH", "people/temp", {"enabled": False})
    assert api(hub, tokens["access_token"]).status_code == 401
    assert refreshed(hub, client, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    with pytest.raises(LookupError):
        hub.person("temp").get_tokens(client)
    hub.control("PATCH", "people/temp", {"enabled": True})
    assert refreshed(hub, client, tokens["refresh_token"]).status_code == 200
    hub.change_client(client, enabled=False)
    assert hub.token_request(client, grant_type="client_credentials").status_code == 401


# --- applications acting for themselves, JWT access tokens ----------------------------------------------------


def test_client_credentials(hub: HubProcess, client: HubClient) -> None:
    tokens = hub.token_request(client, grant_type="client_credentials", scope="status:read").json()
    assert tokens["scope"] == "status:read" and "refresh_token" not in tokens and "id_token" not in tokens
    assert api(hub, tokens["access_token"], "/api/status").json()["asked_by"] == client.client_id
    assert api(hub, tokens["access_token"], "/api/me").status_code == 403
    refused = hub.token_request(client, grant_type="client_credentials", scope="repo:read")
    assert refused.json()["error"] == "invalid_scope"


def test_jwt_access_tokens(hub: HubProcess, register: Register, dana: Person) -> None:
    client = register(jwt_access_tokens=True, audiences=["https://portal.example", "https://other.example"])
    token = verified(hub, dana.get_tokens(client, "openid repo:read")["access_token"])
    assert token.header["typ"] == "at+jwt"
    claims = token.claims
    assert claims["aud"] == "https://portal.example" and claims["client_id"] == client.client_id
    assert claims["scope"] == "openid repo:read" and claims["sub"] == hub.account("dana")["sub"]
    assert claims["iss"] == hub.url and claims["exp"] - claims["iat"] == 3600 and claims["jti"]


def test_a_client_chooses_among_its_audiences(hub: HubProcess, register: Register, dana: Person) -> None:
    client = register(jwt_access_tokens=True, audiences=["https://one.example", f"{hub.url}/api"])
    foreign = dana.redeem(client, dana.authorize(client, "openid repo:read")).json()["access_token"]
    assert api(hub, foreign, "/api/repos").status_code == 401
    answer = dana.authorize(client, "openid repo:read", resource=f"{hub.url}/api")
    ours = dana.redeem(client, answer).json()["access_token"]
    assert api(hub, ours, "/api/repos").status_code == 200
    assert verified(hub, ours).claims["aud"] == f"{hub.url}/api"


# --- revocation and introspection -----------------------------------------------------------------------------


def test_revoking_a_refresh_token_ends_the_family(hub: HubProcess, client: HubClient, dana: Person) -> None:
    tokens = dana.get_tokens(client)
    assert hub.as_client(client, "revoke", token=tokens["refresh_token"]).status_code == 200
    assert api(hub, tokens["access_token"]).status_code == 401
    assert refreshed(hub, client, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert hub.as_client(client, "revoke", token=tokens["refresh_token"]).status_code == 200


def test_revoking_an_access_token_ends_only_it(hub: HubProcess, client: HubClient, dana: Person) -> None:
    tokens = dana.get_tokens(client)
    assert hub.as_client(client, "revoke", token=tokens["access_token"]).status_code == 200
    assert api(hub, tokens["access_token"]).status_code == 401
    assert refreshed(hub, client, tokens["refresh_token"]).status_code == 200


def test_nobody_revokes_or_sees_the_tokens_of_others(hub: HubProcess, register: Register, dana: Person) -> None:
    one, other = register(), register()
    tokens = dana.get_tokens(one)
    for name in ("access_token", "refresh_token"):
        assert hub.as_client(other, "revoke", token=tokens[name]).json()["error"] == "unauthorized_client"
        assert hub.as_client(other, "introspect", token=tokens[name]).json() == {"active": False}
    assert api(hub, tokens["access_token"]).status_code == 200
    assert hub.as_client(other, "revoke", token="unknown").status_code == 200


def test_introspection(hub: HubProcess, register: Register, dana: Person) -> None:
    client, server = register(), register(resource_server=True)
    tokens: dict[str, Any] = dana.get_tokens(client, "openid repo:read")
    for asking in (client, server):
        seen = hub.as_client(asking, "introspect", token=tokens["access_token"]).json()
        assert seen["active"] and seen["client_id"] == client.client_id and seen["username"] == "dana"
        assert seen["scope"] == "openid repo:read" and seen["exp"] - seen["iat"] == 3600
    refresh = hub.as_client(client, "introspect", token=tokens["refresh_token"]).json()
    assert refresh["active"] and refresh["exp"] - refresh["iat"] == 30 * 86_400
    assert hub.expire_access_tokens(client) == 1
    assert hub.as_client(client, "introspect", token=tokens["access_token"]).json() == {"active": False}
    unproven = HubClient(client.client_id, "wrong", "")
    assert hub.as_client(unproven, "introspect", token=tokens["refresh_token"]).status_code == 401


def test_an_access_token_issued_while_its_family_is_being_ended_is_dead() -> None:
    """A thief's request between the rotation and the answer: the winner of the race is told a token all the same."""
    hub = Hub(url="http://127.0.0.1:9", home=None, passwords={})
    client = next(iter(hub.state.clients.values()))
    grant = issuing.own_grant(hub, client, ["repo:read"], "")
    grant.sub = hub.state.people["dana"].sub
    hub.state.grants[grant.grant_id] = grant
    alive, _ = issuing.issue_access_token(hub, client, grant, ["repo:read"])
    assert issuing.find_access_token(hub, alive)
    issuing.end_grant(hub, grant.grant_id, "refresh_token_reused")
    late, _ = issuing.issue_access_token(hub, client, grant, ["repo:read"])
    assert issuing.find_access_token(hub, late) is None
    assert control.shown_grant(hub, grant)["live_access_tokens"] == 0
