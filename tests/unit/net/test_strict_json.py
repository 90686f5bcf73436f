"""JSON from strangers."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import Code
from apps.core.net.strict_json import MAX_DEPTH, NotStrictJson, parse_object
from tests.fakes.hostile_acts import body
from tests.unit.net.conftest import Net

GOOD = {"issuer": "https://idp.example.com", "n": 1, "deep": [[{"a": None}]], "text": 'a "quoted" \\ {[ é 😀'}

HOSTILE = {
    "array": b"[1]",
    "string": b'"x"',
    "number": b"1",
    "null": b"null",
    "nothing": b"",
    "two values": b"{} {}",
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "overflowing float": b'{"a": 1e999}',
    "10k nesting": b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "unclosed nesting": b"[" * 200_000,
    "5,000-digit integer": b'{"a": ' + b"9" * 5000 + b"}",
    "21-digit integer": b'{"a": ' + b"9" * 21 + b"}",
    "duplicate member": b'{"issuer": "https://a.example", "issuer": "https://b.example"}',
    "duplicate by escape": b'{"issuer": 1, "\\u0069ssuer": 2}',
    "nested duplicate": b'{"a": {"b": 1, "b": 2}}',
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without mark": '{"a": 1}'.encode("utf-16-le"),
    "UTF-32": '{"a": 1}'.encode("utf-32-be"),
    "Latin-1": '{"a": "ü"}'.encode("latin-1"),
    "lone surrogate": b'{"a": "\\ud800"}',
    "lone surrogate key": b'{"\\udfff": 1}',
    "encoded surrogate": b'{"a": "\xed\xa0\x80"}',
    "NUL": b'{"a": "\\u0000"}',
    "single quotes": b"{'a': 1}",
    "trailing comma": b'{"a": 1,}',
    "comment": b'{"a": 1} // x',
    "unescaped line break": b'{"a": "x\ny"}',
    "HTML": b"<html></html>",
}


@pytest.mark.case("T071")
@pytest.mark.parametrize("name", HOSTILE)
def test_T071_hostile_json_is_refused_and_never_a_crash(net: Net, name: str) -> None:
    net.proves_good()
    net.server.answer(body(HOSTILE[name]))
    refused = net.refuses(net.get)
    assert (refused.code, refused.reason) == (Code.UPSTREAM_REFUSED, "upstream_not_json")
    net.proves_good()


@pytest.mark.case("T071")
@pytest.mark.parametrize(
    "media_type",
    [None, "", "text/html", "text/plain", "application/octet-stream", "application/jsonp", "application/json-x"],
)
def test_T071_a_wrong_content_type_is_refused(net: Net, media_type: str | None) -> None:
    net.server.answer(body(b'{"a": 1}', media_type=media_type))
    assert net.refuses(net.get).reason == "upstream_not_json"
    for good in ("application/json", "Application/JSON; charset=utf-8", "application/jwk-set+json"):
        net.server.answer(body(b'{"a": 1}', media_type=good))
        assert net.get() == {"a": 1}


def test_good_json_comes_through_unchanged() -> None:
    for text in (json.dumps(GOOD), json.dumps(GOOD, ensure_ascii=False), json.dumps(GOOD, indent=2)):
        assert parse_object(text.encode()) == GOOD
    assert parse_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "😀"}
    assert parse_object(b'{"a": -12345678901234567890}') == {"a": -12345678901234567890}


def test_the_depth_limit_is_exact_and_brackets_in_text_do_not_count() -> None:
    allowed = b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    assert parse_object(allowed)
    with pytest.raises(NotStrictJson):
        parse_object(allowed.replace(b"[]", b"[[]]"))
    assert parse_object(b'{"a": "' + b"[{" * 500 + b'\\""}')


@pytest.mark.case("T071")
@pytest.mark.parametrize(
    "content",
    [
        b'"' * 256_000,
        b'\\"' * 128_000,
        b'{"a": "' + b'\\"' * 128_000,
        b"{" * 256_000,
        b'{"a":"' + b"\\\\" * 120_000 + b'"}',
    ],
)
def test_T071_no_text_of_the_allowed_size_takes_long(content: bytes) -> None:
    started = time.monotonic()
    try:
        parse_object(content)
    except NotStrictJson:
        pass
    assert time.monotonic() - started < 2  # a quadratic scan takes minutes


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_whatever_is_accepted_is_what_python_reads_and_can_be_stored(value: dict[str, object]) -> None:
    text = json.dumps(value)
    try:
        read = parse_object(text.encode())
    except NotStrictJson as why:
        assert "\\u0000" in text or "nesting" in str(why)
    else:
        assert read == value
        json.dumps(read, ensure_ascii=False).encode()


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(content: bytes) -> None:
    try:
        parse_object(content)
    except NotStrictJson:
        pass
