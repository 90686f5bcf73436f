"""What comes back with the browser: RFC 6749 section 4.1.2, RFC 9207."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import Invalid
from apps.upstream.protocol.authorization_code import CallbackCode, CallbackError, read_callback

ISSUER = "https://as.example.com"
GOOD = [("code", "c0de"), ("state", "st4te")]


def read(
    query: list[tuple[str, str]], issuer: str | None = ISSUER, required: bool = False
) -> CallbackCode | CallbackError:
    return read_callback(query, issuer, required)


def reason(query: list[tuple[str, str]], issuer: str | None = ISSUER, required: bool = False) -> str:
    assert isinstance(read(GOOD), CallbackCode)
    with pytest.raises(Invalid) as caught:
        read(query, issuer, required)
    assert "c0de" not in str(caught.value) + caught.value.private
    return caught.value.reason


def test_a_code_is_read_and_hidden() -> None:
    found = read(GOOD)
    assert isinstance(found, CallbackCode)
    assert (found.code.reveal(), found.state) == ("c0de", "st4te")
    assert "c0de" not in repr(found)


def test_parameters_nobody_knows_are_ignored() -> None:
    extra = [("scope", "a b"), ("authuser", "0"), ("session_state", "x"), ("realmId", "1"), ("scope", "c")]
    assert isinstance(read([*GOOD, *extra]), CallbackCode)


@pytest.mark.case("T054")
def test_T054_the_right_issuer_is_accepted() -> None:
    assert isinstance(read([*GOOD, ("iss", ISSUER)], required=True), CallbackCode)
    assert isinstance(read([*GOOD, ("iss", ISSUER)], required=False), CallbackCode)
    assert isinstance(read([("error", "access_denied"), ("iss", ISSUER)], required=True), CallbackError)


@pytest.mark.case("T054")
def test_T054_a_missing_issuer_is_refused_where_the_provider_promises_one() -> None:
    assert reason(GOOD, required=True) == "iss_mismatch"
    assert reason([("error", "access_denied"), ("state", "st4te")], required=True) == "iss_mismatch"
    assert isinstance(read(GOOD, required=False), CallbackCode)


@pytest.mark.case("T054")
@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    "iss",
    [
        "https://evil.example",
        f"{ISSUER}/",
        "https://AS.example.com",
        "http://as.example.com",
        f"{ISSUER}.evil.example",
        "",
        ISSUER[:-1],
    ],
)
def test_T054_a_wrong_issuer_is_refused_even_if_never_announced(iss: str, required: bool) -> None:
    assert reason([*GOOD, ("iss", iss)], required=required) == "iss_mismatch"
    assert reason([("error", "access_denied"), ("iss", iss)], required=required) == "iss_mismatch"


@pytest.mark.case("T054")
@pytest.mark.parametrize("second", [ISSUER, "https://evil.example"])
def test_T054_two_issuers_are_refused(second: str) -> None:
    assert reason([*GOOD, ("iss", ISSUER), ("iss", second)]) == "malformed_callback"


def test_an_issuer_that_nobody_knows_cannot_be_compared() -> None:
    assert isinstance(read([*GOOD, ("iss", "https://whoever.example")], issuer=None), CallbackCode)
    assert reason(GOOD, issuer=None, required=True) == "iss_mismatch"


@pytest.mark.case("T055")
@pytest.mark.parametrize(
    "query",
    [
        [*GOOD, ("code", "other")],
        [*GOOD, ("code", "c0de")],
        [*GOOD, ("state", "other")],
        [*GOOD, ("error", "access_denied")],
        [("error", "a"), ("error", "b"), ("state", "x")],
        [*GOOD, ("access_token", "t")],
        [*GOOD, ("id_token", "t")],
        [("access_token", "t"), ("state", "st4te")],
        [*GOOD, ("token_type", "bearer")],
        [("code", "x" * 20_000), ("state", "st4te")],
        [("code", "c0de"), ("state", "x" * 20_000)],
        [("code", ""), ("state", "st4te")],
        [("code", "a\nb"), ("state", "st4te")],
        [("code", "ü"), ("state", "st4te")],
        [("state", "st4te")],
        [],
        [*GOOD, *[(f"x{at}", "y") for at in range(60)]],
    ],
)
def test_T055_ambiguous_or_alien_answers_are_refused(query: list[tuple[str, str]]) -> None:
    assert reason(query) == "malformed_callback"


@pytest.mark.case("T055")
def test_T055_an_absent_state_stays_absent() -> None:
    """Absent must never equal absent: the caller sees None, not an empty text it could match with nothing."""
    found = read([("code", "c0de")])
    assert found.state is None


@pytest.mark.case("T058")
def test_T058_a_refusal_is_read_as_one() -> None:
    found = read(parse_qsl("error=access_denied&error_description=No&error_uri=https://evil.example&state=st4te"))
    assert found == CallbackError("access_denied", "No", "st4te")
    assert isinstance(found, CallbackError)
    assert found.denied
    assert "evil" not in repr(found)
    failed = read([("error", "server_error")])
    assert isinstance(failed, CallbackError)
    assert not failed.denied


@pytest.mark.case("T058")
def test_T058_text_is_kept_as_text_and_short() -> None:
    script = "<script>alert(1)</script>"
    found = read([("error", "access_denied"), ("error_description", script)])
    assert isinstance(found, CallbackError)
    assert found.description == script  # escaping belongs to the page
    long = read([("error", "access_denied"), ("error_description", "x" * 10_000)])
    assert isinstance(long, CallbackError)
    assert len(long.description) == 200
    dirty = read([("error", "access_denied"), ("error_description", "a\r\nSet-Cookie: x\x00\x1b[31m\u202eb")])
    assert isinstance(dirty, CallbackError)
    assert dirty.description.isprintable()


@pytest.mark.case("T058")
@pytest.mark.parametrize("error", ["", "x" * 81, 'a"b', "a\nb", "<b>ü</b>"])
def test_T058_an_unknown_kind_of_error_has_one_name(error: str) -> None:
    found = read([("error", error)])
    assert isinstance(found, CallbackError)
    assert found.error == "unknown_error"
    assert not found.denied


names = st.sampled_from(["code", "state", "iss", "error", "error_description", "error_uri", "access_token", "x"])


@given(st.lists(st.tuples(names, st.text(max_size=20)), max_size=8), st.booleans())
def test_every_query_is_read_or_refused(query: list[tuple[str, str]], required: bool) -> None:
    try:
        found = read(query, required=required)
    except Invalid as refused:
        assert refused.reason in ("malformed_callback", "iss_mismatch")
    else:
        counts = [name for name, _ in query]
        assert all(counts.count(name) <= 1 for name in ("code", "state", "iss", "error"))
        assert isinstance(found, CallbackError) == ("error" in counts)
