"""T010, T011, T024: what is not plainly one compact JWS is not looked into."""

from __future__ import annotations

import json
import time

import pytest

from apps.authn.jwt import bearer_token, parse
from apps.core.errors import Unauthenticated
from tests.unit.jwt.conftest import Refused
from tests.unit.jwt.issuing import NOW_S, check, claims, compact, signed_bytes, token

HEADER = b'{"alg":"RS256","kid":"rsa","typ":"JWT"}'


@pytest.mark.case("T010")
@pytest.mark.parametrize(
    "form",
    ["jwe", "general", "flattened", "four parts", "two parts", "leading space", "trailing newline", "trailing dot",
     "empty", "dots", "empty payload", "empty header"],
)  # fmt: skip
def test_T010_other_serialisations_are_refused(refused: Refused, form: str) -> None:
    good = token()
    head, body, signature = good.split(".")
    forms = {
        "jwe": f"{head}.{body}.{signature}.{body}.{signature}",
        "general": json.dumps({"payload": body, "signatures": [{"protected": head, "signature": signature}]}),
        "flattened": json.dumps({"payload": body, "protected": head, "signature": signature}),
        "four parts": f"{good}.{signature}",
        "two parts": f"{head}.{body}",
        "leading space": f" {good}",
        "trailing newline": f"{good}\n",
        "trailing dot": f"{good}.",
        "empty": "",
        "dots": "..",
        "empty payload": f"{head}..{signature}",
        "empty header": f".{body}.{signature}",
    }
    refused(forms[form], "malformed")


@pytest.mark.case("T011")
@pytest.mark.parametrize(
    "payload",
    [
        b'{"sub":"alice","sub":"bob"}',
        json.dumps(claims())[:-1].encode() + b',"sub":"bob"}',
        json.dumps(claims())[:-1].encode() + b',"a":{"b":1,"b":2}}',
        json.dumps(claims(exp=1))[:-1].encode() + b',"x":NaN}',
        json.dumps(claims())[:-1].encode() + b',"x":Infinity}',
        json.dumps(claims())[:-1].encode() + b',"x":1e999}',
        json.dumps(claims())[:-1].encode() + b',"x":' + b"9" * 5000 + b"}",
        json.dumps(claims())[:-1].encode() + b',"x":"\\ud800"}',
        json.dumps(claims())[:-1].encode() + b',"x":"a\\u0000b"}',
        json.dumps(claims())[:-1].encode() + b',"x":"a\x00b"}',
        json.dumps(claims())[:-1].encode() + b',"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        json.dumps(claims())[:-1].encode() + b',"x":' + b"[" * 10_000 + b"}",
        json.dumps(claims())[:-1].encode() + b',"x":' + b'{"a":' * 25 + b"1" + b"}" * 26,
        json.dumps([claims()]).encode(),
        b'"text"',
        b"null",
        b"",
        b"\xef\xbb\xbf" + json.dumps(claims()).encode(),
        json.dumps(claims()).encode("utf-16"),
        b'{"sub":"\xff"}',
        json.dumps(claims()).encode() + b"{}",
    ],
)
def test_T011_a_malformed_payload_is_refused_at_once(refused: Refused, payload: bytes) -> None:
    text = signed_bytes(HEADER, payload)
    started = time.perf_counter()
    refused(text, "malformed", "too_large")
    assert time.perf_counter() - started < 0.05


@pytest.mark.case("T011")
def test_T011_size_is_checked_before_anything_else(refused: Refused) -> None:
    refused(token(claims(pad="x" * 17_000)), "too_large")
    refused("." * 20_000, "too_large")
    refused(signed_bytes(HEADER, json.dumps({f"c{number}": 1 for number in range(100_000)}).encode()), "too_large")
    assert check(token(claims(pad="x" * 9_000))).subject == "alice"


@pytest.mark.case("T011")
@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("twist", ["+", "/", "=", "====", " ", "\n", "!!!!", "\n\n\n\n", "\u0663", "%3D"])
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_T011_base64url_has_only_its_alphabet(refused: Refused, part: int, twist: str, place: str) -> None:
    """A lenient decoder skips what it does not know: then one signature has many spellings."""
    segments = token().split(".")
    cut = {"start": 0, "middle": 4, "end": len(segments[part])}[place]
    segments[part] = segments[part][:cut] + twist + segments[part][cut:]
    refused(".".join(segments), "malformed")


@pytest.mark.case("T011")
def test_T011_the_unused_bits_of_the_last_character_are_zero(refused: Refused) -> None:
    good = token()  # a signature of 256 bytes leaves four of them
    assert good[-1] in "AQgw"
    refused(good[:-1] + chr(ord(good[-1]) + 1), "malformed")


def test_brackets_inside_texts_are_not_nesting() -> None:
    assert check(token(claims(note="[" * 100, more='{"\\"[{' * 10))).subject == "alice"
    assert check(token(claims(many=[{"a": [1]} for _ in range(40)]))).subject == "alice"


def test_the_clock_claims_may_be_fractions() -> None:
    assert check(token(claims(exp=NOW_S + 0.5))).expires_at.microsecond == 500_000


def test_an_unverified_token_does_not_show_itself() -> None:
    assert "alice" not in repr(parse(token()))
    assert "alice" not in str(parse(token()))


@pytest.mark.parametrize("issuer", [..., "", None, 1, ["https://login.acme.example"]])
def test_only_a_text_names_an_issuer(issuer: object) -> None:
    with pytest.raises(Unauthenticated) as caught:
        parse(token(claims(iss=issuer))).claimed_issuer()
    assert caught.value.reason == "issuer_mismatch"


@pytest.mark.case("T024")
@pytest.mark.parametrize("value", ["Bearer abc.def.ghi", "bearer abc.def.ghi", "BEARER abc.def.ghi"])
def test_T024_the_scheme_has_no_case(value: str) -> None:
    assert bearer_token([value]) == "abc.def.ghi"


@pytest.mark.case("T024")
@pytest.mark.parametrize(
    "values",
    [
        [],
        ["Bearer good.token.here", "Bearer bad.token.here"],
        ["Bearer bad.token.here", "Bearer good.token.here"],
        ["Bearer good.token.here", "Basic YTpi"],
        ["Bearer  a.b.c"],
        [" Bearer a.b.c"],
        ["Bearer a.b.c "],
        ["Bearer\ta.b.c"],
        ["Bearer a.b.c, Bearer d.e.f"],
        ["Bearer a.b.c,d.e.f"],
        ["Bearer a.b.c\n"],
        ["Bearer"],
        ["Bearer "],
        ["a.b.c"],
        ["Basic YTpi"],
        ["DPoP a.b.c"],
        ["Bearer ä.b.c"],
    ],
)
def test_T024_every_other_form_is_refused(values: list[str]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        bearer_token(values)
    assert caught.value.reason in ("malformed", "credential_missing")


@pytest.mark.case("T017")
def test_T017_our_own_workload_token_is_no_jwt(refused: Refused) -> None:
    refused("awt_123456789012" + "a" * 49, "malformed")


def test_a_compact_token_of_the_tests_is_what_it_says() -> None:
    assert compact(b"a", b"b", b"c").count(".") == 2
