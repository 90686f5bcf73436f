"""Providers that say no, answer nonsense, or lie about who signed in: nothing is kept, and no code is sent twice."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.security import oracle
from tests.security.lab import RETURN, Flow, Lab, denied, must
from tests.security.test_consent_callback import CLOSES, taken_apart, value, without

MARKUP = "<script>alert(1)</script>"


def nothing_kept(lab: Lab, flow: Flow) -> None:
    kept = lab.rows(
        "SELECT c.id FROM connections_connection c JOIN connections_principal p ON p.id = c.principal_id "
        "WHERE p.subject = %s AND c.tenant_id = %s",
        flow.user,
    )
    assert kept == []
    sealed = lab.rows(
        'SELECT v."column" FROM vault_sealedsecret v JOIN connections_consentsession s ON s.id = v.row_id '
        "JOIN connections_principal p ON p.id = s.principal_id WHERE p.subject = %s AND v.tenant_id = %s",
        flow.user,
    )
    assert sealed == [], "the ended request's own secrets are forgotten"


ERRORS = {
    "denied": ("access_denied", "denied", "access_denied"),
    "login_required": ("login_required", "denied", "access_denied"),
    "unknown": ("x_whatever", "failed", "server_error"),
    "server_error": ("server_error", "failed", "server_error"),
    "markup": (MARKUP, "failed", "server_error"),
    "10 kB": ("e" * 10_000, "failed", "server_error"),
}


@pytest.mark.case("T058")
@pytest.mark.parametrize("kind", ERRORS)
def test_T058_a_providers_no_closes_the_request_and_its_words_stay_words(lab: Lab, kind: str) -> None:
    error, status, told = ERRORS[kind]
    flow = lab.start(customState="mine")
    base, pairs = taken_apart(lab.to_callback(flow))
    answer = [
        *without(pairs, "code"),
        ("error", error),
        ("error_description", f"{MARKUP} https://evil.example " + "d" * 9000),
        ("error_uri", "https://evil.example/click"),
    ]
    with lab.refuses(
        {"consent_provider_denied", "consent_provider_error"}, action="oauth.callback", may_change=CLOSES
    ) as watch:
        page = lab.dana.open(f"{base}?{urlencode(answer)}", follow_refresh=False)
    assert "evil.example" not in page.text and "<script>alert" not in page.text
    assert "evil.example" not in str(watch.records) and len(str(watch.records[-1].details)) < 400
    back = parse_qs(urlsplit(page.document.refresh[1]).query)
    assert (back["error"], back["state"]) == ([told], ["mine"])
    rows = lab.rows(
        "SELECT s.status FROM connections_consentsession s JOIN connections_principal p ON p.id = s.principal_id "
        "WHERE p.subject = %s AND s.tenant_id = %s",
        flow.user,
    )
    assert rows == [(status,)]
    nothing_kept(lab, flow)
    denied(lab.poll(flow), 403, "AccessDeniedException")
    # An answer after the no is too late.
    with lab.refuses("state_invalid", action="oauth.callback_rejected"):
        assert lab.dana.open(f"{base}?{urlencode(pairs)}").status == 400
    lab.works()


@pytest.mark.case("T058")
def test_T058_an_error_after_success_changes_nothing(lab: Lab) -> None:
    flow = lab.start()
    base, pairs = taken_apart(lab.to_callback(flow))
    lab.dana.open(f"{base}?{urlencode(pairs)}")
    late = [("error", "access_denied"), ("state", value(pairs, "state")), ("iss", lab.hub.url)]
    with lab.refuses("state_invalid", action="oauth.callback_rejected"):
        assert lab.dana.open(f"{base}?{urlencode(late)}").status == 400
    must(lab.complete(flow))
    assert must(lab.poll(flow))["accessToken"]


BAD_REPLIES: dict[str, dict[str, Any]] = {
    "error in a 200": {"error": "invalid_grant", "access_token": None},
    "error beside a token": {"error": "server_error"},
    "no access token": {"access_token": None},
    "empty access token": {"access_token": ""},
    "token type mac": {"token_type": "mac"},
    "access token is a number": {"access_token": 5},
    "access token is a list": {"access_token": ["a"]},
    "access token with a blank": {"access_token": "a b"},
    "access token with a line break": {"access_token": "a\r\nX-Evil: 1"},
    "refresh token with a line break": {"refresh_token": "a\nb"},
    "access token of 60 kB": {"access_token": "t" * 60_000},
    "answer of a megabyte": {"junk": "j" * 1_000_000},
}


@pytest.mark.case("T059")
@pytest.mark.parametrize("kind", BAD_REPLIES)
def test_T059_a_bad_token_response_is_the_end_of_the_request(lab: Lab, switch: Any, kind: str) -> None:
    flow = lab.start()
    lab.consent(flow)
    switch(lab.client, token_reply=BAD_REPLIES[kind])
    with lab.watching() as watch:
        reply = lab.complete(flow)
        again = [lab.complete(flow).status for _ in range(2)]
    assert reply.status in (400, 500) and reply.code in ("ValidationException", "InternalServerException"), reply.body
    assert b"a\\r" not in reply.body and b"tttt" not in reply.body, "nothing of the answer travels on"
    assert again == [403, 403] and watch.calls == ["token"], "the code is never sent again"
    failures = [r.reason for r in watch.records if (r.action, r.outcome) == ("connection.store", "failed")]
    assert len(failures) == 1
    assert watch.changed <= set(CLOSES)
    nothing_kept(lab, flow)
    lab.hub.clear_switches(lab.client)
    denied(lab.poll(flow), 403, "AccessDeniedException")
    lab.works()


@pytest.mark.case("T059")
def test_T059_a_refused_code_is_not_sent_again(lab: Lab, switch: Any) -> None:
    for fault in ({"invalid_grant_once": 1}, {"token_endpoint_500": 1}):
        flow = lab.start()
        lab.consent(flow)
        switch(lab.client, **fault)
        with lab.watching() as watch:
            assert lab.complete(flow).status in (400, 500)
            assert lab.complete(flow).status == 403
        assert watch.calls == ["token"]
        nothing_kept(lab, flow)
        lab.hub.clear_switches(lab.client)
    lab.works()


LIFETIMES: dict[str, tuple[dict[str, Any], float | None]] = {
    "a string": ({"expires_in": "3600"}, 3600),
    "negative": ({"expires_in": -1}, None),
    "zero": ({"expires_in": 0}, None),
    "absent": ({"expires_in": None}, None),
    "1e12": ({"expires_in": 10**12}, 3650 * 86_400),
    "a fraction": ({"expires_in": 3600.7}, 3600),
}


@pytest.mark.case("T059")
@pytest.mark.parametrize("kind", LIFETIMES)
def test_T059_lifetimes_are_taken_with_sense(lab: Lab, switch: Any, kind: str) -> None:
    reply, want_s = LIFETIMES[kind]
    switch(lab.client, token_reply=reply)
    flow = lab.connect()
    ((life,),) = lab.rows(
        "SELECT extract(epoch FROM c.access_expires_at - c.consented_at)::float FROM connections_connection c "
        "JOIN connections_principal p ON p.id = c.principal_id WHERE p.subject = %s AND c.tenant_id = %s",
        flow.user,
    )
    assert life is None if want_s is None else abs(life - want_s) < 10
    assert must(lab.ask(flow.wat))["accessToken"]


BAD_ID_TOKENS: dict[str, dict[str, Any]] = {
    "wrong nonce": {"bad_nonce": 1},
    "missing nonce": {"id_token_claims": {"nonce": None}},
    "wrong audience": {"id_token_claims": {"aud": "somebody-else"}},
    "two audiences, other azp": {"id_token_claims": {"aud": ["somebody-else", "x"], "azp": "somebody-else"}},
    "wrong issuer": {"id_token_claims": {"iss": "https://evil.example"}},
    "no issuer": {"id_token_claims": {"iss": None}},
    "no subject": {"id_token_claims": {"sub": None}},
    "expired": {"id_token_claims": {"exp": 1_000_000_000}},
    "from the future": {"id_token_claims": {"iat": 9_999_999_999}},
    "wrong access token hash": {"id_token_claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    "bad signature": {"bad_id_token_signature": 1},
    "unsigned": {"unsigned_id_token": 1},
    "left out": {"token_reply": {"id_token": None}},
    "not a token": {"token_reply": {"id_token": "x.y.z"}},
}


@pytest.mark.case("T060")
@pytest.mark.parametrize("kind", BAD_ID_TOKENS)
def test_T060_an_id_token_that_does_not_hold_brings_the_access_token_down_with_it(
    lab: Lab, switch: Any, kind: str
) -> None:
    flow = lab.start(scopes=("openid", "repo:read"))
    lab.consent(flow)
    switch(lab.client, **BAD_ID_TOKENS[kind])
    with lab.watching() as watch:
        reply = lab.complete(flow)
    assert reply.status == 400 and reply.code == "ValidationException", reply.body
    assert watch.calls.count("token") == 1 and set(watch.calls) <= {"token", "jwks"}
    assert watch.reasons()["id_token_invalid"] >= 1
    nothing_kept(lab, flow)
    lab.hub.clear_switches(lab.client)
    with lab.refuses("consent_id_token_invalid"):
        denied(lab.poll(flow), 403, "AccessDeniedException")
    lab.works(scopes=("openid", "repo:read"))


# --- the world changes in between ---------------------------------------------------------------------------------


def delete_provider(lab: Lab) -> None:
    must(lab.wire.call("DeleteOauth2CredentialProvider", {"name": "hub"}))


def suspend_provider(lab: Lab) -> None:
    oracle.execute("UPDATE providers_provider SET status = 'suspended' WHERE tenant_id = %s", lab.tenant.id)


def move_provider(lab: Lab) -> None:
    metadata = {
        "issuer": lab.hub.url,
        "authorizationEndpoint": f"{lab.hub.url}/authorize",
        "tokenEndpoint": f"{lab.hub.url}/github/login/oauth/access_token",
    }
    must(
        lab.wire.call(
            "UpdateOauth2CredentialProvider",
            lab.provider_input(oauthDiscovery={"authorizationServerMetadata": metadata}),
        )
    )


def delete_agent(lab: Lab) -> None:
    must(lab.wire.call("DeleteWorkloadIdentity", {"name": "bot"}))


def suspend_agent(lab: Lab) -> None:
    from apps.broker import contracts as c

    lab.run(c.SuspendAgent(name="bot", why="test"))


def suspend_person(lab: Lab) -> None:
    oracle.execute("UPDATE connections_principal SET status = 'suspended' WHERE tenant_id = %s", lab.tenant.id)


def suspend_tenant(lab: Lab) -> None:
    oracle.execute("UPDATE tenants_tenant SET status = 'suspended' WHERE id = %s", lab.tenant.id)


CHANGES = [
    delete_provider,
    suspend_provider,
    move_provider,
    delete_agent,
    suspend_agent,
    suspend_person,
    suspend_tenant,
]
every_change = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)


def no_token_call(lab: Lab) -> list[str]:
    return [call for call in oracle.calls_to(lab.hub) if call in ("token", "unknown")]


@pytest.mark.case("T061")
@every_change
def test_T061_what_changes_before_the_person_decides_stops_them(own_lab: Lab, change: Any) -> None:
    lab = own_lab
    flow = lab.start()
    change(lab)
    page = lab.dana.open(flow.url)
    assert page.status in (403, 404, 410) and page.button("consent-approve") is None
    assert lab.rows("SELECT 1 FROM connections_connection WHERE tenant_id = %s") == []


@pytest.mark.case("T061")
@every_change
def test_T061_what_changes_before_the_callback_stops_the_exchange(own_lab: Lab, change: Any) -> None:
    lab = own_lab
    flow = lab.start()
    url = lab.to_callback(flow)
    change(lab)
    no_token_call(lab)
    page = lab.dana.open(url)
    assert page.status in (400, 403, 404, 410), page.status
    assert lab.complete(flow).status in (401, 403, 404)
    assert no_token_call(lab) == []
    assert lab.rows("SELECT 1 FROM connections_connection WHERE tenant_id = %s") == []
    assert lab.ask(flow.wat).status in (401, 403, 404) or "accessToken" not in lab.ask(flow.wat).json


@pytest.mark.case("T061")
@every_change
def test_T061_what_changes_before_the_application_vouches_stops_the_exchange(own_lab: Lab, change: Any) -> None:
    lab = own_lab
    flow = lab.start()
    assert lab.consent(flow).url.startswith(RETURN)
    change(lab)
    no_token_call(lab)
    assert lab.complete(flow).status in (401, 403, 404)
    assert no_token_call(lab) == []
    assert lab.rows("SELECT 1 FROM connections_connection WHERE tenant_id = %s") == []


@pytest.mark.case("T061")
@every_change
def test_T061_what_changes_while_the_code_is_exchanged_keeps_nothing(own_lab: Lab, switch: Any, change: Any) -> None:
    """The provider thinks for a moment; meanwhile the ground is gone."""
    import time
    from concurrent.futures import ThreadPoolExecutor

    lab = own_lab
    assert lab.owner  # who will change things, made beforehand
    flow = lab.start()
    lab.consent(flow)
    switch(lab.client, slow_ms=1200)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lab.complete, flow)
        deadline = time.monotonic() + 5
        while not lab.rows("SELECT 1 FROM connections_consentsession WHERE status = 'exchanging' AND tenant_id = %s"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        change(lab)
        reply = waiting.result(30)
    assert reply.status in (401, 403, 404), reply.body
    assert lab.rows("SELECT 1 FROM connections_connection WHERE tenant_id = %s") == []
    left = lab.rows(
        'SELECT v."column" FROM vault_sealedsecret v WHERE v."table" LIKE %s AND v.tenant_id = %s', "connections_%"
    )
    assert left == [], "neither tokens nor the request's secrets stay"
    live = lab.rows("SELECT status FROM connections_consentsession WHERE status = 'exchanging' AND tenant_id = %s")
    assert live == [], "a poll must not be told to wait for something that is over"


@pytest.mark.case("T061")
def test_T061_a_good_connection_stays_good_until_the_new_one_is_there(lab: Lab, switch: Any) -> None:
    flow = lab.connect()
    token = must(lab.ask(flow.wat))["accessToken"]

    def forced() -> Flow:
        asked = must(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN, forceAuthentication=True))
        return Flow(flow.wat, flow.user, asked["sessionUri"], asked["authorizationUrl"], {"scopes": ["repo:read"]})

    declined = forced()
    lab.dana.open(declined.url)
    lab.dana.submit(button="consent-decline")
    assert must(lab.ask(flow.wat))["accessToken"] == token
    failing = forced()
    lab.consent(failing)
    assert must(lab.ask(flow.wat))["accessToken"] == token
    assert "accessToken" not in must(lab.poll(failing)), "a forced request waits for its own end"
    switch(lab.client, token_reply={"access_token": None})
    assert lab.complete(failing).status == 400
    lab.hub.clear_switches(lab.client)
    assert must(lab.ask(flow.wat))["accessToken"] == token
    good = forced()
    lab.consent(good)
    must(lab.complete(good))
    assert must(lab.poll(good))["accessToken"] != token
    # The superseded request's refusal stays what it was, even though a token is there.
    denied(lab.poll(failing), 403, "AccessDeniedException")
    denied(lab.poll(declined), 403, "AccessDeniedException")


@pytest.mark.case("T061")
def test_T061_a_grant_is_for_one_agent_and_one_person(lab: Lab) -> None:
    lab.add_agent("other-bot")
    flow = lab.connect()
    for wat in (lab.wat(lab.new_user()), lab.wat(flow.user, "other-bot"), lab.wat(flow.user.upper())):
        reply = must(lab.ask(wat))
        assert "accessToken" not in reply and reply["authorizationUrl"]
    assert must(lab.ask(flow.wat))["accessToken"]
