"""Signing in and out."""

from __future__ import annotations

import pytest
from axes.models import AccessAttempt
from django.conf import settings as live
from django.contrib.sessions.models import Session
from django.test import Client

from apps.audit.models import OperatorRecord
from apps.tenants.models import User
from tests.pages.conftest import PASSWORD, seen, sign_in

SORRY = "That did not work."


def test_the_form_suits_password_managers_and_works_without_scripts(browser):
    body = browser.get("/signin/").content.decode()
    assert 'autocomplete="username"' in body and 'autocomplete="current-password"' in body
    assert 'type="password"' in body and "<script" not in body and "onpaste" not in body
    (form,) = seen(browser.get("/signin/")).forms
    assert (form.method, form.action) == ("post", "/signin/")


def test_people_end_up_where_they_work(world, browser):
    world.user("dana")
    world.user("priya", role="tenant_admin", linked=False)
    for who, place in (("dana", "/me/"), ("priya", "/console/")):
        answer = sign_in(browser, world, who)
        assert (answer.status_code, answer.headers["Location"]) == (303, place)
        assert browser.get("/").headers["Location"] == place
        again = browser.get("/signin/")
        assert (again.status_code, again.headers["Location"]) == (303, place)
        browser.post("/signin/out")
    front = browser.get("/")
    assert (front.status_code, front.headers["Location"]) == (302, "/signin/")


def test_the_address_is_matched_as_people_type_it(world, browser):
    world.user("dana")
    answer = browser.post("/signin/", {"email": f"  {world.email('dana').upper()} ", "password": PASSWORD})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("{dana}", "wrong"),
        ("{dana}", ""),
        ("{dana}", PASSWORD + "\0"),
        ("{dana}", "x" * 100_000),
        ("nobody@acme.example", PASSWORD),
        ("", PASSWORD),
        ("{dana}\0", PASSWORD),
        ("x" * 10_000, PASSWORD),
    ],
)
def test_every_refusal_is_the_same_page(world, browser, email, password):
    world.user("dana")
    answer = browser.post("/signin/", {"email": email.format(dana=world.email("dana")), "password": password})
    assert answer.status_code == 403 and SORRY in answer.content.decode()
    assert live.SESSION_COOKIE_NAME not in browser.cookies
    (noted,) = OperatorRecord.objects.filter(request_id=answer.headers["X-Request-Id"])
    assert (noted.action, noted.reason) == ("person.sign_in_failed", "password_refused")
    assert sign_in(browser, world, "dana").status_code == 303


def test_signing_in_is_recorded_by_account(world, browser):
    dana = world.user("dana")
    answer = sign_in(browser, world, "dana")
    (noted,) = OperatorRecord.objects.filter(request_id=answer.headers["X-Request-Id"])
    assert (noted.action, noted.reason, noted.details) == ("person.sign_in", "", {"account": str(dana.id)})


@pytest.mark.case("T103")
def test_T103_thirty_bad_passwords_lock_the_door_with_the_same_words(world, browser, other_browser):
    world.user("dana")
    world.user("lee")
    answers = [
        other_browser.post("/signin/", {"email": world.email("dana"), "password": f"bad {n}"}) for n in range(30)
    ]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:7] == [403] * 7 and set(statuses[8:]) == {429}
    assert answers[-1].headers["Retry-After"] == "900"
    words = [SORRY in answer.content.decode() for answer in answers]
    assert all(words) and "locked" not in answers[-1].content.decode()
    assert sign_in(other_browser, world, "dana").status_code == 429  # the right password does not help now
    assert sign_in(browser, world, "lee").status_code == 303  # and nobody else is locked out
    last = OperatorRecord.objects.get(request_id=answers[-1].headers["X-Request-Id"])
    assert last.reason == "locked_out"


def test_the_lock_out_remembers_neither_password_nor_token_nor_ticket(world, browser):
    world.user("dana")
    link = world.link()
    token = seen(browser.get(f"/signin/?next={link}")).forms[0].values()["csrfmiddlewaretoken"]
    browser.post(
        f"/signin/?next={link}",
        {"email": world.email("dana"), "password": "s3cret word", "next": link, "csrfmiddlewaretoken": token},
    )
    (attempt,) = AccessAttempt.objects.filter(username=world.email("dana"))
    kept = " ".join(str(value) for value in vars(attempt).values())
    assert not any(secret in kept for secret in ("s3cret", link, token))


@pytest.mark.case("T103")
@pytest.mark.parametrize(
    "evil",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "%2f%2fevil.example",
        "///evil.example",
        " //evil.example",
        "/\tevil",
        "/\n/evil.example",
        "/\r\nX: y",
        "evil.example",
        "/é//evil",
        "/" + "x" * 3_000,
        "http:///evil.example",
        "/\x00/evil",
        "\u2028/evil",
    ],
)
def test_T103_next_stays_on_this_portal(world, browser, evil):
    world.user("dana")
    (form,) = seen(browser.get("/signin/", {"next": evil})).forms
    assert form.values()["next"] == ""
    answer = browser.post("/signin/", {"email": world.email("dana"), "password": PASSWORD, "next": evil})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/me/")
    assert browser.get("/signin/", {"next": evil}).headers["Location"] == "/me/"
    assert browser.post("/signin/out", {"next": evil}).headers["Location"] == "/signin/"
    assert browser.post("/signin/language", {"language": "de", "next": evil}).headers["Location"] == "/"


@pytest.mark.case("T103")
def test_T103_a_session_id_from_before_is_not_kept(world, browser):
    dana = world.user("dana")
    planted = Client()
    planted.force_login(dana)
    fixed = planted.cookies[live.SESSION_COOKIE_NAME].value
    browser.cookies[live.SESSION_COOKIE_NAME] = fixed
    world.user("lee")
    sign_in(browser, world, "lee")
    assert browser.cookies[live.SESSION_COOKIE_NAME].value != fixed
    assert not Session.objects.filter(session_key=fixed).exists()
    browser.cookies[live.SESSION_COOKIE_NAME] = "a" * 32  # invented
    sign_in(browser, world, "dana")
    assert browser.cookies[live.SESSION_COOKIE_NAME].value != "a" * 32


@pytest.mark.case("T103")
def test_T103_a_password_in_the_address_is_refused(world, browser):
    world.user("dana")
    sent = {"email": world.email("dana"), "password": PASSWORD}
    assert browser.get("/signin/", sent).status_code == 405
    assert live.SESSION_COOKIE_NAME not in browser.cookies
    assert browser.put("/signin/").status_code == 405


@pytest.mark.case("T106")
def test_T106_signing_in_and_out_need_the_forms_token(world, strict_browser):
    world.user("dana")
    form = {"email": world.email("dana"), "password": PASSWORD}
    assert strict_browser.post("/signin/", form).status_code == 403
    token = seen(strict_browser.get("/signin/")).forms[0].values()["csrfmiddlewaretoken"]
    assert strict_browser.post("/signin/", {**form, "csrfmiddlewaretoken": token}).status_code == 303
    assert strict_browser.get("/signin/out").status_code == 405
    assert strict_browser.post("/signin/out").status_code == 403
    token = seen(strict_browser.get("/me/")).forms[0].values()["csrfmiddlewaretoken"]
    key = strict_browser.cookies[live.SESSION_COOKIE_NAME].value
    out = strict_browser.post("/signin/out", {"csrfmiddlewaretoken": token})
    assert (out.status_code, out.headers["Location"]) == (303, "/signin/")
    assert not Session.objects.filter(session_key=key).exists()


def test_an_inactive_account_is_refused_like_a_wrong_password(world, browser):
    dana = world.user("dana")
    User.objects.filter(id=dana.id).update(is_active=False)
    answer = sign_in(browser, world, "dana")
    assert answer.status_code == 403 and SORRY in answer.content.decode()


def test_the_account_page_says_who_i_am(world, browser):
    sent = browser.get("/me/")
    assert (sent.status_code, sent.headers["Location"]) == (303, "/signin/?next=/me/")
    world.user("dana")
    sign_in(browser, world, "dana")
    body = browser.get("/me/").content.decode()
    assert world.email("dana") in body and world.tenant.tenant.name in body and "end user" in body
    assert "/console/" not in body
