"""What a person sees and what protects the pages."""

from __future__ import annotations

from urllib.parse import quote

import pytest
import requests

from apps.demo_hub.driver import HubClient, HubProcess, Person

from .conftest import Register, api


def on_the_consent_page(person: Person, client: HubClient) -> Person:
    query = (
        f"response_type=code&client_id={client.client_id}&redirect_uri={client.redirect_uri}"
        f"&scope=openid%20repo:read&state=s1&code_challenge={'a' * 43}&code_challenge_method=S256"
    )
    person.stop_at = [client.redirect_uri]
    person.open(f"{person.hub.url}/authorize?{query}")
    person.sign_in_here()
    assert person.page.shows("hub-approve")
    return person


def test_the_consent_page_says_who_asks_for_what_and_where_it_goes(client: HubClient, dana: Person) -> None:
    page = on_the_consent_page(dana, client).page
    assert page.status == 200 and page.title == "Allow Release notes · Demo Hub"
    assert page.text.count("<h1>") == 1
    assert page.texts("hub-client") == ["Release notes"] and page.texts("hub-account") == ["dana"]
    assert page.texts("hub-scope") == [
        "Know which Demo Hub account is yours openid",
        "See your repositories and their releases repo:read",
    ]
    assert page.texts("hub-return-host") == ["127.0.0.1:9"]


def test_a_client_name_is_text(register: Register, dana: Person) -> None:
    client = register(name="<script>alert(1)</script>")
    page = on_the_consent_page(dana, client).page
    assert "<script" not in page.text and page.texts("hub-client") == ["<script>alert(1)</script>"]


def test_pages_have_a_strict_policy_that_lets_the_answer_through(client: HubClient, dana: Person) -> None:
    on_the_consent_page(dana, client)
    for page in dana.history:
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'") and "frame-ancestors 'none'" in policy
        assert "form-action" not in policy and "unsafe" not in policy
        assert page.headers["cache-control"] == "no-store" and page.headers["referrer-policy"] == "same-origin"
        assert "<script" not in page.text and "style=" not in page.text
    answer = dana.submit(button="hub-approve")
    assert answer.parameters["state"] == "s1" and answer.parameters["code"]


def test_the_decision_is_answered_with_a_303(client: HubClient, dana: Person) -> None:
    page = on_the_consent_page(dana, client).page
    form, button = page.button("hub-approve") or pytest.fail("no button")
    answer = requests.post(
        f"{dana.hub.url}/consent",
        data=form.filled({}, button),
        cookies=dana.cookies,
        allow_redirects=False,
        timeout=20,
    )
    assert answer.status_code == 303 and answer.headers["Location"].startswith(client.redirect_uri)


def test_deny_tells_the_client(hub: HubProcess, client: HubClient, dana: Person) -> None:
    answer = on_the_consent_page(dana, client).submit(button="hub-deny").parameters
    assert answer["error"] == "access_denied" and answer["state"] == "s1" and answer["iss"] == hub.url
    assert "code" not in answer and hub.grants(client) == []


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("signin", {"username": "dana", "password": "x"}),
        ("consent", {"flavour": "oidc", "request": "", "decision": "approve"}),
        ("signout", {}),
        ("withdraw", {"grant": "x"}),
    ],
)
def test_forms_need_their_csrf_token(
    hub: HubProcess, client: HubClient, dana: Person, path: str, form: dict[str, str]
) -> None:
    on_the_consent_page(dana, client)
    assert requests.post(f"{hub.url}/{path}", data=form, cookies=dana.cookies, timeout=20).status_code == 403
    assert dana.submit(button="hub-approve").parameters["code"]


def test_a_form_sent_by_another_origin_is_refused(hub: HubProcess, client: HubClient, dana: Person) -> None:
    page = on_the_consent_page(dana, client).page
    form, button = page.button("hub-approve") or pytest.fail("no button")
    for origin in ("https://elsewhere.example", "null"):
        answer = requests.post(
            f"{hub.url}/consent", data=form.filled({}, button), cookies=dana.cookies, timeout=20,
            headers={"Origin": origin}, allow_redirects=False,
        )  # fmt: skip
        assert answer.status_code == 403
    assert dana.submit(button="hub-approve").parameters["code"]


def test_a_changed_form_is_checked_anew(client: HubClient, register: Register, dana: Person) -> None:
    other = register()
    on_the_consent_page(dana, client)
    form, _ = dana.page.button("hub-approve") or pytest.fail("no button")
    request = form.values()["request"].replace(quote(client.redirect_uri, safe=""), quote(other.redirect_uri, safe=""))
    assert request != form.values()["request"]
    page = dana.submit({"request": request}, button="hub-approve")
    assert page.status == 400 and page.shows("hub-problem")


def test_a_page_shown_to_somebody_else_decides_nothing(client: HubClient, dana: Person) -> None:
    """Two tabs: the consent page is open as dana, and in the other tab lee signs in."""
    on_the_consent_page(dana, client)
    form, button = dana.page.button("hub-approve") or pytest.fail("no button")
    seen = form.filled({}, button)
    dana.submit(button="hub-not-you")
    lee = dana.hub.person("lee")
    dana.knows_login(dana.hub.url, "lee", lee._logins[dana.hub.url][1])
    dana.sign_in_here()
    csrf = [(name, dana.page.forms[0].values()["csrfmiddlewaretoken"] if "csrf" in name else v) for name, v in seen]
    answer = requests.post(
        f"{dana.hub.url}/consent", data=csrf, cookies=dana.cookies, allow_redirects=False, timeout=20
    )
    assert answer.status_code == 303 and answer.headers["Location"].startswith("/authorize?")
    assert dana.page.texts("hub-account") == ["lee"]
    assert dana.submit(button="hub-approve").parameters["code"]


def test_a_wrong_password_is_said_so_and_signs_nobody_in(hub: HubProcess, dana: Person) -> None:
    dana.open(f"{hub.url}/signin")
    page = dana.submit({"username": "dana", "password": "wrong"}, button="hub-signin")
    assert page.status == 200 and page.texts("hub-signin-error")
    assert dana.open(hub.url).shows("hub-signin-link")
    dana.open(f"{hub.url}/signin")
    assert dana.sign_in_here().texts("hub-account") == ["dana"]


@pytest.mark.parametrize(
    "elsewhere",
    ["https://elsewhere.example/", "//elsewhere.example/authorize", "/\\elsewhere.example", "/control/clients"],
)
def test_signing_in_never_leads_elsewhere(hub: HubProcess, dana: Person, elsewhere: str) -> None:
    dana.open(f"{hub.url}/signin?next={elsewhere}")
    form = dana.page.forms[0]
    assert form.values()["next"] == "/"
    dana.submit({"next": elsewhere, "username": "x", "password": "x"})
    assert dana.sign_in_here().url == f"{hub.url}/"


def test_signing_in_starts_a_new_session_and_signing_out_ends_it(hub: HubProcess, dana: Person) -> None:
    dana.open(f"{hub.url}/signin")
    dana.sign_in_here()
    cookies = dict(dana.cookies)
    dana.open(f"{hub.url}/signin")
    dana.sign_in_here()
    session = next(name for name in cookies if name.endswith("_session"))
    assert cookies[session] != dict(dana.cookies)[session]
    again = dict(dana.cookies)
    dana.submit(button="hub-signout")
    for old in (cookies, again):
        assert "hub-signin-link" in requests.get(hub.url, cookies=old, timeout=20).text


def test_a_person_can_take_access_back(hub: HubProcess, client: HubClient, dana: Person) -> None:
    tokens = dana.get_tokens(client, "openid repo:read")
    lee = hub.person("lee").get_tokens(client, "openid")
    assert api(hub, tokens["access_token"]).status_code == 200
    dana.open(hub.url)
    mine = [grant["grant_id"] for grant in hub.grants(client) if grant["person"] == "dana"]
    form = next(form for form in dana.page.forms if form.values().get("grant") in mine)
    dana.submit(form=form)
    assert api(hub, tokens["access_token"]).status_code == 401
    refused = hub.token_request(client, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert refused.json()["error"] == "invalid_grant"
    assert api(hub, lee["access_token"]).status_code == 200


def test_nobody_can_take_back_what_somebody_else_allowed(hub: HubProcess, client: HubClient, dana: Person) -> None:
    lees = hub.person("lee").get_tokens(client, "openid")
    dana.get_tokens(client, "openid")
    lees_grant = next(grant["grant_id"] for grant in hub.grants(client) if grant["person"] == "lee")
    dana.open(hub.url)
    form = next(form for form in dana.page.forms if "grant" in form.values())
    dana.submit({"grant": lees_grant}, form=form)
    assert api(hub, lees["access_token"]).status_code == 200


def test_unknown_addresses_and_assets(hub: HubProcess) -> None:
    assert requests.get(f"{hub.url}/nothing", timeout=20).status_code == 404
    assert requests.get(f"{hub.url}/assets/../settings.py", timeout=20).status_code == 404
    style = requests.get(f"{hub.url}/assets/hub.css", timeout=20)
    assert style.status_code == 200 and style.headers["Content-Type"].startswith("text/css")
