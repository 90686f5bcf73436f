"""Opening a consent request: what goes to the person and the provider, and what cannot be asked for."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from apps.broker import contracts as c
from apps.core.secret import Secret
from tests.security.lab import RETURN, Lab, denied, must
from tests.support import mutated


def approved(lab: Lab, flow: Any) -> dict[str, str]:
    """The query of the authorization URL the person is sent to, each parameter once."""
    outcome = lab.run(c.DecideConsent(ticket=Secret(flow.ticket), user_id=None, approve=True))
    found = parse_qs(urlsplit(outcome.authorization_url).query, strict_parsing=True)
    assert outcome.authorization_url.startswith(f"{lab.hub.url}/authorize?")
    assert [name for name, values in found.items() if len(values) > 1] == []
    return {name: values[0] for name, values in found.items()}


@pytest.mark.case("T048")
def test_T048_every_authorization_url_is_fresh_and_gives_nothing_away(lab: Lab) -> None:
    states, nonces, challenges, sessions = set(), set(), set(), set()
    rounds = 12
    for _ in range(rounds):
        user = f"{lab.new_user()}-dana@hub.example"
        flow = lab.start(user, ("openid", "repo:read"), customState="application's own")
        query = approved(lab, flow)
        assert query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43
        assert query["response_type"] == "code" and query["redirect_uri"] == lab.callback_url
        assert set(query["scope"].split()) == {"openid", "repo:read"}
        assert len(query["nonce"]) >= 43 and len(query["state"]) >= 43
        text = f"{query} {flow.url}"
        for private in (user, "dana@", lab.client.client_secret, flow.wat, "application's own", flow.ticket[4:]):
            assert private not in str(query), private
        assert lab.client.client_secret not in text and query["state"] not in flow.url
        states.add(query["state"])
        nonces.add(query["nonce"])
        challenges.add(query["code_challenge"])
        sessions.add(flow.session_uri)
    assert len(states) == len(nonces) == len(challenges) == len(sessions) == rounds
    lab.works()


@pytest.mark.case("T048")
def test_T048_without_openid_there_is_no_nonce_and_still_a_challenge(lab: Lab) -> None:
    query = approved(lab, lab.start(scopes=("repo:read",)))
    assert "nonce" not in query and query["code_challenge_method"] == "S256"


@pytest.mark.case("T048")
def test_T048_ten_thousand_tickets_differ_in_every_bit_of_their_randomness() -> None:
    from apps.core import tickets

    made = [tickets.mint(tickets.Kind.STATE, "123456789012").reveal() for _ in range(10_000)]
    random_parts = [text[len("ast_") + 12 : -6] for text in made]
    assert len(set(random_parts)) == 10_000 and {len(text) for text in random_parts} == {43}
    # 43 characters of 62 hold 256 bits; the first place carries what 2**260 leaves over, the rest are even.
    for place in range(1, 43):
        assert len({text[place] for text in random_parts}) == 62, place


@pytest.mark.case("T048")
def test_T048_the_challenge_belongs_to_a_verifier_that_never_leaves_the_vault(lab: Lab) -> None:
    from apps.tenants.scope import tenant_scope
    from apps.vault.opening import open_at

    flow = lab.start()
    query = approved(lab, flow)
    (session,) = lab.rows(
        "SELECT s.id FROM connections_consentsession s JOIN connections_principal p ON p.id = s.principal_id "
        "WHERE p.subject = %s AND s.tenant_id = %s",
        flow.user,
    )
    with tenant_scope(lab.tenant.id):
        verifier = open_at(table="connections_consentsession", row_id=session[0], column="code_verifier")
    assert verifier is not None and len(verifier.reveal()) >= 43
    digest = hashlib.sha256(verifier.reveal().encode()).digest()
    assert query["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


REGISTERED = "https://app.example/cb"
NOT_REGISTERED = {
    "http": "http://app.example/cb",
    "slash": "https://app.example/cb/",
    "query": "https://app.example/cb?x=1",
    "case": "https://app.example/CB",
    "host case": "https://APP.example/cb",
    "no scheme": "//app.example/cb",
    "sub-domain": "https://evil.app.example/cb",
    "other domain": "https://app.example.evil/cb",
    "port": "https://app.example:444/cb",
    "default port": "https://app.example:443/cb",
    "fragment": "https://app.example/cb#f",
    "user": "https://app.example@evil.example/cb",
    "backslash": "https://app.example\\@evil.example/cb",
    "dots": "https://app.example/x/../cb",
    "escaped": "https://app.example/%63b",
    "trailing blank": "https://app.example/cb ",
    "newline": "https://app.example/cb\n",
    "5 kB": "https://app.example/cb?" + "x" * 5000,
    "javascript": "javascript:alert(1)//https://app.example/cb",
    "data": "data:text/html,https://app.example/cb",
    "empty": "",
}


@pytest.fixture(scope="module")
def web_agent(lab: Lab) -> str:
    must(
        lab.wire.call(
            "CreateWorkloadIdentity", {"name": "web", "allowedResourceOauth2ReturnUrls": [REGISTERED, RETURN]}
        )
    )
    return "web"


@pytest.mark.case("T049")
@pytest.mark.parametrize("kind", NOT_REGISTERED)
def test_T049_only_the_registered_return_url_is_taken(lab: Lab, web_agent: str, kind: str) -> None:
    wat = lab.wat(lab.new_user(), web_agent)
    with lab.refuses({"return_url_not_registered", "field_invalid"}):
        denied(lab.ask(wat, resourceOauth2ReturnUrl=NOT_REGISTERED[kind]), 400, "ValidationException")
    assert must(lab.ask(wat, resourceOauth2ReturnUrl=REGISTERED))["authorizationUrl"]


@pytest.mark.case("T049")
def test_T049_another_agents_url_and_another_port_are_not_this_agents(lab: Lab, web_agent: str) -> None:
    wat = lab.wat(lab.new_user())
    for url in (REGISTERED, "http://127.0.0.1:10/cb", "http://localhost:9/cb", "http://[::1]:9/cb"):
        with lab.refuses("return_url_not_registered"):
            denied(lab.ask(wat, resourceOauth2ReturnUrl=url), 400, "ValidationException")
    must(lab.ask(wat, resourceOauth2ReturnUrl=RETURN))


@pytest.mark.case("T049")
def test_T049_a_native_agent_may_use_any_port_of_its_own_machine_and_nothing_more(own_lab: Lab) -> None:
    from tests.security import oracle

    lab = own_lab
    oracle.execute("UPDATE agents_agent SET native = true WHERE tenant_id = %s", lab.tenant.id)
    wat = lab.wat(lab.new_user())
    must(lab.ask(wat, resourceOauth2ReturnUrl="http://127.0.0.1:51234/cb"))
    for url in (
        "http://127.0.0.1:51234/other",
        "http://127.0.0.1:51234/cb?x=1",
        "http://127.0.0.1.evil.example:51234/cb",
        "http://localhost:51234/cb",
        "http://127.0.0.1:9@evil.example/cb",
        "https://127.0.0.1:51234/cb",
        "http://127.0.0.1:51234/cb#f",
    ):
        with lab.refuses("return_url_not_registered"):
            denied(lab.ask(wat, resourceOauth2ReturnUrl=url), 400, "ValidationException")


@pytest.mark.case("T049")
@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://app.example/cb#f",
        "https://user@app.example/cb",
        "https://*.example/cb",
        "https:///cb",
        "http://127.0.0.1.evil.example/cb",
        "http://localhost.evil.example/cb",
    ],
)
def test_T049_what_cannot_be_a_return_url_cannot_be_registered(lab: Lab, url: str) -> None:
    members = {"name": "bot", "allowedResourceOauth2ReturnUrls": [url]}
    with lab.refuses({"return_url_invalid", "field_invalid"}):
        denied(lab.wire.call("UpdateWorkloadIdentity", members), 400, "ValidationException")
    with lab.refuses({"return_url_invalid", "field_invalid"}):
        denied(lab.wire.call("CreateWorkloadIdentity", {**members, "name": "evil"}), 400, "ValidationException")


@pytest.fixture(scope="module")
def slack(lab: Lab) -> str:
    config = {"slackOauth2ProviderConfig": {"clientId": "slack-client", "clientSecret": "slack-secret"}}
    members = {"name": "slack", "credentialProviderVendor": "SlackOauth2", "oauth2ProviderConfigInput": config}
    must(lab.wire.call("CreateOauth2CredentialProvider", members))
    return "slack"


def at_slack(lab: Lab, scopes: tuple[str, ...], custom: dict[str, str]) -> dict[str, str]:
    """The query of the address at Slack that the person is sent to."""
    flow = lab.start(scopes=scopes, resourceCredentialProviderName="slack", customParameters=custom)
    outcome = lab.run(c.DecideConsent(ticket=Secret(flow.ticket), user_id=None, approve=True))
    assert outcome.authorization_url.startswith("https://slack.com/oauth/v2/authorize?")
    return {name: value for name, (value,) in parse_qs(urlsplit(outcome.authorization_url).query).items()}


def test_a_token_of_the_person_at_slack_is_asked_for_with_user_scope(lab: Lab, slack: str) -> None:
    both = at_slack(lab, ("chat:write", "search:read"), {"user_scope": "search:read", "team": "T1"})
    assert (both["scope"], both["user_scope"], both["team"]) == ("chat:write", "search:read", "T1")
    own = at_slack(lab, ("search:read", "files:read"), {"user_scope": "search:read,files:read"})
    assert "scope" not in own and set(own["user_scope"].split(",")) == {"search:read", "files:read"}
    plain = at_slack(lab, ("chat:write", "files:read"), {})
    assert set(plain["scope"].split(",")) == {"chat:write", "files:read"} and "user_scope" not in plain


@pytest.mark.case("T050")
@pytest.mark.parametrize(
    "custom", [{"user_scope": "admin"}, {"user_scope": "chat:write admin"}, {"User_Scope": "chat:write"}]
)
def test_T050_user_scope_brings_in_no_scope_that_was_not_asked_for(lab: Lab, slack: str, custom: Any) -> None:
    wat = lab.wat(lab.new_user())
    asked = {"resourceOauth2ReturnUrl": RETURN, "resourceCredentialProviderName": slack}
    with lab.refuses("reserved_parameter"):
        denied(lab.ask(wat, ("chat:write",), customParameters=custom, **asked), 400, "ValidationException")
    must(lab.ask(wat, ("chat:write",), customParameters={"user_scope": "chat:write"}, **asked))


def test_a_scope_that_slack_would_read_as_two_is_refused_before_a_person_is_asked(lab: Lab, slack: str) -> None:
    wat = lab.wat(lab.new_user())
    asked = {"resourceOauth2ReturnUrl": RETURN, "resourceCredentialProviderName": slack}
    with lab.refuses("scope_invalid"):
        denied(lab.ask(wat, ("chat:write,admin",), **asked), 400, "ValidationException")


RESERVED = (
    "client_id client_secret redirect_uri response_type response_mode state nonce code_challenge "
    "code_challenge_method request request_uri scope resource audience Redirect_URI redirect.uri redirect-uri "
    "SCOPE user_scope optional_scope include_granted_scopes code grant_type code_verifier iss"
).split()


@pytest.mark.case("T050")
@pytest.mark.parametrize("name", RESERVED)
def test_T050_what_the_portal_sets_cannot_be_set_by_the_caller(lab: Lab, name: str) -> None:
    wat = lab.wat(lab.new_user())
    for flow in ("USER_FEDERATION", "M2M"):
        with lab.refuses("reserved_parameter"):
            reply = lab.ask(
                wat, resourceOauth2ReturnUrl=RETURN, oauth2Flow=flow, customParameters={"login_hint": "x", name: "evil"}
            )
            denied(reply, 400, "ValidationException")
        assert "evil" not in reply.body.decode()


@pytest.mark.case("T050")
def test_T050_prompt_none_is_refused_and_other_parameters_travel(lab: Lab) -> None:
    wat = lab.wat(lab.new_user())
    for value in ("none", "NONE", "login none"):
        with lab.refuses("reserved_parameter"):
            reply = lab.ask(wat, resourceOauth2ReturnUrl=RETURN, customParameters={"prompt": value})
            denied(reply, 400, "ValidationException")
    flow = lab.start(customParameters={"prompt": "consent", "login_hint": "somebody"})
    query = approved(lab, flow)
    assert (query["prompt"], query["login_hint"]) == ("consent", "somebody")


# --- polls and how many -------------------------------------------------------------------------------------------


def sessions_of(lab: Lab, user: str) -> list[str]:
    rows = lab.rows(
        "SELECT s.status FROM connections_consentsession s JOIN connections_principal p ON p.id = s.principal_id "
        "WHERE p.subject = %s AND s.tenant_id = %s ORDER BY s.created_at",
        user,
    )
    return [status for (status,) in rows]


@pytest.mark.case("T057")
def test_T057_polls_open_nothing_and_at_most_five_requests_live(lab: Lab) -> None:
    flow = lab.start()
    for _ in range(4):
        reply = must(lab.poll(flow))
        assert (reply["sessionUri"], reply["authorizationUrl"]) == (flow.session_uri, flow.url)
        assert must(lab.poll(flow, forceAuthentication=True))["sessionUri"] == flow.session_uri
        assert must(lab.ask(flow.wat, sessionUri=flow.session_uri))["sessionUri"] == flow.session_uri
    assert sessions_of(lab, flow.user) == ["pending"]
    others = [lab.start(flow.user) for _ in range(6)]
    assert sessions_of(lab, flow.user) == ["superseded"] * 2 + ["pending"] * 5
    with lab.refuses("consent_superseded"):
        denied(lab.poll(flow), 403, "AccessDeniedException")
    # One of them is completed: all live ones are answered with the token.
    lab.consent(others[-1])
    must(lab.complete(others[-1]))
    for other in others[-5:]:
        assert must(lab.poll(other))["accessToken"]


@pytest.mark.case("T057")
def test_T057_asking_many_times_at_once_still_leaves_five(lab: Lab) -> None:
    from concurrent.futures import ThreadPoolExecutor

    user = lab.new_user()
    wat = lab.wat(user)
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: lab.ask(wat, resourceOauth2ReturnUrl=RETURN), range(24)))
    assert {reply.status for reply in replies} == {200}
    assert sessions_of(lab, user).count("pending") == 5


@pytest.mark.case("T057")
def test_T057_the_session_belongs_to_agent_person_and_provider(lab: Lab, neighbour: Lab) -> None:
    lab.add_agent("poller")
    lab.add_provider("hub-2")
    flow = lab.start()
    theirs = neighbour.start()
    attempts = {
        "another person": lambda: lab.ask(lab.wat(), sessionUri=flow.session_uri),
        "unknown": lambda: lab.ask(flow.wat, sessionUri=mutated(flow.session_uri)),
        "other tenant's": lambda: lab.ask(flow.wat, sessionUri=theirs.session_uri),
        "a state": lambda: lab.ask(flow.wat, sessionUri=flow.session_uri.replace("acs_", "ast_")),
        "another provider": lambda: lab.ask(
            flow.wat, sessionUri=flow.session_uri, resourceCredentialProviderName="hub-2"
        ),
    }
    wats = {"another person": lab.wat(lab.new_user()), "another agent": lab.wat(flow.user, "poller")}
    attempts["another person"] = lambda: lab.ask(wats["another person"], sessionUri=flow.session_uri)
    attempts["another agent"] = lambda: lab.ask(wats["another agent"], sessionUri=flow.session_uri)
    answers = set()
    for name, attempt in attempts.items():
        with lab.refuses("session_foreign", neighbours=(neighbour.tenant,)):
            reply = attempt()
        assert (reply.status, reply.code) == (403, "AccessDeniedException"), name
        answers.add(reply.body)
    assert len(answers) == 1
    assert must(lab.poll(flow))["sessionUri"] == flow.session_uri


@pytest.mark.case("T057")
def test_T057_denied_and_expired_requests_answer_polls_with_a_sentence(lab: Lab) -> None:
    from tests.security import oracle

    declined, expired = lab.start(), lab.start()
    lab.dana.open(declined.url)
    lab.dana.submit(button="consent-decline")
    oracle.execute(
        "UPDATE connections_consentsession s SET expires_at = now() FROM connections_principal p "
        "WHERE p.id = s.principal_id AND p.subject = %s",
        expired.user,
    )
    for flow, reason, word in ((declined, "consent_denied", "declined"), (expired, "consent_expired", "expired")):
        for _ in range(2):
            # The first poll of an expired request closes it.
            with lab.refuses(reason, may_change=("connections_consentsession", "vault_sealedsecret")):
                reply = denied(lab.poll(flow), 403, "AccessDeniedException")
            assert word in reply["message"]
        assert lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN).status == 200, "asking anew is possible"
    assert sessions_of(lab, expired.user)[0] == "expired"


@pytest.mark.case("T057")
def test_T057_in_strict_mode_a_failed_request_is_said_as_aws_says_it(lab: Lab, settings: Any) -> None:
    from tests.security.wire import Wire

    here = Wire(lab.portal.url, lab.wire.key_id, lab.wire.secret, here=True)
    flow = lab.start()
    lab.dana.open(flow.url)
    lab.dana.submit(button="consent-decline")
    members = {**flow.asked, "sessionUri": flow.session_uri}
    denied(lab.ask(flow.wat, wire=here, **members), 403, "AccessDeniedException")
    settings.STRICT_SESSION_STATUS = True
    reply = must(lab.ask(flow.wat, wire=here, **members))
    assert reply == {"sessionUri": flow.session_uri, "sessionStatus": "FAILED"}
    live = lab.start()
    assert must(lab.ask(live.wat, wire=here, sessionUri=live.session_uri))["sessionStatus"] == "IN_PROGRESS"
