"""The resource API: tokens, scopes, people and keys."""

from __future__ import annotations

import pytest
import requests

from apps.demo_hub.driver import HubClient, HubProcess, Person

from .conftest import api


def test_everybody_has_their_own_repositories(hub: HubProcess, client: HubClient) -> None:
    seen = {}
    for name in ("dana", "lee", "priya", "gus"):
        token = hub.person(name).get_tokens(client, "repo:read")["access_token"]
        seen[name] = {repository["id"] for repository in api(hub, token, "/api/repos").json()["repositories"]}
        assert all(repository_id.startswith(f"{name}-") for repository_id in seen[name]) and seen[name]


def test_me(hub: HubProcess, client: HubClient, dana: Person) -> None:
    seen = api(hub, dana.get_tokens(client, "repo:read")["access_token"]).json()
    assert seen == {**{name: hub.account("dana")[name] for name in ("sub", "username", "name", "email")}}


def test_no_token_and_bad_tokens_get_a_401_that_says_how(hub: HubProcess, client: HubClient, dana: Person) -> None:
    token = dana.get_tokens(client, "repo:read")["access_token"]
    missing = requests.get(f"{hub.url}/api/repos", timeout=20)
    assert missing.status_code == 401 and missing.headers["WWW-Authenticate"] == 'Bearer realm="Demo Hub"'
    for bad in (token + "x", token[:-1], "nonsense"):
        refused = api(hub, bad, "/api/repos")
        assert refused.status_code == 401 and 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    in_the_url = requests.get(f"{hub.url}/api/repos", params={"access_token": token}, timeout=20)
    assert in_the_url.status_code == 401
    assert api(hub, token, "/api/repos").status_code == 200


def test_a_missing_scope_is_a_403_that_names_it(hub: HubProcess, client: HubClient, dana: Person) -> None:
    refused = api(hub, dana.get_tokens(client, "openid")["access_token"], "/api/repos")
    assert refused.status_code == 403
    assert 'error="insufficient_scope", scope="repo:read"' in refused.headers["WWW-Authenticate"]


def test_publishing_a_release(hub: HubProcess, client: HubClient) -> None:
    hub.create_person("writer")
    writer = hub.person("writer")
    tokens = writer.get_tokens(client, "repo:read repo:write")["access_token"]
    reader = writer.get_tokens(client, "repo:read")["access_token"]
    url = f"{hub.url}/api/repos/writer-first-steps/releases"
    body = {"tag": "v1.0.0", "notes": "Says hello"}

    def publish(token: str, where: str = url, json: object = body) -> requests.Response:
        return requests.post(where, json=json, headers={"Authorization": f"Bearer {token}"}, timeout=20)

    assert publish(reader).status_code == 403
    assert publish(tokens, json={"notes": "no tag"}).status_code == 400
    assert publish(tokens, where=url.replace("writer-first-steps", "dana-atlas")).status_code == 404
    assert publish(tokens).status_code == 201
    assert publish(tokens).status_code == 409
    (repository,) = api(hub, reader, "/api/repos").json()["repositories"]
    assert repository["latest_release"] == "v1.0.0" and repository["merged_since_release"] == []


def test_status_is_for_applications_acting_for_themselves(hub: HubProcess, client: HubClient, dana: Person) -> None:
    own = hub.token_request(client, grant_type="client_credentials").json()["access_token"]
    assert api(hub, own, "/api/status").json()["status"] == "operational"
    assert api(hub, dana.get_tokens(client, "status:read")["access_token"], "/api/status").status_code == 403


def test_weather_takes_an_api_key(hub: HubProcess) -> None:
    key = hub.create_api_key("forecast")

    def ask(value: str | None) -> requests.Response:
        headers = {} if value is None else {"X-Api-Key": value}
        return requests.get(f"{hub.url}/api/weather", params={"city": "Oslo"}, headers=headers, timeout=20)

    assert ask(key).json()["city"] == "Oslo"
    for wrong in (None, "", key + "x"):
        refused = ask(wrong)
        assert refused.status_code == 401 and refused.headers["WWW-Authenticate"].startswith("ApiKey ")
    key_id = next(k["key_id"] for k in hub.control("GET", "api-keys")["api_keys"] if k["name"] == "forecast")
    hub.control("DELETE", f"api-keys/{key_id}")
    assert ask(key).status_code == 401


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_not_allowed(hub: HubProcess, method: str) -> None:
    assert requests.request(method, f"{hub.url}/api/repos", timeout=20).status_code == 405
