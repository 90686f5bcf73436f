"""The endpoints with the habits of GitHub's OAuth apps."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
import requests

from apps.demo_hub.driver import Answer, HubClient, HubProcess, Person

from .conftest import Register, api


def exchange(
    hub: HubProcess, client: HubClient, answer: Answer, *, json: bool = False, **changes: str
) -> requests.Response:
    form = {
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "code": answer.parameters.get("code", ""),
        "code_verifier": answer.verifier,
        **changes,
    }
    headers = {"Accept": "application/json"} if json else {}
    return requests.post(f"{hub.url}/github/login/oauth/access_token", data=form, headers=headers, timeout=20)


def ask(person: Person, client: HubClient, scope: str = "repo,read:user", **more: str | None) -> Answer:
    return person.authorize(client, scope, flavour="github", response_type=None, nonce=None, **more)


def test_answers_are_form_encoded_with_commas_and_never_expire(
    hub: HubProcess, client: HubClient, dana: Person
) -> None:
    answer = ask(dana, client)
    assert answer.parameters["state"] == answer.state and "iss" not in answer.parameters
    response = exchange(hub, client, answer)
    assert response.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    form = {name: values[0] for name, values in parse_qs(response.text).items()}
    assert form.keys() == {"access_token", "token_type", "scope"}
    assert form["token_type"] == "bearer" and form["scope"] == "repo,read:user"
    user = api(hub, form["access_token"], "/github/user")
    assert user.json()["login"] == "dana" and user.headers["X-OAuth-Scopes"] == "repo, read:user"
    assert api(hub, form["access_token"], "/api/repos").status_code == 200


def test_json_is_there_for_the_asking(hub: HubProcess, client: HubClient, dana: Person) -> None:
    tokens = exchange(hub, client, ask(dana, client), json=True).json()
    assert tokens["access_token"].startswith("gho_") and "expires_in" not in tokens and "refresh_token" not in tokens


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("repo user:email", "repo,user:email"),
        ("user,read:user,user:email", "user"),
        ("repo,nonsense,public_repo", "repo"),
        ("", ""),
    ],
)
def test_scopes_are_rewritten(hub: HubProcess, client: HubClient, dana: Person, asked: str, granted: str) -> None:
    assert exchange(hub, client, ask(dana, client, asked), json=True).json()["scope"] == granted


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code": "wrong"}, "bad_verification_code"),
        ({"code_verifier": "x" * 43}, "bad_verification_code"),
        ({"client_secret": "wrong"}, "incorrect_client_credentials"),
        ({"redirect_uri": "http://127.0.0.1:9/other"}, "bad_verification_code"),
    ],
)
def test_errors_come_with_a_200(
    hub: HubProcess, client: HubClient, dana: Person, change: dict[str, str], error: str
) -> None:
    assert "access_token" in exchange(hub, client, ask(dana, client), json=True).json()
    response = exchange(hub, client, ask(dana, client), json=True, **change)
    assert response.status_code == 200 and response.json()["error"] == error


def test_a_code_works_once_and_only_at_its_own_endpoint(hub: HubProcess, client: HubClient, dana: Person) -> None:
    answer = ask(dana, client)
    assert dana.redeem(client, answer).json()["error"] == "invalid_grant"
    assert "access_token" in exchange(hub, client, answer, json=True).json()
    assert exchange(hub, client, answer, json=True).json()["error"] == "bad_verification_code"


def test_pkce_is_optional_and_the_address_may_be_left_out(hub: HubProcess, register: Register, dana: Person) -> None:
    client = register()
    answer = ask(dana, client, code_challenge=None, code_challenge_method=None, redirect_uri=None)
    form = {"client_id": client.client_id, "client_secret": client.client_secret, "code": answer.parameters["code"]}
    response = requests.post(f"{hub.url}/github/login/oauth/access_token", data=form, timeout=20)
    assert "access_token=gho_" in response.text


def test_a_refusal_is_told_to_the_application(client: HubClient, dana: Person) -> None:
    answer = dana.authorize(client, "repo", approve=False, flavour="github", response_type=None)
    assert answer.parameters["error"] == "access_denied" and answer.parameters["state"] == answer.state


def test_tokens_can_be_deleted_by_their_application_only(hub: HubProcess, register: Register, dana: Person) -> None:
    client, other = register(), register()
    token = exchange(hub, client, ask(dana, client), json=True).json()["access_token"]

    def delete(whose: HubClient, path_of: HubClient, text: str) -> int:
        return requests.delete(
            f"{hub.url}/github/applications/{path_of.client_id}/token",
            json={"access_token": text}, auth=(whose.client_id, whose.client_secret), timeout=20,
        ).status_code  # fmt: skip

    assert delete(other, client, token) == 401
    assert delete(other, other, token) == 404
    assert api(hub, token, "/github/user").status_code == 200
    assert delete(client, client, token) == 204
    assert api(hub, token, "/github/user").status_code == 401
    assert delete(client, client, token) == 404
