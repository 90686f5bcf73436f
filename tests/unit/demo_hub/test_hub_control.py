"""The control API and the request log."""

from __future__ import annotations

import json

import pytest
import requests

from apps.demo_hub.driver import ControlRefused, HubClient, HubProcess, Person

from .conftest import Register


@pytest.mark.parametrize(
    "path", ["clients", "people", "switches", "counters", "requests", "grants", "api-keys", "clock"]
)
def test_nothing_works_without_the_key(hub: HubProcess, dana: Person, path: str) -> None:
    dana.open(f"{hub.url}/signin")
    dana.sign_in_here()
    url = f"{hub.url}/control/{path}"
    for headers in (
        {},
        {"X-Control-Key": ""},
        {"X-Control-Key": hub.control_key[:-1]},
        {"X_Control_Key": hub.control_key},
    ):
        for method in ("GET", "POST", "PATCH", "DELETE"):
            answer = requests.request(method, url, headers=headers, cookies=dana.cookies, json={}, timeout=20)
            assert answer.status_code == 401, (method, headers)
    assert requests.get(url, headers={"X-Control-Key": hub.control_key}, timeout=20).status_code == 200


def test_a_secret_is_shown_once(hub: HubProcess, client: HubClient) -> None:
    assert len(client.client_secret) >= 43
    assert client.client_secret not in json.dumps(hub.control("GET", "clients"))
    assert "digest" not in json.dumps(hub.control("GET", f"clients/{client.client_id}"))


@pytest.mark.parametrize(
    "settings",
    [
        {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": ["/relative"]},
        {"redirect_uris": ["https://a.example/#f"]},
        {"redirect_uris": ["data:text/html,x"]},
        {"grant_types": ["password"]},
        {"scopes": ["everything"]},
        {"auth_methods": ["private_key_jwt"]},
        {"access_lifetime_s": 0},
        {"id_token_alg": "none"},
        {"secret_digest": "0"},
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    hub: HubProcess, client: HubClient, settings: dict[str, object]
) -> None:
    before = hub.control("GET", f"clients/{client.client_id}")
    with pytest.raises(ControlRefused):
        hub.change_client(client, **{"name": "New", **settings})
    assert hub.control("GET", f"clients/{client.client_id}") == before
    assert hub.change_client(client, name="New") and hub.control("GET", f"clients/{client.client_id}")["name"] == "New"


def test_private_schemes_are_addresses_too(register: Register) -> None:
    assert register(redirect_uris=["com.example.app:/callback"]).redirect_uri == "com.example.app:/callback"


def test_a_changed_client_keeps_what_was_not_mentioned(hub: HubProcess, register: Register) -> None:
    client = register(access_lifetime_s=7, jwt_access_tokens=True)
    hub.change_client(client, name="Other")
    seen = hub.control("GET", f"clients/{client.client_id}")
    assert (seen["name"], seen["access_lifetime_s"], seen["jwt_access_tokens"]) == ("Other", 7, True)


def test_a_client_can_be_removed(hub: HubProcess, client: HubClient) -> None:
    hub.control("DELETE", f"clients/{client.client_id}")
    assert hub.token_request(client, grant_type="client_credentials").status_code == 401
    with pytest.raises(ControlRefused, match="There is no client"):
        hub.control("GET", f"clients/{client.client_id}")


def test_people_can_be_created_and_get_new_passwords(hub: HubProcess, client: HubClient) -> None:
    made = hub.create_person("nora", name="Nora Berg", email="nora@acme.example")
    assert made["password"] and hub.person("nora").get_tokens(client, "openid")
    with pytest.raises(ControlRefused, match="already"):
        hub.create_person("nora", password="x")
    hub._passwords["nora"] = made["password"]
    old = hub.person("nora")
    old.open(f"{hub.url}/signin")
    old.sign_in_here()
    assert old.page.texts("hub-account") == ["nora"]
    fresh = hub.control("PATCH", "people/nora", {"random_password": True})["password"]
    assert old.open(hub.url).shows("hub-signin-link"), "a new password ends the sessions"
    old.open(f"{hub.url}/signin")
    assert old.sign_in_here().shows("hub-signin-error")
    hub._passwords["nora"] = fresh
    assert hub.person("nora").get_tokens(client, "openid")
    with pytest.raises(ControlRefused):
        hub.create_person("No Body", password="x")


def test_requests_are_logged_and_no_secret_with_them(hub: HubProcess, client: HubClient, dana: Person) -> None:
    answer = dana.authorize(client, "openid repo:read", access_type="offline", custom="private-value")
    tokens = dana.redeem(client, answer).json()
    hub.token_request(client, auth="post", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    hub.as_client(client, "revoke", token=tokens["access_token"])
    requests.get(f"{hub.url}/{tokens['access_token']}", timeout=20)
    key = hub.create_api_key()
    requests.get(f"{hub.url}/api/weather", headers={"X-Api-Key": key}, timeout=20)
    log = hub.requests_seen()
    text = json.dumps(log)
    password = dana._logins[hub.url][1]
    secrets = [
        client.client_secret, password, hub.control_key, key, answer.state, answer.nonce, answer.verifier,
        answer.parameters["code"], tokens["access_token"], tokens["refresh_token"], tokens["id_token"],
        "private-value", *dict(dana.cookies).values(),
    ]  # fmt: skip
    assert not [secret for secret in secrets if secret in text]
    mine = [entry for entry in log if entry["client_id"] == client.client_id]
    assert [e["endpoint"] for e in mine if e["endpoint"] != "authorize"] == ["consent", "token", "token", "revoke"]
    authorize = next(entry for entry in mine if entry["endpoint"] == "authorize")
    assert authorize["values"]["scope"] == "openid repo:read" and authorize["values"]["access_type"] == "offline"
    assert "custom" in authorize["parameters"] and "state" in authorize["parameters"]
    assert [entry["client_auth"] for entry in mine if entry["endpoint"] == "token"] == [
        "client_secret_basic", "client_secret_post",
    ]  # fmt: skip


def test_counters_and_the_log_can_be_reset(other_hub: HubProcess) -> None:
    before = other_hub.counters()["requests"].get("token", 0)
    other_hub.person("dana").sign_in_and_get_jwt()
    assert other_hub.counters()["requests"]["token"] == before + 1
    last = other_hub.requests_seen()[-1]["seq"]
    other_hub.control("DELETE", "counters")
    assert other_hub.counters()["requests"] == {} and other_hub.requests_seen() == []
    other_hub.person("dana").sign_in_and_get_jwt()
    assert other_hub.requests_seen(after=last)[0]["seq"] == last + 1
