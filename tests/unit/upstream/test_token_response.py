"""RFC 6749 sections 5.1, 5.2 and 6: what token endpoints answer, and what they answer instead."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import Code, PortalError, UpstreamRefused
from apps.core.secret import Secret
from apps.upstream.catalogue.catalogue import vendor
from apps.upstream.protocol import client_credentials, refresh, token_response
from apps.upstream.protocol.errors import ClientRefused, GrantRefused, RetryLater
from apps.upstream.protocol.types import STANDARD, Dialect, Inbound, TokenSet
from tests.unit.upstream.conftest import CLIENT, ENDPOINTS, NOW

GOOD: dict[str, object] = {
    "access_token": "at-1",
    "token_type": "Bearer",
    "expires_in": 3600,
    "refresh_token": "rt-1",
    "scope": "read write",
}
JSON = (("Content-Type", "application/json"),)


def answer(value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = JSON) -> Inbound:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Inbound(status, headers, content)


def read(value: object, status: int = 200, dialect: Dialect = STANDARD) -> TokenSet:
    return token_response.read(answer(value, status), asked_at=NOW, dialect=dialect)


def refusal(value: object, status: int = 200, dialect: Dialect = STANDARD) -> PortalError:
    assert read(GOOD).access_token.reveal() == "at-1"
    with pytest.raises(PortalError) as caught:
        read(value, status, dialect)
    return caught.value


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in GOOD.items() if key != name}


def test_a_good_answer_is_read_whole() -> None:
    found = read(GOOD)
    assert found.access_token.reveal() == "at-1"
    assert found.refresh_token is not None
    assert found.refresh_token.reveal() == "rt-1"
    assert found.expires_at == NOW + timedelta(hours=1)
    assert found.granted_scopes == {"read", "write"}
    assert found.metadata == {"token_type": "Bearer"}
    assert "at-1" not in repr(found)
    assert "rt-1" not in repr(found)


def test_what_may_be_missing_may_be_missing() -> None:
    found = read({"access_token": "at-1"})
    assert (found.refresh_token, found.expires_at, found.granted_scopes, found.id_token) == (None, None, None, None)


@pytest.mark.case("T059")
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({**GOOD, "error": "invalid_scope"}, "token_error"),
        ({"error": "invalid_request", "error_description": "at-1"}, "token_error"),
        (without("access_token"), "token_response_malformed"),
        ({**GOOD, "access_token": ""}, "token_response_malformed"),
        ({**GOOD, "access_token": None}, "token_response_malformed"),
        ({**GOOD, "access_token": 5}, "token_response_malformed"),
        ({**GOOD, "access_token": ["at-1"]}, "token_response_malformed"),
        ({**GOOD, "access_token": "a b"}, "token_response_malformed"),
        ({**GOOD, "access_token": "a\r\nX: y"}, "token_response_malformed"),
        ({**GOOD, "access_token": "ü"}, "token_response_malformed"),
        ({**GOOD, "access_token": "x" * 40_000}, "token_response_malformed"),
        ({**GOOD, "refresh_token": 7}, "token_response_malformed"),
        ({**GOOD, "token_type": "mac"}, "token_type_not_supported"),
        ({**GOOD, "token_type": "DPoP"}, "token_type_not_supported"),
        ({**GOOD, "token_type": 1}, "token_type_not_supported"),
        ({**GOOD, "expires_in": True}, "token_response_malformed"),
        ({**GOOD, "expires_in": [3600]}, "token_response_malformed"),
        ({**GOOD, "expires_in": "soon"}, "token_response_malformed"),
        ({**GOOD, "scope": 5}, "token_response_malformed"),
        ({**GOOD, "scope": ["a", 5]}, "token_response_malformed"),
        (b"", "upstream_not_json"),
        (b"access_token=at-1&token_type=bearer", "upstream_not_json"),
        ([GOOD], "upstream_not_json"),
        (b'{"access_token": "at-1", "access_token": "at-2"}', "upstream_not_json"),
    ],
)
def test_T059_a_bad_answer_gives_no_token(value: object, reason: str) -> None:
    refused = refusal(value)
    assert (refused.code, refused.reason) == (Code.UPSTREAM_REFUSED, reason)
    assert "at-1" not in f"{refused} {refused.private}"


@pytest.mark.case("T059")
def test_T059_html_and_204_are_no_tokens() -> None:
    html = Inbound(200, (("Content-Type", "text/html; charset=utf-8"),), b"<html>at-1</html>")
    for reply in (html, Inbound(204, (), b""), Inbound(200, (), json.dumps(GOOD).encode())):
        with pytest.raises(UpstreamRefused) as caught:
            token_response.read(reply, asked_at=NOW)
        assert caught.value.reason == "upstream_not_json"
    assert refusal(GOOD, status=206).reason == "token_error"


@pytest.mark.case("T059")
@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3600),
        ("3600", 3600),
        (3600.0, 3600),
        (3599.9, 3599),
        (1, 1),
        (1e12, 315_360_000),
        (10**19, 315_360_000),
        ("99999999999999999999", 315_360_000),
        (-1, None),
        ("-1", None),
        (0, None),
        ("0", None),
        (None, None),
        ("", None),
    ],
)
def test_T059_lifetimes_are_brought_to_sane_values(expires_in: object, seconds: int | None) -> None:
    found = read({**GOOD, "expires_in": expires_in})
    assert found.expires_at == (None if seconds is None else NOW + timedelta(seconds=seconds))


@pytest.mark.case("T059")
def test_T059_the_documented_default_stands_in_for_a_missing_lifetime() -> None:
    dialect = Dialect(default_lifetime_s=7200)
    for expires_in in (None, -1, 0):
        assert read({**GOOD, "expires_in": expires_in}, dialect=dialect).expires_at == NOW + timedelta(hours=2)
    assert read({**GOOD, "expires_in": 60}, dialect=dialect).expires_at == NOW + timedelta(seconds=60)


def test_lifetimes_count_from_when_the_request_left() -> None:
    earlier = NOW - timedelta(seconds=9)
    found = token_response.read(answer(GOOD), asked_at=earlier)
    assert found.expires_at == NOW + timedelta(seconds=3591)


@pytest.mark.case("T059")
@pytest.mark.parametrize(
    ("value", "status", "kind"),
    [
        ({"error": "invalid_grant"}, 400, GrantRefused),
        ({"error": "invalid_grant"}, 200, GrantRefused),
        ({"error": "invalid_grant"}, 401, GrantRefused),
        ({"error": "interaction_required"}, 400, GrantRefused),
        ({"error": "invalid_client"}, 401, ClientRefused),
        ({"error": "invalid_client"}, 400, ClientRefused),
        ({"error": "unauthorized_client"}, 400, ClientRefused),
        ({"error": "whatever"}, 401, ClientRefused),
        (b"Unauthorized", 401, ClientRefused),
        ({"error": "temporarily_unavailable"}, 400, RetryLater),
        ({"error": "server_error"}, 400, RetryLater),
        ({"error": "invalid_grant"}, 500, RetryLater),
        ({"error": "invalid_grant"}, 429, RetryLater),
        (b"<html>Bad gateway</html>", 502, RetryLater),
    ],
)
def test_T059_who_can_help_is_told_by_the_kind_of_error(value: object, status: int, kind: type[PortalError]) -> None:
    refused = refusal(value, status)
    assert type(refused) is kind


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_other_refusals_are_the_providers(status: int) -> None:
    refused = refusal({"error": "invalid_scope"}, status)
    assert type(refused) is UpstreamRefused
    assert refused.reason == "token_error"
    assert refusal({}, status).reason == "token_error"


def test_the_provider_may_ask_for_a_pause() -> None:
    for text, seconds in (
        ("17", 17.0),
        ("999999", 3600.0),
        ("-1", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("", None),
    ):
        reply = Inbound(429, (("retry-after", text),), b"")
        with pytest.raises(RetryLater) as caught:
            token_response.read(reply, asked_at=NOW)
        assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize("code", ["at-1 leaked?" * 20, "a\nb", {"code": "x" * 100}, ["x"], 5])
def test_an_error_code_is_only_repeated_if_it_is_a_short_word(code: object) -> None:
    refused = refusal({"error": code}, 400)
    assert len(refused.private) < 120
    assert "\n" not in refused.private
    assert "leaked" not in refused.private


def test_only_harmless_members_are_kept() -> None:
    noisy = {
        **GOOD,
        "id_token": "i.d.t",
        "webhook": {"url": "https://hooks.example/secret"},
        "secret": "x",
        "refresh_token_expires_in": 86400,
    }
    assert read(noisy).metadata == {"token_type": "Bearer", "refresh_token_expires_in": 86400}
    keeping = Dialect(kept_metadata=("team", "instance_url"))
    found = read(
        {**GOOD, "instance_url": "https://x.example", "team": {"id": "T1", "deep": {"x": 1}, "long": "x" * 600}},
        dialect=keeping,
    )
    assert found.metadata == {"token_type": "Bearer", "instance_url": "https://x.example", "team": {"id": "T1"}}


# --- vendors -----------------------------------------------------------------------------------------------------


def test_slack_says_ok_false_with_status_200() -> None:
    slack = vendor("SlackOauth2").dialect()
    good = {
        "ok": True,
        "access_token": "xoxb-1",
        "token_type": "bot",
        "scope": "chat:write,users:read",
        "team": {"id": "T1", "name": "Acme"},
    }
    found = read(good, dialect=slack)
    assert found.granted_scopes == {"chat:write", "users:read"}
    assert found.metadata["team"] == {"id": "T1", "name": "Acme"}
    assert type(refusal({"ok": False, "error": "invalid_code"}, dialect=slack)) is GrantRefused
    assert type(refusal({"ok": False, "error": "bad_client_secret"}, dialect=slack)) is ClientRefused
    assert type(refusal({"ok": False, "error": "ratelimited"}, dialect=slack)) is RetryLater
    assert refusal({"ok": False}, dialect=slack).reason == "token_error"
    assert refusal({**good, "ok": False}, dialect=slack).reason == "token_error"
    assert refusal(without("ok") | {"access_token": "x"}, dialect=slack).reason == "token_error"


def test_slack_nests_the_users_token() -> None:
    slack = vendor("SlackOauth2").dialect()
    nested = {
        "ok": True,
        "authed_user": {
            "id": "U1",
            "access_token": "xoxp-1",
            "token_type": "user",
            "scope": "search:read",
            "expires_in": 43200,
            "refresh_token": "xoxe-1",
        },
    }
    found = read(nested, dialect=slack)
    assert found.access_token.reveal() == "xoxp-1"
    assert found.refresh_token is not None
    assert found.expires_at == NOW + timedelta(hours=12)
    assert found.granted_scopes == {"search:read"}
    assert refusal({"ok": True, "authed_user": {"id": "U1"}}, dialect=slack).reason == "token_response_malformed"
    assert refusal({"ok": True, "authed_user": "x"}, dialect=slack).reason == "token_response_malformed"


def test_github_puts_errors_into_a_200() -> None:
    github = vendor("GithubOauth2").dialect()
    assert read(
        {"access_token": "gho_1", "scope": "repo,gist", "token_type": "bearer"}, dialect=github
    ).granted_scopes == {"repo", "gist"}
    assert type(refusal({"error": "bad_verification_code", "error_description": "x"}, dialect=github)) is GrantRefused
    assert type(refusal({"error": "incorrect_client_credentials"}, dialect=github)) is ClientRefused


def test_facebook_nests_its_errors() -> None:
    facebook = vendor("FacebookOauth2").dialect()
    assert (
        type(refusal({"error": {"message": "x", "type": "OAuthException", "code": 190}}, 400, facebook)) is GrantRefused
    )
    assert (
        refusal({"error": {"message": "x", "type": "OAuthException", "code": 100}}, 400, facebook).reason
        == "token_error"
    )
    assert refusal({"error": {}}, 400, facebook).reason == "token_error"


def test_twitch_lists_its_scopes() -> None:
    assert read({**GOOD, "scope": ["user:read:email"]}).granted_scopes == {"user:read:email"}


# --- refresh and client credentials ------------------------------------------------------------------------------


def test_a_refresh_that_brings_no_new_token_keeps_the_old_one() -> None:
    for silent in (without("refresh_token"), {**GOOD, "refresh_token": None}, {**GOOD, "refresh_token": ""}):
        kept = refresh.read(answer(silent), sent=Secret("old"), asked_at=NOW)
        assert kept.refresh_token is not None
        assert kept.refresh_token.reveal() == "old"
    rotated = refresh.read(answer(GOOD), sent=Secret("old"), asked_at=NOW)
    assert rotated.refresh_token is not None
    assert rotated.refresh_token.reveal() == "rt-1"


def test_a_refresh_request_repeats_scopes_only_where_wanted() -> None:
    plain = refresh.build(ENDPOINTS, CLIENT, refresh_token=Secret("old"), scopes=["a"])
    assert [name for name, _ in plain.form or ()] == ["grant_type", "refresh_token"]
    repeated = refresh.build(
        ENDPOINTS, CLIENT, refresh_token=Secret("old"), scopes=["a", "b"], dialect=vendor("MicrosoftOauth2").dialect()
    )
    assert ("scope", "a b") in (repeated.form or ())
    assert "old" not in repr(plain)


def test_a_refresh_never_uses_an_id_token() -> None:
    assert refresh.read(answer({**GOOD, "id_token": "a.b.c"}), sent=Secret("old"), asked_at=NOW).id_token is None


def test_a_machine_token_has_no_refresh_token() -> None:
    request = client_credentials.build(
        ENDPOINTS, CLIENT, scopes=["a", "b"], audiences=["x"], custom={"organization": "o"}
    )
    assert request.form == (
        ("grant_type", "client_credentials"),
        ("scope", "a b"),
        ("audience", "x"),
        ("organization", "o"),
    )
    assert client_credentials.read(answer(GOOD), asked_at=NOW).refresh_token is None


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "error", "id_token", "ok"]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(10**18), 10**18)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=10),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
            max_leaves=4,
        ),
    ),
    st.sampled_from([200, 201, 204, 400, 401, 403, 500]),
)
def test_every_answer_is_read_or_refused(value: dict[str, object], status: int) -> None:
    for dialect in (STANDARD, vendor("SlackOauth2").dialect()):
        try:
            found = token_response.read(
                answer(value, status), asked_at=datetime(2026, 1, 1, tzinfo=UTC), dialect=dialect
            )
        except PortalError as refused:
            assert refused.code in (Code.UPSTREAM_REFUSED, Code.UPSTREAM_UNAVAILABLE)
        else:
            assert found.access_token
            assert status in (200, 201)
            assert not value.get("error")
