"""The verifier accepts what botocore signs and nothing one bit away from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.authn.sigv4 import RawRequest, derive_signing_key, parse, signature_fingerprint, verify
from apps.core.errors import Unauthenticated
from apps.core.secret import Secret

from .signing import KEY_ID, NOW, check, header, signed, with_authorization

_labels = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda text: text not in {".", ".."}
)
_paths = st.lists(_labels.map(lambda text: quote(text, safe="-._~")), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
_queries = st.lists(st.tuples(_labels, st.text(st.characters(exclude_categories=["Cs"]), max_size=20)), max_size=4).map(
    lambda pairs: "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in pairs)
)
_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40).map(str.strip)
_regions = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,30}", fullmatch=True)


@st.composite
def honest_requests(draw: st.DrawFn) -> RawRequest:
    query = draw(_queries.filter(lambda text: "x-amz-" not in text.lower()))
    extra = draw(st.dictionaries(st.sampled_from(["X-Amz-Meta", "X-Custom", "Amz-Sdk-Request-Id"]), _values))
    return signed(
        draw(st.sampled_from(["POST", "GET", "PUT", "DELETE"])),
        draw(_paths) + (f"?{query}" if query else ""),
        draw(st.binary(max_size=200)),
        region=draw(_regions),
        headers={name: value for name, value in extra.items() if value},
    )


@pytest.mark.case("T025")
@settings(max_examples=150, deadline=None)
@given(honest_requests(), st.integers(0, 63), st.integers(1, 15))
def test_T025_botocore_signatures_pass_and_one_flipped_nibble_fails(request: RawRequest, place: int, flip: int) -> None:
    check(request)
    signature = parse(request).signature
    nibble = f"{int(signature[place], 16) ^ flip:x}"
    forged = with_authorization(request, signature, signature[:place] + nibble + signature[place + 1 :])
    with pytest.raises(Unauthenticated) as refused:
        check(forged)
    assert refused.value.reason == "signature_mismatch"
    assert refused.value.public == Unauthenticated.SENTENCE
    check(request)


@pytest.mark.case("T025")
@settings(max_examples=60, deadline=None)
@given(honest_requests(), st.data())
def test_T025_every_part_that_is_signed_is_covered(request: RawRequest, data: st.DataObject) -> None:
    check(request)
    change = data.draw(st.sampled_from(["method", "path", "body", "host", "region", "key"]))
    if change == "method":
        other = replace(request, method="PATCH")
    elif change == "path":
        other = replace(request, raw_path=request.raw_path + "x")
    elif change == "body":
        other = replace(request, body=request.body + b"x")
        if not request.body:
            return  # without a body no content-type is signed; test_T026 covers that
    elif change == "host":
        other = replace(request, headers=[(k, "evil.example" if k == "Host" else v) for k, v in request.headers])
    elif change == "region":
        region = parse(request).region
        other = with_authorization(request, f"/{region}/bedrock", f"/{region}x/bedrock")
    else:
        parsed = parse(request)
        with pytest.raises(Unauthenticated, match="signature_mismatch"):
            verify(parsed, request, derive_signing_key(Secret("other"), parsed.date, parsed.region, "x"), now=NOW)
        return
    with pytest.raises(Unauthenticated) as refused:
        check(other)
    assert refused.value.reason == "signature_mismatch"


def test_key_derivation_matches_the_published_example() -> None:
    """The worked example of the AWS General Reference, "Deriving the signing key"."""
    key = derive_signing_key(Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), "20150830", "us-east-1", "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_parse_returns_what_the_caller_claims() -> None:
    request = signed(region="self-hosted-1")
    parsed = parse(request)
    assert (parsed.access_key_id, parsed.date, parsed.region, parsed.service) == (
        KEY_ID,
        "20261123",
        "self-hosted-1",
        "bedrock-agentcore",
    )
    assert parsed.signed_headers == ("content-type", "host", "x-amz-date")
    assert parsed.amz_date == "20261123T180732Z" and parsed.signed_at == NOW


def test_a_signature_shows_in_no_representation_and_its_fingerprint_names_it() -> None:
    request = signed()
    parsed = parse(request)
    assert parsed.signature in header(request, "Authorization")
    assert parsed.signature not in repr(parsed)
    fingerprint = signature_fingerprint(parsed)
    assert fingerprint == signature_fingerprint(parse(request)) and len(fingerprint) == 64
    assert parsed.signature not in fingerprint
    assert fingerprint != signature_fingerprint(parse(signed(body=b'{"name": "agent-2"}')))
    assert fingerprint != signature_fingerprint(parse(signed(at=NOW + timedelta(seconds=1))))
