"""What a person sees before they decide."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from apps.agents.models import Agent
from apps.audit.models import AuditRecord
from apps.broker import contracts as c
from apps.broker.run import run
from apps.connections.models import Connection, ConsentSession, PrincipalLink
from apps.core import clock
from apps.tenants.scope import tenant_scope
from tests.pages.conftest import RETURN, problem, seen, sign_in, text
from tests.support import rows, trail


def test_the_page_says_who_asks_for_what_and_where_it_ends(world, browser):
    priya = world.user("priya", role="tenant_admin", linked=False)
    with tenant_scope(world.tenant.id):
        Agent.objects.filter(name="release-notes-bot").update(owner=priya, description="Drafts release notes.")
    world.user("dana")
    sign_in(browser, world, "dana")
    shown = browser.get(world.link(scopes=("read:user", "repo")))
    assert shown.status_code == 200
    assert text(shown, "consent-agent") == "release-notes-bot"
    assert text(shown, "consent-owner") == "Priya"
    assert text(shown, "consent-provider") == "GitHub (github.com)"
    assert world.email("dana") in text(shown, "consent-user")
    assert text(shown, "consent-return-host") == "bot.example"
    assert text(shown, "request-id") == shown.headers["X-Request-Id"]
    body = shown.content.decode()
    assert "Drafts release notes." in body and world.tenant.tenant.name in body
    assert re.search(r"stays open for (9|10) more minutes", body)


def test_every_scope_stands_in_words_what_changes_things_first_and_the_raw_name_under_details(world, browser):
    shown = browser.get(world.link(scopes=("read:user", "admin:org_hook", "repo", "unheard:of")))
    lines = [" ".join(line.split()) for line in seen(shown).testids["consent-scope"]]
    assert [re.search(r"Change|Read|Other", line)[0] for line in lines] == ["Change", "Change", "Other", "Read"]
    assert "Read and change code" in lines[1]
    assert seen(shown).testids["consent-scope-raw"] == ["admin:org_hook", "repo", "unheard:of", "read:user"]
    for undescribed in (lines[0], lines[2]):
        assert "did not describe this permission" in undescribed
    assert "did not describe" not in lines[1] and "did not describe" not in lines[3]
    body = shown.content.decode()
    assert body.count("<details>") == 4 and all(
        body.index("<details>") < m.start() for m in re.finditer("scope-raw", body)
    )


def test_a_request_without_scopes_is_called_that(world, browser):
    shown = browser.get(world.link(scopes=()))
    assert shown.status_code == 200 and "consent-scope" not in seen(shown).testids
    assert "The agent names no permissions" in shown.content.decode()


def test_declining_is_as_easy_as_approving_and_comes_first(world, browser):
    page = seen(browser.get(world.link()))
    (form,) = page.forms
    assert [(b.name, b.value, b.testid) for b in form.buttons] == [
        ("decision", "decline", "consent-decline"),
        ("decision", "approve", "consent-approve"),
    ]
    assert {f.kind for f in form.fields} == {"hidden", "radio"}
    assert " ".join(form.buttons[1].text.split()) == "Continue to GitHub"


def test_four_durations_are_offered_and_thirty_days_is_the_default(world, browser):
    (form,) = seen(browser.get(world.link())).forms
    offered = [f.value for f in form.fields if f.name == "duration"]
    assert offered == ["3600", "86400", "2592000", "until_revoked"]
    assert form.values()["duration"] == "2592000"


def test_one_title_and_one_heading_that_name_agent_provider_and_tenant(world, browser):
    shown = browser.get(world.link())
    body = shown.content.decode()
    assert body.count("<h1") == 1
    for word in ("release-notes-bot", "GitHub", world.tenant.tenant.name, "Identity Portal"):
        assert word in seen(shown).title


def test_a_description_cannot_write_markup(world, browser):
    with tenant_scope(world.tenant.id):
        Agent.objects.filter(name="release-notes-bot").update(description="<script>alert(1)</script><form action=/x>")
    shown = browser.get(world.link())
    assert b"<script" not in shown.content and b"&lt;script&gt;" in shown.content
    assert len(seen(shown).forms) == 1


def test_nobody_signed_in_is_told_that_the_application_vouches(world, browser):
    shown = browser.get(world.link())
    assert "not signed in" in text(shown, "consent-user")
    assert "The application there confirms who you are." in shown.content.decode()


def test_what_was_granted_before_is_folded_and_only_the_difference_is_asked(world, browser):
    world.ask(scopes=("repo",))
    session = world.session()
    with tenant_scope(world.tenant.id):
        Connection.objects.create(
            agent=session.agent, principal=session.principal, provider=session.provider, flow="user_federation",
            params_digest=b"x" * 32, requested_scopes=["repo"], provider_config_version=1,
        )  # fmt: skip
    shown = browser.get(world.link(scopes=("read:user", "repo")))
    assert seen(shown).testids["consent-scope-raw"] == ["read:user"]
    assert "1 permission you gave before" in shown.content.decode()


@pytest.mark.case("T106")
def test_T106_looking_changes_nothing_and_a_decision_cannot_be_a_get(world, browser):
    link = world.link()
    before = world.session()
    for _ in range(2):
        assert browser.get(link).status_code == 200
    assert browser.head(link).status_code == 200
    for verb in (browser.get, browser.head, browser.put, browser.delete):
        assert verb(f"{link}/decision?decision=approve").status_code == 405
    assert browser.post(link, {"decision": "approve"}).status_code == 405
    after = world.session()
    assert (after.status, after.updated_at, after.state_digest) == ("pending", before.updated_at, None)
    assert not trail(world.tenant, action="consent.decide")


def test_portal_verified_asks_for_a_sign_in_and_comes_back(world, browser):
    world.user("dana")
    link = world.link(return_url=None)
    sent = browser.get(link)
    assert (sent.status_code, sent.headers["Location"]) == (303, f"/signin/?next={link}")
    assert browser.get(sent.headers["Location"]).status_code == 200
    back = browser.post("/signin/", {"email": world.email("dana"), "password": "quiet harbour lantern", "next": link})
    assert (back.status_code, back.headers["Location"]) == (303, link)
    shown = browser.get(link)
    assert shown.status_code == 200 and "consent-return-host" not in seen(shown).testids


@pytest.mark.case("T056")
def test_T056_somebody_else_is_told_so_without_names_and_the_link_survives(world, browser):
    world.user("dana")
    world.user("lee")
    for return_url in (None, RETURN):
        link = world.link(return_url=return_url)
        sign_in(browser, world, "lee")
        refused = browser.get(link)
        assert problem(refused) == (403, "wrong_user")
        body = refused.content.decode()
        assert world.email("lee") in body and world.email("dana") not in body and "GitHub" not in body
        (noted,) = trail(world.tenant, action="consent.wrong_user", details__session=str(world.session().id))
        assert noted.details["expected"] and noted.details["account"]
        # Not you?
        (form,) = seen(refused).forms
        out = browser.post(form.action, form.values())
        assert (out.status_code, out.headers["Location"]) == (303, f"/signin/?next={link}")
        sign_in(browser, world, "dana")
        assert browser.get(link).status_code == 200
        browser.post("/signin/out")


def test_not_you_on_the_consent_page_signs_out_and_opens_the_same_link(world, browser):
    world.user("dana")
    link = world.link()
    sign_in(browser, world, "dana")
    page = seen(browser.get(link))
    (form,) = [f for f in page.forms if f.action == "/signin/out"]
    assert [" ".join(b.text.split()) for b in form.buttons] == ["Not you?"]
    out = browser.post(form.action, form.values())
    assert (out.status_code, out.headers["Location"]) == (303, link)
    assert "not signed in" in text(browser.get(link), "consent-user")


def test_five_wrong_openings_close_the_request(world, browser, other_browser):
    world.user("dana")
    world.user("lee")
    link = world.link(return_url=None)
    sign_in(browser, world, "lee")
    assert [problem(browser.get(link)) for _ in range(5)] == [(403, "wrong_user")] * 5
    sign_in(other_browser, world, "dana")
    assert problem(other_browser.get(link)) == (403, "too_many_attempts")


def test_claiming_a_user_id_is_said_before_it_happens(dev_world, browser):
    dev_world.user("dana", linked=False)
    link = dev_world.link("newcomer", return_url=None)
    sign_in(browser, dev_world, "dana")
    shown = browser.get(link)
    assert "linked for good" in shown.content.decode()
    assert not rows(dev_world.tenant, PrincipalLink)


def test_expired_and_superseded_links_are_gone(world, browser):
    old = world.link()
    assert browser.get(old).status_code == 200
    for _ in range(5):
        world.link()
    assert problem(browser.get(old)) == (410, "superseded")
    link = world.link()
    with tenant_scope(world.tenant.id):
        ConsentSession.objects.filter(id=world.session().id).update(expires_at=clock.now() - timedelta(seconds=1))
    assert problem(browser.get(link)) == (410, "expired")


def test_a_suspended_agent_cannot_be_given_anything(world, browser):
    link = world.link()
    assert browser.get(link).status_code == 200
    run(c.SuspendAgent(name="release-notes-bot", why="test"), world.tenant.caller())
    refused = browser.get(link)
    assert problem(refused) == (403, "agent_suspended") and 'data-state="suspended"' in refused.content.decode()


@pytest.mark.parametrize("cut", [lambda s: s[:-1], lambda s: s + "x", lambda s: s[:20] + "%00" + s[23:]])
def test_an_unknown_link_is_not_found(world, browser, cut):
    link = world.link()
    assert browser.get(link).status_code == 200
    assert problem(browser.get(cut(link))) == (404, "not_found")


def test_done_and_problem_of_an_open_link_lead_to_it_and_else_say_what_the_link_says(world, browser):
    link = world.link()
    for word in ("done", "problem"):
        sent = browser.get(f"{link}/{word}")
        assert (sent.status_code, sent.headers["Location"]) == (303, link)
    browser.post(f"{link}/decision", {"decision": "decline"})
    for word in ("done", "problem"):
        assert problem(browser.get(f"{link}/{word}")) == (410, "used")
    assert problem(browser.get("/connect/nonsense/done")) == (404, "not_found")


def test_every_look_is_recorded_once(world, browser):
    link = world.link()
    browser.get(link)
    (noted,) = trail(world.tenant, action="consent.view")
    assert (noted.outcome, noted.actor_kind, noted.actor) == ("allowed", "person", "browser")
    assert isinstance(noted, AuditRecord) and noted.agent_name == "release-notes-bot"
