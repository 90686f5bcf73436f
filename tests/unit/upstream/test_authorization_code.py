"""RFC 6749 section 4.1, RFC 7636, RFC 8707: the URL a browser is sent to, and the request that redeems the code."""

from __future__ import annotations

import base64
import hashlib
import secrets
from urllib.parse import parse_qsl, urlsplit

import pytest

from apps.core.errors import Invalid
from apps.core.secret import Secret
from apps.upstream.catalogue.catalogue import catalogue, vendor
from apps.upstream.protocol import authorization_code
from apps.upstream.protocol.parameters import RESERVED
from apps.upstream.protocol.types import STANDARD, ClientCredentials, Dialect, Endpoints
from tests.unit.upstream.conftest import CLIENT, ENDPOINTS

REDIRECT = "https://portal.example.com/connect/callback/abc"


def url(endpoints: Endpoints = ENDPOINTS, **changes: object) -> str:
    given: dict[str, object] = {
        "client_id": "client-1",
        "redirect_uri": REDIRECT,
        "scopes": ["read", "write"],
        "state": Secret("st4te"),
        "verifier": authorization_code.code_verifier(b"v" * 32),
    }
    return authorization_code.authorization_url(endpoints, **{**given, **changes})  # type: ignore[arg-type]


def query(text: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(text).query, keep_blank_values=True)


def refusal(**changes: object) -> Invalid:
    with pytest.raises(Invalid) as caught:
        url(**changes)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.case("T048")
def test_T048_the_url_says_exactly_what_it_must() -> None:
    verifier = authorization_code.code_verifier(b"v" * 32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.reveal().encode()).digest()).rstrip(b"=").decode()
    text = url()
    assert text.startswith("https://as.example.com/authorize?")
    assert query(text) == [
        ("response_type", "code"),
        ("client_id", "client-1"),
        ("redirect_uri", REDIRECT),
        ("scope", "read write"),
        ("state", "st4te"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ]
    assert verifier.reveal() not in text


@pytest.mark.case("T048")
def test_T048_the_challenge_is_that_of_RFC_7636_appendix_B() -> None:
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert authorization_code.code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.case("T048")
def test_T048_a_verifier_carries_all_its_entropy() -> None:
    assert len(authorization_code.code_verifier(secrets.token_bytes(32)).reveal()) == 43
    with pytest.raises(ValueError, match="32"):
        authorization_code.code_verifier(b"short")


@pytest.mark.case("T048")
@pytest.mark.parametrize("name", list(catalogue()))
def test_T048_every_vendor_gets_S256_and_its_own_callback(name: str) -> None:
    found = dict(query(url(dialect=vendor(name).dialect())))
    assert found["code_challenge_method"] == "S256"
    assert found["redirect_uri"] == REDIRECT


@pytest.mark.case("T048")
def test_T048_a_nonce_goes_with_openid_and_only_with_it() -> None:
    found = dict(query(url(scopes=["openid", "email"], nonce=Secret("n0nce"))))
    assert (found["scope"], found["nonce"]) == ("openid email", "n0nce")
    with pytest.raises(ValueError, match="nonce"):
        url(scopes=["openid"])
    with pytest.raises(ValueError, match="nonce"):
        url(nonce=Secret("n"))


def test_custom_parameters_are_added() -> None:
    found = query(
        url(custom={"access_type": "offline", "login_hint": "a@b.example", "prompt": "select_account", "x.y-z": ""})
    )
    assert found[-4:] == [
        ("access_type", "offline"),
        ("login_hint", "a@b.example"),
        ("prompt", "select_account"),
        ("x.y-z", ""),
    ]


@pytest.mark.case("T050")
@pytest.mark.parametrize(
    "name",
    [
        "client_id",
        "redirect_uri",
        "response_type",
        "response_mode",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "request",
        "request_uri",
        "scope",
        "resource",
        "audience",
    ],
)
def test_T050_reserved_parameters_are_refused(name: str) -> None:
    assert url(custom={"harmless": "x"})
    refused = refusal(custom={"harmless": "x", name: "x"})
    assert refused.reason == "reserved_parameter"
    assert refused.fields[0].name == "custom_parameters"
    assert name in refused.public


@pytest.mark.case("T050")
@pytest.mark.parametrize("value", ["none", "none login", "login none", "NONE"])
def test_T050_a_silent_prompt_is_refused(value: str) -> None:
    assert url(custom={"prompt": "login"})
    assert refusal(custom={"prompt": value}).reason == "reserved_parameter"
    assert refusal(custom={"Prompt": value}).reason == "reserved_parameter"


@pytest.mark.case("T050")
@pytest.mark.parametrize(
    "name",
    [
        "Client_ID",
        "REDIRECT_URI",
        "redirect.uri",
        "redirect-uri",
        "redirect~uri",
        "user_scope",
        "optional_scope",
        "optional_scopes",
        "include_granted_scopes",
        "authorization_details",
        "client_secret",
        "grant_type",
        "iss",
    ],
)
def test_T050_other_spellings_and_other_ways_to_rights_are_refused(name: str) -> None:
    assert refusal(custom={name: "x"}).reason == "reserved_parameter"


@pytest.mark.case("T050")
def test_T050_whatever_the_custom_parameters_ours_are_said_once_and_unchanged() -> None:
    before = query(url())
    for name in sorted(RESERVED):
        with pytest.raises(Invalid):
            url(custom={name: "evil"})
    after = query(url(custom={"a": "&state=evil#", "b": "x=1&client_id=evil"}))
    assert after[: len(before)] == before
    assert [name for name, _ in after].count("state") == 1
    assert [name for name, _ in after].count("client_id") == 1


@pytest.mark.parametrize(
    "custom",
    [
        {"": "x"},
        {"a b": "x"},
        {"a\n": "x"},
        {"scope[]": "x"},
        {"ü": "x"},
        {"a" * 65: "x"},
        {"a": "x\r\ny"},
        {"a": "\x00"},
        {"a": "x" * 2049},
        {"a": "\ud800"},
        {f"a{at}": "x" for at in range(51)},
    ],
)
def test_parameters_that_cannot_be_sent_are_refused(custom: dict[str, str]) -> None:
    assert refusal(custom=custom).reason == "parameter_invalid"


@pytest.mark.case("T051")
@pytest.mark.parametrize("scope", ["", "a b", 'a"b', "a\\b", "a\nb", "ü", "a" * 256])
def test_T051_a_scope_is_one_word(scope: str) -> None:
    assert url(scopes=["https://www.googleapis.com/auth/calendar.readonly", "user:email", "a+b"])
    assert refusal(scopes=["read", scope]).reason == "scope_invalid"


@pytest.mark.case("T051")
@pytest.mark.parametrize("name", ["SlackOauth2", "FacebookOauth2", "GithubOauth2", "RedditOauth2"])
def test_T051_no_scope_can_hide_a_second_one(name: str) -> None:
    """GitHub splits at commas as well: a policy that allowed `repo,admin:org` as one word would be fooled."""
    dialect = vendor(name).dialect()
    assert url(scopes=["repo", "user"], dialect=dialect)
    assert refusal(scopes=["repo,admin:org"], dialect=dialect).reason == "scope_invalid"


def test_scopes_are_joined_as_the_vendor_wants_and_each_said_once() -> None:
    assert dict(query(url(scopes=["a", "b", "a"])))["scope"] == "a b"
    assert dict(query(url(scopes=["a", "b"], dialect=vendor("FacebookOauth2").dialect())))["scope"] == "a,b"
    assert "scope" not in dict(query(url(scopes=[])))


def test_resources_and_audiences_are_repeated() -> None:
    found = query(url(resources=["https://a.example", "https://b.example"], audiences=["x"]))
    assert found[-3:] == [("resource", "https://a.example"), ("resource", "https://b.example"), ("audience", "x")]


def test_a_vendors_defaults_are_sent_unless_replaced() -> None:
    google = vendor("GoogleOauth2").dialect()
    assert dict(query(url(dialect=google)))["access_type"] == "offline"
    replaced = query(url(dialect=google, custom={"access_type": "online"}))
    assert [value for name, value in replaced if name == "access_type"] == ["online"]
    assert dict(query(url(dialect=google, custom={"access_type": "online"})))["prompt"] == "consent"
    atlassian = vendor("AtlassianOauth2").dialect()
    assert dict(query(url(dialect=atlassian)))["audience"] == "api.atlassian.com"
    assert [v for n, v in query(url(dialect=atlassian, audiences=["other"])) if n == "audience"] == ["other"]


def test_slack_user_scopes_move_but_never_appear_from_nowhere() -> None:
    slack = vendor("SlackOauth2").dialect()
    found = dict(query(url(scopes=["chat:write", "search:read"], custom={"user_scope": "search:read"}, dialect=slack)))
    assert (found["scope"], found["user_scope"]) == ("chat:write", "search:read")
    twice = dict(query(url(scopes=["a", "b", "c"], custom={"user_scope": "b,a b"}, dialect=slack)))
    assert (twice["scope"], twice["user_scope"]) == ("c", "b,a")
    only = dict(query(url(scopes=["search:read"], custom={"user_scope": "search:read"}, dialect=slack)))
    assert (only.get("scope"), only["user_scope"]) == (None, "search:read")
    assert refusal(scopes=["chat:write"], custom={"user_scope": "admin"}, dialect=slack).reason == "reserved_parameter"
    assert refusal(scopes=["a"], custom={"User_Scope": "a"}, dialect=slack).reason == "reserved_parameter"
    assert refusal(scopes=["a"], custom={"user_scope": "a"}, dialect=STANDARD).reason == "reserved_parameter"


def test_an_endpoint_keeps_its_own_query_but_cannot_speak_for_us() -> None:
    notion = Endpoints(
        issuer="https://x.example",
        authorization_endpoint="https://x.example/a?owner=user",
        token_endpoint="https://x.example/t",
    )
    assert query(url(notion))[0] == ("owner", "user")
    for part in ("client_id=evil", "redirect_uri=https://evil.example", "x=1&State=y", "scope=admin"):
        evil = Endpoints(
            issuer="https://x.example",
            authorization_endpoint=f"https://x.example/a?{part}",
            token_endpoint="https://x.example/t",
        )
        with pytest.raises(Invalid) as caught:
            url(evil)
        assert caught.value.fields[0].name == "authorization_endpoint"


def exchange(client: ClientCredentials, dialect: Dialect = STANDARD) -> tuple[dict[str, str], object]:
    request = authorization_code.exchange(
        ENDPOINTS, client, code=Secret("c0de"), redirect_uri=REDIRECT, verifier=Secret("v3rifier"), dialect=dialect
    )
    assert (request.method, request.url) == ("POST", ENDPOINTS.token_endpoint)
    fields = request.form or request.json or ()
    assert len({name for name, _ in fields}) == len(fields)
    return {n: v.reveal() if isinstance(v, Secret) else v for n, v in fields}, request


def test_the_code_is_redeemed_with_the_verifier_and_the_same_redirect() -> None:
    fields, request = exchange(CLIENT)
    assert fields == {
        "grant_type": "authorization_code",
        "code": "c0de",
        "redirect_uri": REDIRECT,
        "code_verifier": "v3rifier",
    }
    assert request.basic_auth[0] == "client-1"  # type: ignore[attr-defined]
    for hidden in ("c0de", "v3rifier", "s3cret"):
        assert hidden not in repr(request)


def test_the_client_proves_itself_in_one_place_only() -> None:
    posted, request = exchange(ClientCredentials("client-1", Secret("s3cret"), "client_secret_post"))
    assert (posted["client_id"], posted["client_secret"]) == ("client-1", "s3cret")
    assert request.basic_auth is None  # type: ignore[attr-defined]
    public, request = exchange(ClientCredentials("client-1", None, "none"))
    assert public["client_id"] == "client-1"
    assert "client_secret" not in public
    assert request.basic_auth is None  # type: ignore[attr-defined]
    for wrong in ((Secret("x"), "none"), (None, "client_secret_basic"), (None, "client_secret_post")):
        with pytest.raises(ValueError, match="secret"):
            ClientCredentials("client-1", *wrong)  # type: ignore[arg-type]


def test_notion_gets_json_and_its_version_header() -> None:
    _, request = exchange(CLIENT, vendor("NotionOauth2").dialect())
    assert request.form is None  # type: ignore[attr-defined]
    assert request.json is not None  # type: ignore[attr-defined]
    assert "Notion-Version" in request.headers  # type: ignore[attr-defined]
