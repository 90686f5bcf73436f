"""What every answer of the public pages carries."""

from __future__ import annotations

import re

import pytest

from tests.pages.conftest import approve, seen, sign_in, state_in

FORBIDDEN = re.compile(
    rb"<script|<style|\sstyle=|\son[a-z]+=|javascript:|<iframe|<base|https?://(?!bot\.example|github\.com)"
)


@pytest.fixture
def answers(world, browser):
    """One answer of every kind, by name."""
    world.user("dana")
    link, at = world.link(), world.callback_path()
    found = {
        "signin": browser.get("/signin/"),
        "signin refused": browser.post("/signin/", {"email": "x@y.example", "password": "x"}),
        "language": browser.get("/signin/language"),
        "front": browser.get("/"),
        "me refused": browser.get("/me/"),
        "consent": browser.get(link),
        "unknown": browser.get(link + "x"),
        "nothing": browser.get("/nothing"),
        "not allowed": browser.get(f"{link}/decision"),
        "bad form": browser.post(f"{link}/decision", {}),
        "handover": approve(browser, link),
    }
    found["sent back"] = browser.get(at, {"code": "c", "state": state_in(found["handover"])})
    found["refused callback"] = browser.get(at, {"code": "c", "state": "x"})
    state = state_in(approve(browser, world.link(scopes=("gist",))))
    found["provider said no"] = browser.get(at, {"error": "access_denied", "state": state})
    found["declined"] = browser.post(f"{world.link()}/decision", {"decision": "decline"})
    found["signed in"] = sign_in(browser, world, "dana")
    found["me"] = browser.get("/me/")
    found["consent, signed in"] = browser.get(world.link())
    return found


@pytest.mark.case("T107")
def test_T107_the_strict_policy_is_on_every_answer(answers):
    for name, answer in answers.items():
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'" and policy["style-src"] == "'self'", name
        assert policy["form-action"] == "'self'", name
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'", name
        assert "unsafe" not in answer.headers["Content-Security-Policy"], name
        assert answer.headers["X-Frame-Options"] == "DENY", name
        assert answer.headers["X-Content-Type-Options"] == "nosniff", name
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin", name


@pytest.mark.case("T108")
def test_T108_nothing_is_stored_and_the_address_of_a_page_stays_here(answers):
    for name, answer in answers.items():
        assert answer.headers["Cache-Control"] == "no-store", name
        has_form = answer.status_code != 302 and bool(seen(answer).forms)
        wanted = {"same-origin"} if has_form else {"same-origin", "no-referrer"}
        assert answer.headers["Referrer-Policy"] in wanted, name
    for name in ("handover", "sent back", "refused callback", "provider said no", "declined"):
        assert answers[name].headers["Referrer-Policy"] == "no-referrer", name


@pytest.mark.case("T108")
def test_T108_cookies_are_lax_and_out_of_reach_of_scripts(answers):
    set_by = {morsel.key: morsel for answer in answers.values() for morsel in answer.cookies.values()}
    assert len(set_by) >= 3
    for name, morsel in set_by.items():
        assert morsel["httponly"] and morsel["samesite"] == "Lax" and morsel["path"] == "/", name


@pytest.mark.case("T107")
def test_T107_pages_hold_no_script_no_inline_style_and_nothing_from_elsewhere(answers):
    for name, answer in answers.items():
        assert not FORBIDDEN.search(answer.content), name


def test_every_page_has_one_heading_a_title_of_its_own_and_a_skip_link(answers):
    titles: dict[str, str] = {}
    for name, answer in answers.items():
        body = answer.content.decode()
        if not body:
            continue
        assert body.count("<h1") == 1, name
        assert 'href="#main"' in body and 'id="main"' in body, name
        assert seen(answer).title.endswith("· Identity Portal"), name
        titles[name] = seen(answer).title
    assert titles["signin"] != titles["me"] != titles["consent"]
