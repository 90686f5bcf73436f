"""Approve or decline."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as live

from apps.connections.models import PrincipalLink
from tests.pages.conftest import approve, problem, seen, sign_in, state_in, text
from tests.support import rows, trail


def test_approving_answers_a_page_that_goes_on_by_itself(world, browser):
    link = world.link(scopes=("repo",))
    answer = approve(browser, link)
    assert answer.status_code == 200 and "Location" not in answer.headers
    page = seen(answer)
    delay, url = page.refresh
    parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
    assert delay <= 1 and (parts.scheme, parts.netloc) == ("https", "github.com")
    assert query["code_challenge_method"] == ["S256"] and query["scope"] == ["repo"]
    assert [a.href for a in page.links if a.href.startswith("https:")] == [url]
    assert "Taking you to GitHub (github.com)…" in answer.content.decode().replace("<bdi>", "").replace("</bdi>", "")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    stored = world.session()
    assert (stored.status, stored.consent_life_s) == ("approved", 86_400)


@pytest.mark.parametrize(
    ("sent", "stored"), [({}, 2_592_000), ({"duration": "3600"}, 3600), ({"duration": "until_revoked"}, None)]
)
def test_the_chosen_duration_is_kept(world, browser, sent, stored):
    link = world.link()
    assert browser.post(f"{link}/decision", {"decision": "approve", **sent}).status_code == 200
    assert world.session().consent_life_s == stored


@pytest.mark.parametrize("duration", ["59", "999999999", "-1", "1e3", "3600 ", "٣٦٠٠", "0x10", "forever", "9" * 40])
def test_other_durations_are_refused_and_noted(world, browser, duration):
    link = world.link()
    assert problem(browser.post(f"{link}/decision", {"decision": "approve", "duration": duration})) == (400, "invalid")
    assert world.session().status == "pending"
    assert [r.outcome for r in trail(world.tenant) if r.action in ("request.rejected", "consent.decide")] == ["denied"]
    assert approve(browser, link).status_code == 200


@pytest.mark.parametrize("wanted", [{}, {"decision": "maybe"}, {"decision": ["approve", "decline"]}, {"decision": ""}])
def test_a_form_that_decides_nothing_or_both_is_refused(world, browser, wanted):
    link = world.link()
    assert problem(browser.post(f"{link}/decision", wanted)) == (400, "invalid")
    assert world.session().status == "pending"


@pytest.mark.case("T108")
def test_T108_only_the_approve_response_sets_the_consent_cookie(world, browser, settings):
    settings.CONSENT_COOKIE_NAME, settings.CONSENT_COOKIE_SECURE = "__Host-portal_consent", True
    link = world.link()
    for answer in (browser.get(link), browser.get("/signin/"), browser.get("/nothing")):
        assert settings.CONSENT_COOKIE_NAME not in answer.cookies
    cookie = approve(browser, link).cookies[settings.CONSENT_COOKIE_NAME]
    assert cookie["httponly"] and cookie["secure"] and not cookie["domain"]
    assert (cookie["samesite"], cookie["path"], cookie["max-age"]) == ("Lax", "/", 600)
    declined = browser.post(f"{world.link()}/decision", {"decision": "decline"})
    assert settings.CONSENT_COOKIE_NAME not in declined.cookies


def test_declining_goes_back_to_the_application_with_access_denied(world, browser):
    asked = world.ask(custom_state=None)
    link = urlsplit(asked.authorization_url).path
    answer = browser.post(f"{link}/decision", {"decision": "decline"})
    page = seen(answer)
    delay, url = page.refresh
    assert answer.status_code == 200 and delay <= 1
    assert url.startswith("https://bot.example/cb?kept=1&")
    assert parse_qs(urlsplit(url).query) == {
        "kept": ["1"], "session_id": [asked.session_uri], "error": ["access_denied"],
    }  # fmt: skip
    assert url in [a.href for a in page.links]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert (world.session().status, world.session().problem) == ("denied", "denied")
    assert problem(browser.get(link)) == (410, "used")
    assert problem(approve(browser, link)) == (410, "used")


def test_declining_goes_back_to_an_applications_own_scheme_too(world, browser):
    link = world.link(return_url="org.example.app:/cb")
    page = seen(browser.post(f"{link}/decision", {"decision": "decline"}))
    assert page.refresh[1].startswith("org.example.app:/cb?")


def test_declining_without_a_return_url_ends_here(world, browser):
    world.user("dana")
    sign_in(browser, world, "dana")
    answer = browser.post(f"{world.link(return_url=None)}/decision", {"decision": "decline"})
    assert answer.status_code == 200 and seen(answer).refresh is None
    assert "release-notes-bot gets no access" in text(answer, "done-message")


def test_deciding_before_signing_in_leads_to_the_sign_in(world, browser):
    link = world.link(return_url=None)
    answer = approve(browser, link)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/signin/?next={link}")
    assert world.session().status == "pending"


@pytest.mark.case("T056")
def test_T056_the_wrong_person_can_neither_approve_nor_decline(world, browser):
    world.user("dana")
    world.user("lee")
    sign_in(browser, world, "lee")
    link = world.link(return_url=None)
    assert problem(approve(browser, link)) == (403, "wrong_user")
    assert problem(browser.post(f"{link}/decision", {"decision": "decline"})) == (403, "wrong_user")
    assert world.session().status == "pending"


def test_approving_claims_a_user_id_where_the_tenant_lets_people(dev_world, browser):
    dana = dev_world.user("dana", linked=False)
    sign_in(browser, dev_world, "dana")
    assert approve(browser, dev_world.link("newcomer", return_url=None)).status_code == 200
    (claimed,) = rows(dev_world.tenant, PrincipalLink)
    assert claimed.user_id == dana.id


@pytest.mark.case("T106")
def test_T106_a_decision_needs_the_forms_own_token_and_origin(world, strict_browser, other_browser):
    link = world.link()
    token = seen(strict_browser.get(link)).forms[0].values()["csrfmiddlewaretoken"]
    other_browser.get(link)
    foreign = seen(other_browser.get(link)).forms[0].values()["csrfmiddlewaretoken"]
    good = {"decision": "approve", "csrfmiddlewaretoken": token}
    at = f"{link}/decision"
    refused = [
        strict_browser.post(at, {"decision": "approve"}),
        strict_browser.post(at, {**good, "csrfmiddlewaretoken": foreign}),
        strict_browser.post(at, good, headers={"Origin": "null"}),
        strict_browser.post(at, good, headers={"Origin": "https://evil.example"}),
        strict_browser.post(at, f"decision=approve\ncsrfmiddlewaretoken={token}", content_type="text/plain"),
    ]
    for answer in refused:
        assert answer.status_code == 403
        assert b"no longer valid" in answer.content and b"request-id" in answer.content
    assert world.session().status == "pending" and not trail(world.tenant, action="consent.decide")
    assert strict_browser.post(at, good, headers={"Origin": "http://testserver"}).status_code == 200


@pytest.mark.case("T106")
def test_T106_over_https_a_form_has_to_say_where_it_comes_from(world, browser, settings):
    link = world.link()
    settings.PUBLIC_URL = "https://portal.example"
    for headers in ({}, {"Referer": "https://evil.example/"}, {"Referer": "https://portal.example.evil/"}):
        assert browser.post(f"{link}/decision", {"decision": "approve"}, headers=headers).status_code == 403
        assert browser.post("/signin/", {"email": "a", "password": "b"}, headers=headers).status_code == 403
    assert world.session().status == "pending"
    for headers in ({"Referer": f"https://portal.example{link}"}, {"Origin": "https://portal.example"}):
        assert browser.post(f"{link}/decision", {"decision": "approve"}, headers=headers).status_code == 200


@pytest.mark.case("T109")
def test_T109_a_double_click_leaves_one_way_on(world, browser):
    link = world.link()
    first, second = (state_in(approve(browser, link)) for _ in range(2))
    at = world.callback_path()
    assert problem(browser.get(at, {"code": "c", "state": first})) == (400, "callback_invalid")
    assert browser.get(at, {"code": "c", "state": second}).status_code == 303


def test_the_consent_cookie_holds_a_handful_of_tickets_and_no_more(world, browser):
    for _ in range(7):
        approve(browser, world.link(scopes=(f"repo:{_}",)))
    assert len(browser.cookies[live.CONSENT_COOKIE_NAME].value) < 500
