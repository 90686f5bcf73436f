"""The provider sends the browser back."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from apps.audit.models import OperatorRecord
from apps.broker import contracts as c
from apps.broker.run import run
from apps.connections.models import Connection
from apps.core.secret import Secret
from tests.pages.conftest import approve, problem, seen, sign_in, state_in, text
from tests.support import rows, trail


@pytest.fixture
def approved(world, browser):
    """An approved, application-verified request: (world, browser, state, session URI)."""
    asked = world.ask()
    return world, browser, state_in(approve(browser, urlsplit(asked.authorization_url).path)), asked.session_uri


def test_the_browser_goes_on_to_the_application_with_the_sessions_name(approved):
    world, browser, state, session_uri = approved
    answer = browser.get(world.callback_path(), {"code": "c0de", "state": state})
    assert answer.status_code == 303 and answer.headers["Referrer-Policy"] == "no-referrer"
    url = answer.headers["Location"]
    assert url.startswith("https://bot.example/cb?kept=1&")
    assert parse_qs(urlsplit(url).query) == {"kept": ["1"], "session_id": [session_uri]}
    assert answer.headers["Cache-Control"] == "no-store" and "c0de" not in url
    assert world.session().status == "returned" and not rows(world.tenant, Connection)


def test_an_applications_own_scheme_is_reached(world, browser):
    state = state_in(approve(browser, world.link(return_url="org.example.app:/cb")))
    answer = browser.get(world.callback_path(), {"code": "c", "state": state})
    assert answer.status_code == 303 and answer.headers["Location"].startswith("org.example.app:/cb?session_id=")


@pytest.mark.case("T055")
@pytest.mark.parametrize(
    "query",
    [
        "code=a&code=b&state={state}",
        "code=a&state={state}&state={state}",
        "code=a&error=access_denied&state={state}",
        "code=a&state={state}&access_token=t",
        "code={long}&state={state}",
        "state={state}",
        "code=a",
        "code=a&state=",
        "code=a&state={cut}",
        "code=a&state={swapped}",
        "",
    ],
)
def test_T055_a_polluted_or_cut_answer_is_refused_without_detail(approved, query):
    world, browser, state, _uri = approved
    sent = query.format(state=state, long="a" * 20_000, cut=state[:-1], swapped=state.swapcase())
    assert problem(browser.get(f"{world.callback_path()}?{sent}")) == (400, "callback_invalid")
    assert trail(world.tenant, action="oauth.callback_rejected")
    assert not rows(world.tenant, Connection) and world.session().status != "returned"


def test_the_page_tells_reasons_of_a_refused_answer_apart_nowhere(world, browser, other_browser):
    bodies = []
    for client, state in ((browser, "nonsense"), (other_browser, None)):
        state = state or state_in(approve(browser, world.link()))
        answer = client.get(world.callback_path(), {"code": "c", "state": state})
        assert problem(answer) == (400, "callback_invalid")
        bodies.append(answer.content.decode().replace(answer.headers["X-Request-Id"], ""))
    assert bodies[0] == bodies[1]
    assert [r.reason for r in trail(world.tenant, action="oauth.callback_rejected")] == [
        "state_invalid", "browser_mismatch",
    ]  # fmt: skip


@pytest.mark.case("T055")
def test_T055_only_get_is_answered(approved):
    world, browser, state, _uri = approved
    for verb in (browser.post, browser.head, browser.put, browser.options):
        assert verb(world.callback_path(), {"code": "a", "state": state}).status_code == 405
    assert world.session().status == "approved"
    assert browser.get(world.callback_path(), {"code": "a", "state": state}).status_code == 303


@pytest.mark.case("T052")
def test_T052_a_state_works_once(approved):
    world, browser, state, _uri = approved
    assert browser.get(world.callback_path(), {"code": "a", "state": state}).status_code == 303
    assert problem(browser.get(world.callback_path(), {"code": "a", "state": state})) == (400, "callback_invalid")


@pytest.mark.case("T109")
def test_T109_a_browser_that_did_not_approve_is_refused(approved, other_browser):
    world, browser, state, _uri = approved
    approve(other_browser, world.link(scopes=("gist",)))  # it has a ticket, but of another request
    assert problem(other_browser.get(world.callback_path(), {"code": "a", "state": state})) == (400, "callback_invalid")
    assert world.sessions(status="returned") == []


@pytest.mark.case("T109")
def test_T109_two_requests_side_by_side_do_not_mix(world, browser):
    asked = [world.ask(scopes=(scope,)) for scope in ("repo", "gist")]
    states = [state_in(approve(browser, urlsplit(one.authorization_url).path)) for one in asked]
    for one, state in zip(asked, states, strict=True):
        answer = browser.get(world.callback_path(), {"code": "a", "state": state})
        assert parse_qs(urlsplit(answer.headers["Location"]).query)["session_id"] == [one.session_uri]


@pytest.mark.case("T109")
def test_T109_signing_in_as_somebody_else_on_the_way_is_refused(world, browser):
    world.user("dana")
    world.user("lee")
    sign_in(browser, world, "dana")
    state = state_in(approve(browser, world.link(return_url=None)))
    sign_in(browser, world, "lee")
    refused = browser.get(world.callback_path(), {"code": "a", "state": state})
    assert problem(refused) == (403, "wrong_user")
    assert not seen(refused).forms and refused.headers["Referrer-Policy"] == "no-referrer"
    assert trail(world.tenant, action="consent.wrong_user") and not rows(world.tenant, Connection)


@pytest.mark.case("T058")
@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        ("access_denied", "provider_denied", "access_denied"),
        ("temporarily_unavailable", "provider_error", "server_error"),
    ],
)
def test_T058_a_no_at_the_provider_goes_back_to_the_application(approved, error, code, told):
    world, browser, state, session_uri = approved
    evil = "<script>alert(1)</script>" + "x" * 9_000
    sent = {"error": error, "error_description": evil, "error_uri": "https://evil.example", "state": state}
    answer = browser.get(world.callback_path(), sent)
    assert problem(answer) == (403, code)
    page = seen(answer)
    url = page.refresh[1]
    assert parse_qs(urlsplit(url).query) == {"kept": ["1"], "session_id": [session_uri], "error": [told]}
    assert b"evil" not in answer.content and b"<script" not in answer.content and len(answer.content) < 8_000
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.case("T058")
def test_T058_an_invented_error_word_is_not_shown(approved):
    world, browser, state, _uri = approved
    answer = browser.get(world.callback_path(), {"error": "<b>boo", "state": state})
    assert answer.status_code in (400, 403) and b"boo" not in answer.content


def test_an_unknown_callback_address_is_not_found_and_noted(world, browser):
    path = world.callback_path()
    assert problem(browser.get(path[:-1] + ("a" if path[-1] != "a" else "b"))) == (404, "not_found")
    unknown = browser.get("/connect/callback/nonsense?code=a&state=b")
    assert problem(unknown) == (404, "not_found")
    (noted,) = OperatorRecord.objects.filter(request_id=unknown.headers["X-Request-Id"])
    assert (noted.action, noted.details) == ("oauth.callback_rejected", {})


class TestPortalVerified:
    """With a real provider, because the code is exchanged on the spot."""

    @pytest.fixture
    def at_hub(self, world, browser, hub):
        client = hub.register_client(name="Portal", redirect_uris=["http://127.0.0.1:9/none"])
        run(
            c.CreateOAuthProvider(
                name="hub",
                settings=c.OAuthSettings(
                    vendor="CustomOauth2",
                    client_id=client.client_id,
                    client_secret=Secret(client.client_secret),
                    discovery_url=f"{hub.url}/.well-known/openid-configuration",
                ),
            ),
            world.tenant.caller(),
        )
        shown = run(c.GetOAuthProvider(name="hub"), world.tenant.caller())
        hub.change_client(client, redirect_uris=[shown.callback_url])
        world.user("dana")
        sign_in(browser, world, "dana")
        self.world, self.browser, self.hub, self.callback = world, browser, hub, shown.callback_url
        return client

    def back_from_hub(self, scopes: tuple[str, ...]) -> str:
        """Approve here and there; the path with which the provider sends the browser back."""
        link = self.world.link(provider="hub", return_url=None, scopes=scopes)
        person = self.hub.person("dana", stop_at=[self.callback])
        person.open(seen(approve(self.browser, link)).refresh[1])
        url = urlsplit(person.walk().url)
        return f"{url.path}?{url.query}"

    def test_the_connection_is_made_and_the_done_page_can_be_reloaded(self, at_hub):
        answer = self.browser.get(self.back_from_hub(("repo:read",)))
        assert answer.status_code == 303
        place = answer.headers["Location"]
        assert place.endswith("/done") and "code" not in place and "state" not in place
        for _ in range(2):
            done = self.browser.get(place)
            assert done.status_code == 200 and done.headers["Referrer-Policy"] == "no-referrer"
            assert "release-notes-bot can now use your hub account" in text(done, "done-message")
        (made,) = rows(self.world.tenant, Connection)
        assert made.status == "active" and made.expires_at is not None

    def test_nobody_elses_browser_sees_the_done_page(self, at_hub, other_browser):
        place = self.browser.get(self.back_from_hub(("repo:read",))).headers["Location"]
        assert problem(other_browser.get(place)) == (404, "not_found")
        self.browser.post("/signin/out")
        assert problem(self.browser.get(place)) == (404, "not_found")

    def test_a_reduced_grant_is_said(self, at_hub):
        self.hub.switch(at_hub, reduce_scopes=["repo:write"])
        place = self.browser.get(self.back_from_hub(("repo:read", "repo:write"))).headers["Location"]
        body = self.browser.get(place).content.decode()
        assert "granted less than the agent asked for" in body and "<code>repo:write</code>" in body

    def test_a_provider_that_fails_is_named_and_nothing_is_kept(self, at_hub):
        path = self.back_from_hub(("repo:read",))
        self.hub.switch(at_hub, token_endpoint_500=True)
        answer = self.browser.get(path)
        assert problem(answer) in ((502, "provider_error"), (503, "provider_down"))
        assert not rows(self.world.tenant, Connection)
