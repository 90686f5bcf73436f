"""What the authorization endpoint takes and what it turns away."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
import requests

from apps.demo_hub.driver import HubClient, HubProcess, Person

from .conftest import Register

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636 appendix B


def ask(hub: HubProcess, client: HubClient, extra: str = "", **changes: str | None) -> requests.Response:
    query: dict[str, str | None] = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "scope": "openid repo:read",
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    text = urlencode({name: value for name, value in query.items() if value is not None})
    return requests.get(f"{hub.url}/authorize?{text}{extra}", allow_redirects=False, timeout=20)


def goes_to_sign_in(answer: requests.Response) -> bool:
    return answer.status_code == 303 and answer.headers["Location"].startswith("/signin?")


@pytest.mark.parametrize(
    "ending", ["/", "?x=1", "#f", "x", "/../callback", "%2e"], ids=["slash", "query", "fragment", "longer", "up", "dot"]
)
def test_a_redirect_uri_has_to_match_exactly(hub: HubProcess, client: HubClient, ending: str) -> None:
    assert goes_to_sign_in(ask(hub, client))
    refused = ask(hub, client, redirect_uri=client.redirect_uri + ending)
    assert refused.status_code == 400 and "Location" not in refused.headers
    assert goes_to_sign_in(ask(hub, client))


@pytest.mark.parametrize("change", [{"client_id": "nobody"}, {"client_id": None}, {"redirect_uri": None}])
def test_nobody_is_redirected_for_an_unknown_client_or_address(
    hub: HubProcess, client: HubClient, change: dict[str, str | None]
) -> None:
    refused = ask(hub, client, **change)
    assert refused.status_code == 400 and "Location" not in refused.headers


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_a_repeated_client_or_address_is_not_redirected(hub: HubProcess, client: HubClient, name: str) -> None:
    refused = ask(hub, client, extra=f"&{name}=x")
    assert refused.status_code == 400 and "Location" not in refused.headers


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
        ({"scope": "openid everything"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
    ],
)
def test_other_mistakes_are_reported_to_the_client_with_state_and_issuer(
    hub: HubProcess, client: HubClient, change: dict[str, str | None], error: str
) -> None:
    answer = ask(hub, client, **change)
    assert answer.status_code == 303
    where = answer.headers["Location"]
    assert where.startswith(f"{client.redirect_uri}?error={error}&") and "state=s1" in where
    assert urlencode({"iss": hub.url}) in where and "code=" not in where.replace("code_", "")
    assert goes_to_sign_in(ask(hub, client))


def test_a_repeated_parameter_is_refused(hub: HubProcess, client: HubClient) -> None:
    answer = ask(hub, client, extra="&scope=repo:write")
    assert "error=invalid_request" in answer.headers["Location"]


def test_a_repeated_state_is_not_sent_back(hub: HubProcess, client: HubClient) -> None:
    where = ask(hub, client, extra="&state=s2").headers["Location"]
    assert "error=invalid_request" in where and "state=" not in where


def test_a_client_gets_only_the_scopes_it_is_registered_for(hub: HubProcess, register: Register) -> None:
    narrow = register(scopes=["openid", "repo:read"])
    assert goes_to_sign_in(ask(hub, narrow))
    assert "error=invalid_scope" in ask(hub, narrow, scope="openid repo:write").headers["Location"]


def test_a_query_in_the_registered_address_is_kept(hub: HubProcess, register: Register) -> None:
    client = register(redirect_uris=["http://127.0.0.1:9/cb?tenant=acme"])
    answer = hub.person("dana").authorize(client)
    assert answer.parameters["tenant"] == "acme" and answer.parameters["code"]


def test_a_request_may_come_by_post_and_is_shown_before_anything_happens(hub: HubProcess, client: HubClient) -> None:
    form = {"client_id": client.client_id, "redirect_uri": client.redirect_uri, "response_type": "code"}
    answer = requests.post(f"{hub.url}/authorize", data=form, allow_redirects=False, timeout=20)
    assert answer.status_code == 303 and answer.headers["Location"].startswith("/authorize?")


def test_prompt_none_never_shows_a_page(hub: HubProcess, client: HubClient, dana: Person) -> None:
    assert dana.authorize(client, prompt="none").parameters["error"] == "login_required"
    dana.authorize(client)
    refused = dana.authorize(client, prompt="none").parameters
    assert refused["error"] == "consent_required" and refused["iss"] == hub.url


def test_a_client_without_consent_page_can_sign_in_silently(register: Register, dana: Person) -> None:
    trusted = register(skip_consent=True)
    dana.authorize(trusted)
    assert dana.authorize(trusted, prompt="none").parameters["code"]
    dana.authorize(trusted, prompt="consent")
    assert any(page.shows("hub-approve") for page in dana.history)


@pytest.mark.parametrize("parameters", [{"prompt": "login"}, {"prompt": "select_account"}])
def test_a_client_can_have_the_person_sign_in_again(
    client: HubClient, dana: Person, parameters: dict[str, str]
) -> None:
    dana.authorize(client)
    before = sum(page.shows("hub-signin") for page in dana.history)
    dana.authorize(client)
    assert sum(page.shows("hub-signin") for page in dana.history) == before
    dana.authorize(client, **parameters)
    assert sum(page.shows("hub-signin") for page in dana.history) == before + 1


def test_max_age_makes_an_old_sign_in_not_count(other_hub: HubProcess) -> None:
    dana, app = other_hub.person("dana"), other_hub.demo_app()
    dana.authorize(app, max_age="60")
    other_hub.advance_clock(61)
    dana.authorize(app, max_age="600")
    assert sum(page.shows("hub-signin") for page in dana.history) == 1
    dana.authorize(app, max_age="60")
    assert sum(page.shows("hub-signin") for page in dana.history) == 2


def test_a_login_hint_is_filled_in(client: HubClient, dana: Person) -> None:
    dana.authorize(client, login_hint="lee")
    page = next(page for page in dana.history if page.shows("hub-signin"))
    assert page.forms[0].values()["username"] == "lee"
