"""Applications of people: authorization code with PKCE, from the consent page to the last refresh."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import threading
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.urls import get_resolver

from apps.authn.caller import CallerKind
from apps.authn.models import OAuthAccessToken, OAuthClient, OAuthGrant, OAuthRefreshToken
from apps.broker import contracts as c
from apps.broker.authorization_server import contracts as oc
from apps.broker.authorization_server.bearer import authenticate_bearer
from apps.broker.run import run
from apps.core import clock
from apps.core.errors import Invalid, NotAllowed, Unauthenticated
from apps.core.secret import Secret
from apps.tenants.models import User
from apps.tenants.scope import tenant_scope
from tests.oauth.support import credentials, issuer, make_client, post
from tests.pages.conftest import World, seen, sign_in, text
from tests.security.oracle import execute, refused, watching
from tests.support import mutated, rows, trail

REDIRECT = "https://app.example/cb"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(autouse=True)
def _as_served(settings):
    settings.STATIC_ROOT = None


@pytest.fixture
def world(new_tenant):
    made = World(new_tenant())
    made.user("dana", role="tenant_admin", linked=False)
    return made


@pytest.fixture
def dana(world):
    browser = Client()
    assert sign_in(browser, world, "dana").status_code == 303
    return browser


@pytest.fixture
def app(world):
    return make_client(
        world.tenant, "agents:read", "agents:write", grant="authorization_code", proof="none", redirect_uris=(REDIRECT,)
    )


@pytest.fixture
def web_app(world):
    return make_client(world.tenant, "agents:read", grant="authorization_code", redirect_uris=(REDIRECT,))


def ask(world, made, **changes):
    """The address of the authorization request."""
    query = {
        "response_type": "code",
        "client_id": made.client_id,
        "redirect_uri": REDIRECT,
        "scope": "agents:read",
        "state": "s t&te",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    query = {name: value for name, value in query.items() if value is not None}
    return f"/t/{world.tenant.slug}/oauth2/authorize?{urlencode(query)}"


def sent_to(page):
    """Where the hand-over page goes."""
    assert page.status_code == 200, page.content
    refresh = seen(page).refresh
    assert refresh is not None
    return refresh[1]


def allow(world, browser, made, **changes):
    """The code, after the person allowed it."""
    answer = parse_qs(urlsplit(sent_to(browser.post(ask(world, made, **changes), {"decision": "approve"}))).query)
    assert answer["state"] == ["s t&te"] and answer["iss"] == [issuer(world.tenant)]
    return answer["code"][0]


def redeem(world, made, code, **changes):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        "client_id": made.client_id,
        **changes,
    }
    basic = credentials(made) if made.client_secret is not None else None
    return post(world.tenant, "token", {k: v for k, v in form.items() if v is not None}, basic=basic)


def refresh(world, made, token, **more):
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": made.client_id, **more}
    basic = credentials(made) if made.client_secret is not None else None
    return post(world.tenant, "token", form, basic=basic)


def caller_of(token):
    return authenticate_bearer(Secret(token), request_id="r", source_ip="127.0.0.1")


def dead(*tokens):
    for token in tokens:
        with pytest.raises(Unauthenticated):
            caller_of(token)


# --- the way through ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["app", "web_app"])
def test_a_person_lets_an_application_act_for_them(world, dana, kind, request):
    made = request.getfixturevalue(kind)
    page = dana.get(ask(world, made))
    assert page.status_code == 200 and text(page, "oauth-client") == "reporter"
    assert text(page, "consent-return-host") == "app.example" and "agents:read" in page.content.decode()
    tokens = redeem(world, made, allow(world, dana, made)).json()
    caller = caller_of(tokens["access_token"])
    user = User.objects.get(email=world.email("dana"))
    assert (caller.kind, caller.row_id, caller.client_id) == (CallerKind.PERSON, user.id, made.client_id)
    assert caller.scopes == {"agents:read"}
    assert run(c.ListAgents(), caller).items
    with pytest.raises(NotAllowed):
        run(c.CreateAgent(name="other"), caller)
    actions = [r.action for r in trail(world.tenant, outcome="allowed")]
    assert [a for a in actions if a.startswith(("authorization", "api_token"))] == [
        "authorization.view",
        "authorization.decide",
        "api_token.issue",
    ]


def test_a_token_never_does_more_than_its_person(world, app):
    world.user("vera", role="approver", linked=False)
    browser = Client()
    sign_in(browser, world, "vera")
    token = redeem(world, app, allow(world, browser, app, scope="agents:read agents:write")).json()["access_token"]
    assert run(c.GetAgent(name="release-notes-bot"), caller_of(token))
    with pytest.raises(NotAllowed) as refusal:
        run(c.CreateAgent(name="other"), caller_of(token))
    assert refusal.value.reason == "role_lacks_action"


def test_somebody_not_signed_in_is_asked_to_and_comes_back_to_the_very_request(world, app):
    link = ask(world, app)
    answer = Client().get(link)
    assert answer.status_code == 303
    where = urlsplit(answer.headers["Location"])
    assert where.path == "/signin/" and parse_qs(where.query)["next"] == [link]


def test_declining_is_told_to_the_application_with_state_and_issuer(world, dana, app):
    with refused(world.tenant, reason="person_declined"):
        page = dana.post(ask(world, app), {"decision": "decline"})
    answer = dict(parse_qsl(urlsplit(sent_to(page)).query))
    assert answer == {"error": "access_denied", "state": "s t&te", "iss": issuer(world.tenant)}


def test_a_stranger_is_not_asked(world, globex, app):
    other = World(globex)
    other.user("eve", linked=False)
    browser = Client()
    sign_in(browser, other, "eve")
    with refused(world.tenant, reason="not_a_member"):
        assert browser.get(ask(world, app)).status_code == 403
    with refused(world.tenant, reason="not_a_member"):
        assert browser.post(ask(world, app), {"decision": "approve"}).status_code == 403


def test_a_form_without_its_token_decides_nothing(world, app):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.get(email=world.email("dana")))
    with watching(world.tenant) as watch:
        assert browser.post(ask(world, app), {"decision": "approve"}).status_code == 403
    assert watch.changed == set()


def test_the_page_keeps_the_strict_policy_and_names_no_other_place_to_go(world, dana, app):
    page = dana.get(ask(world, app))
    policy = page.headers["Content-Security-Policy"]
    assert "form-action 'self'" in policy and "unsafe" not in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script|<style|\sstyle=", page.content.decode())
    given = dana.post(ask(world, app), {"decision": "approve"})
    assert given.headers["Referrer-Policy"] == "no-referrer" and given.headers["Cache-Control"] == "no-store"


def test_hostile_names_are_shown_as_text(world, dana):
    made = run(
        oc.CreateApiClient(
            name="<script>alert(1)</script>",
            scopes=("agents:read",),
            grant="authorization_code",
            proof="none",
            redirect_uris=(REDIRECT,),
        ),
        world.tenant.caller(),
    )
    assert "<script>" not in dana.get(ask(world, made)).content.decode()


# --- T083: what does not exist --------------------------------------------------------------------------------------

NO_CODE = {
    "response_type_token": ({"response_type": "token"}, "unsupported_response_type"),
    "response_type_id_token": ({"response_type": "id_token"}, "unsupported_response_type"),
    "response_type_code_token": ({"response_type": "code token"}, "unauthorized_client"),
    "response_type_missing": ({"response_type": None}, "invalid_request"),
    "challenge_missing": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "challenge_plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "challenge_method_missing": ({"code_challenge_method": None}, "invalid_request"),
    "challenge_short": ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
    "scope_missing": ({"scope": None}, "invalid_scope"),
    "scope_not_of_the_client": ({"scope": "agents:read keys:write"}, "invalid_scope"),
    "resource_of_others": ({"resource": "https://else.example"}, "invalid_target"),
}


@pytest.mark.case("T083")
@pytest.mark.parametrize("fault", NO_CODE)
def test_T083_a_request_with_one_fault_gets_no_code(world, dana, app, fault):
    changes, error = NO_CODE[fault]
    assert dana.get(ask(world, app)).status_code == 200
    with watching(world.tenant) as watch:
        shown = dana.get(ask(world, app, **changes))
        decided = dana.post(ask(world, app, **changes), {"decision": "approve"})
    assert watch.changed == set() and [record.outcome for record in watch.records] == ["denied", "denied"]
    assert shown.status_code == 303
    for address in (shown.headers["Location"], sent_to(decided)):
        assert address.startswith(f"{REDIRECT}?")
        answer = dict(parse_qsl(urlsplit(address).query))
        assert answer["error"] == error and answer["state"] == "s t&te" and answer["iss"] == issuer(world.tenant)


WRONG_VERIFIER = {
    "wrong": {"code_verifier": "w" * 43},
    "short": {"code_verifier": "v" * 42},
    "missing": {"code_verifier": None},
    "another_redirect_uri": {"redirect_uri": REDIRECT + "/"},
    "redirect_uri_missing": {"redirect_uri": None},
}


@pytest.mark.case("T083")
@pytest.mark.parametrize("fault", WRONG_VERIFIER)
def test_T083_a_code_without_its_proof_gives_nothing(world, dana, app, fault):
    code = allow(world, dana, app)
    with watching(world.tenant) as watch:
        answer = redeem(world, app, code, **WRONG_VERIFIER[fault])
    assert answer.status_code == 400 and answer.json()["error"] in ("invalid_grant", "invalid_request")
    assert watch.changed == set() and [record.outcome for record in watch.records] == ["denied"]
    assert redeem(world, app, code).status_code == 200


@pytest.mark.case("T083")
@pytest.mark.parametrize("grant", ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "openid"])
def test_T083_other_grants_do_not_exist(world, app, grant):
    with refused(world.tenant, reason="grant_type_unknown"):
        answer = post(
            world.tenant,
            "token",
            {"grant_type": grant, "client_id": app.client_id, "username": world.email("dana"), "password": "x"},
        )
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.case("T083")
def test_T083_a_client_of_people_gets_nothing_in_its_own_right(world, web_app):
    with refused(world.tenant, reason="unauthorized_client"):
        answer = post(
            world.tenant,
            "token",
            {"grant_type": "client_credentials", "scope": "agents:read"},
            basic=credentials(web_app),
        )
    assert answer.json()["error"] == "unauthorized_client"


# --- T084: where people are sent --------------------------------------------------------------------------------------

ELSEWHERE = [
    REDIRECT + "?extra=1",
    REDIRECT + ";p=1",
    REDIRECT + "#x",
    "https://user@app.example/cb",
    "https://app.example/CB",
    "http://app.example/cb",
    "http://127.0.0.1:1234/cb",
    "https://app.example.evil.example/cb",
    "https://app.example/cb/../cb",
    "javascript:alert(1)",
    "//app.example/cb",
    "",
]


@pytest.mark.case("T084")
@pytest.mark.parametrize("address", ELSEWHERE)
def test_T084_nobody_is_sent_to_an_address_that_is_not_registered(world, dana, app, address):
    with watching(world.tenant) as watch:
        for answer in (
            dana.get(ask(world, app, redirect_uri=address)),
            dana.post(ask(world, app, redirect_uri=address), {"decision": "approve"}),
            Client().get(ask(world, app, redirect_uri=address)),
        ):
            assert answer.status_code == 400 and "Location" not in answer.headers
            page = seen(answer)
            assert page.refresh is None
            assert all(
                link.href.startswith("/") and link.href[1:2] not in "/\\" for link in page.links if link.href != "#main"
            )
    assert watch.changed == set()


@pytest.mark.case("T084")
def test_T084_a_second_redirect_uri_is_refused_even_if_both_are_registered(world, dana, app):
    answer = dana.get(f"{ask(world, app)}&{urlencode({'redirect_uri': REDIRECT})}")
    assert answer.status_code == 400 and "Location" not in answer.headers
    assert text(answer, "error-code") == "parameter_repeated"


@pytest.mark.case("T084")
@pytest.mark.parametrize(
    "uri", ["http://app.example/cb", "https://*.app.example/cb", "https://a@app.example/", "https://app.example/#f",
            "javascript:alert(1)", "https://app.example/?code=1"],
)  # fmt: skip
def test_T084_such_an_address_cannot_be_registered(world, uri):
    with pytest.raises(Invalid):
        make_client(world.tenant, grant="authorization_code", redirect_uris=(uri,))
    assert rows(world.tenant, OAuthClient) == []


@pytest.mark.case("T084")
def test_T084_an_unknown_client_sends_nobody_anywhere(world, dana, app, globex):
    foreign = make_client(globex, grant="authorization_code", proof="none", redirect_uris=(REDIRECT,))
    pages = []
    for client_id in (foreign.client_id, "client-" + "0" * 32):
        answer = dana.get(ask(world, app, client_id=client_id))
        assert answer.status_code == 400 and "Location" not in answer.headers
        pages.append(re.sub(r"<code data-testid=\"request-id\">.*?</code>|next=[^\"]*", "", answer.content.decode()))
    assert pages[0] == pages[1], "a client of another tenant is as unknown as none"


# --- T085: used twice -------------------------------------------------------------------------------------------------


@pytest.mark.case("T085")
def test_T085_a_code_that_comes_twice_ends_what_it_gave(world, dana, app):
    code = allow(world, dana, app)
    first = redeem(world, app, code).json()
    second = refresh(world, app, first["refresh_token"]).json()
    assert caller_of(second["access_token"])
    again = redeem(world, app, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    dead(first["access_token"], second["access_token"])
    assert refresh(world, app, second["refresh_token"]).json()["error"] == "invalid_grant"
    reasons = [r.reason for r in trail(world.tenant, action="api_token.family_revoked")]
    assert reasons[0] == "code_reused"


@pytest.mark.case("T085")
def test_T085_a_refresh_token_that_comes_twice_ends_its_family(world, dana, app):
    first = redeem(world, app, allow(world, dana, app)).json()
    bystander = redeem(world, app, allow(world, dana, app)).json()
    second = refresh(world, app, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    dead(first["access_token"])
    assert refresh(world, app, first["refresh_token"]).json()["error"] == "invalid_grant"
    dead(second["access_token"])
    assert refresh(world, app, second["refresh_token"]).json()["error"] == "invalid_grant"
    assert caller_of(bystander["access_token"]), "another family of the same person and client goes on"


def at_once(count, act):
    found = []
    gate = threading.Barrier(count)

    def one():
        try:
            gate.wait(60)
            found.append(act())
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(found) == count
    return found


@pytest.mark.case("T085")
@pytest.mark.parametrize("what", ["code", "refresh"])
def test_T085_of_twenty_at_once_at_most_one_succeeds_and_nothing_survives(world, dana, app, what):
    code = allow(world, dana, app)
    if what == "refresh":
        token = redeem(world, app, code).json()["refresh_token"]
        answers = at_once(20, lambda: refresh(world, app, token))
    else:
        answers = at_once(20, lambda: redeem(world, app, code))
    good = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {"invalid_grant"}
    dead(good[0]["access_token"])
    assert refresh(world, app, good[0]["refresh_token"]).status_code == 400


def test_an_expired_code_gives_nothing(world, dana, app):
    code = allow(world, dana, app)
    with tenant_scope(world.tenant.id):
        OAuthGrant.objects.update(expires=clock.now() - timedelta(seconds=1))
    with refused(world.tenant, reason="code_expired"):
        assert redeem(world, app, code).json()["error"] == "invalid_grant"


def test_a_refresh_token_ends_some_day(world, dana, app):
    tokens = redeem(world, app, allow(world, dana, app)).json()
    with tenant_scope(world.tenant.id):
        OAuthAccessToken.objects.update(expires=clock.now() - timedelta(days=15))
    with refused(world.tenant, reason="refresh_token_expired"):
        assert refresh(world, app, tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_refresh_may_narrow_and_never_widen(world, dana, app):
    tokens = redeem(world, app, allow(world, dana, app, scope="agents:read agents:write")).json()
    narrowed = refresh(world, app, tokens["refresh_token"], scope="agents:read").json()
    assert narrowed["scope"] == "agents:read"
    wider = refresh(world, app, narrowed["refresh_token"], scope="agents:read agents:write")
    assert wider.json()["error"] == "invalid_scope"


# --- T086, T087 -------------------------------------------------------------------------------------------------------


@pytest.mark.case("T086")
def test_T086_codes_and_tokens_are_stored_as_digests_only(world, dana, app):
    code = allow(world, dana, app)
    tokens = redeem(world, app, code).json()
    for table in ("authn_oauthgrant", "authn_oauthaccesstoken", "authn_oauthrefreshtoken", "audit_auditrecord"):
        found = str(execute(f"SELECT t::text FROM {table} t WHERE tenant_id = %s", world.tenant.id))
        assert found != "[]"
        for secret in (code, tokens["access_token"], tokens["refresh_token"]):
            assert secret not in found and secret[16:-6] not in found


@pytest.mark.case("T086")
def test_T086_the_stored_form_of_a_code_is_no_code(world, dana, app):
    allow(world, dana, app)
    [grant] = rows(world.tenant, OAuthGrant)
    with refused(world.tenant, reason="code_unknown"):
        assert redeem(world, app, grant.code).json()["error"] == "invalid_grant"


@pytest.mark.case("T086")
def test_T086_the_toolkits_own_pages_and_admin_are_not_there():
    def modules(resolver):
        for entry in resolver.url_patterns:
            if hasattr(entry, "url_patterns"):
                yield from modules(entry)
            else:
                yield entry.callback.__module__

    assert not [name for name in modules(get_resolver()) if name.startswith("oauth2_provider")]
    for path in ("/o/applications/", "/o/token/", "/o/authorize/", "/applications/", "/oauth2/register"):
        assert Client().get(path).status_code == 404
    pages = {type(page).__module__ for page in admin.site._registry.values()}
    assert not [name for name in pages if name.startswith("oauth2_provider")]


@pytest.mark.case("T087")
def test_T087_codes_and_refresh_tokens_are_worth_nothing_to_another_client(world, dana, app, web_app, globex):
    code = allow(world, dana, app)
    with refused(world.tenant, reason="code_unknown"):
        assert redeem(world, web_app, code).json()["error"] == "invalid_grant"
    tokens = redeem(world, app, code).json()
    with refused(world.tenant, reason="refresh_token_unknown"):
        assert refresh(world, web_app, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    foreign = make_client(globex, grant="authorization_code", proof="none", redirect_uris=(REDIRECT,))
    other = World.__new__(World)
    other.tenant = globex
    with refused(world.tenant, globex, reason="refresh_token_unknown"):
        assert refresh(other, foreign, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(world, app, tokens["refresh_token"]).status_code == 200


def deactivated(world, user):
    user.is_active = False
    user.save()


def removed(world, user):
    run(c.RemoveMember(user_id=user.id), world.system.__class__(**_owner(world)))


def _owner(world):
    user = world.user("olga", role="tenant_owner", linked=False)
    return {
        "tenant_id": world.tenant.id,
        "account_id": world.tenant.account_id,
        "kind": CallerKind.PERSON,
        "name": str(user.id),
        "row_id": user.id,
        "proof": "session",
        "request_id": secrets.token_hex(4),
    }


@pytest.mark.case("T087")
@pytest.mark.parametrize("end", [deactivated, removed], ids=lambda f: f.__name__)
def test_T087_a_persons_tokens_end_with_their_place_in_the_tenant(world, dana, app, end):
    tokens = redeem(world, app, allow(world, dana, app)).json()
    assert caller_of(tokens["access_token"])
    end(world, User.objects.get(email=world.email("dana")))
    dead(tokens["access_token"])
    with refused(world.tenant, reason="person_gone"):
        assert refresh(world, app, tokens["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.case("T087")
def test_T087_a_disabled_client_keeps_neither_codes_nor_tokens(world, dana, app):
    code = allow(world, dana, app)
    tokens = redeem(world, app, allow(world, dana, app)).json()
    run(oc.DisableApiClient(client_id=app.client_id), world.tenant.caller())
    dead(tokens["access_token"])
    assert redeem(world, app, code).status_code == 401
    assert refresh(world, app, tokens["refresh_token"]).status_code == 401
    answer = dana.get(ask(world, app))
    assert answer.status_code == 400 and "Location" not in answer.headers
    assert rows(world.tenant, OAuthGrant) == [] and rows(world.tenant, OAuthRefreshToken) == []


def test_revoking_either_token_ends_both(world, dana, app):
    for which in ("access_token", "refresh_token"):
        tokens = redeem(world, app, allow(world, dana, app)).json()
        answer = post(world.tenant, "revoke", {"token": tokens[which], "client_id": app.client_id})
        assert answer.status_code == 200
        dead(tokens["access_token"])
        assert refresh(world, app, tokens["refresh_token"]).status_code == 400


def test_a_confidential_client_is_not_believed_without_its_secret(world, dana, web_app):
    code = allow(world, dana, web_app)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        "client_id": web_app.client_id,
    }
    assert post(world.tenant, "token", form).status_code == 401
    client_id, secret = credentials(web_app)
    assert post(world.tenant, "token", form, basic=(client_id, mutated(secret))).status_code == 401
    assert redeem(world, web_app, code).status_code == 200
