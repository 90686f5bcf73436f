"""T019: a hostile or careless key document costs nothing but its own bad keys."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from apps.authn.jwt import parse_key_set
from apps.core.errors import UpstreamRefused
from tests.unit.jwt.conftest import Refused
from tests.unit.jwt.issuing import b64, b64_int, check, jwk, key_set, private_key, token


def bad(kind: str) -> Any:
    """One entry that must be left out; its key id is "bad" unless the fault is the id itself."""
    modulus = private_key("rsa/other").public_key().public_numbers().n
    point = jwk("p256/other", kid="bad")
    small = rsa.RSAPublicNumbers(65537, (1 << 511) + 1).n
    entries: dict[str, Any] = {
        "oct": {"kty": "oct", "kid": "bad", "k": b64(b"secret")},
        "rsa 512": {"kty": "RSA", "kid": "bad", "n": b64_int(small), "e": "AQAB"},
        "rsa 2047": {"kty": "RSA", "kid": "bad", "n": b64_int(modulus >> 1 | 1), "e": "AQAB"},
        "rsa 8193": {"kty": "RSA", "kid": "bad", "n": b64_int((1 << 8192) + 1), "e": "AQAB"},
        "rsa 65536": {"kty": "RSA", "kid": "bad", "n": b64_int((1 << 65535) + 1), "e": "AQAB"},
        "rsa even": {"kty": "RSA", "kid": "bad", "n": b64_int(modulus - 1), "e": "AQAB"},
        "rsa n zero": {"kty": "RSA", "kid": "bad", "n": "AA", "e": "AQAB"},
        "rsa n empty": {"kty": "RSA", "kid": "bad", "n": "", "e": "AQAB"},
        "rsa no n": {"kty": "RSA", "kid": "bad", "e": "AQAB"},
        "rsa n number": {"kty": "RSA", "kid": "bad", "n": 7, "e": "AQAB"},
        "rsa n base64": {"kty": "RSA", "kid": "bad", "n": b64_int(modulus) + "==", "e": "AQAB"},
        "rsa e 1": {"kty": "RSA", "kid": "bad", "n": b64_int(modulus), "e": "AQ"},
        "rsa e even": {"kty": "RSA", "kid": "bad", "n": b64_int(modulus), "e": b64_int(65538)},
        "rsa e huge": {"kty": "RSA", "kid": "bad", "n": b64_int(modulus), "e": b64_int((1 << 2000) + 1)},
        "rsa private": {**jwk("rsa/other", kid="bad"), "d": "AQAB"},
        "ec off curve": {**point, "x": b64(b"\x01" * 32)},
        "ec origin": {**point, "x": b64(b"\0" * 32), "y": b64(b"\0" * 32)},
        "ec short": {**point, "x": b64(b"\x01" * 31)},
        "ec long": {**point, "x": b64(b"\0" + b"\x01" * 32)},
        "ec no y": {name: value for name, value in point.items() if name != "y"},
        "ec p521": {**point, "crv": "P-521"},
        "ec secp256k1": {**point, "crv": "secp256k1"},
        "ec crv list": {**point, "crv": ["P-256"]},
        "okp x25519": {"kty": "OKP", "crv": "X25519", "kid": "bad", "x": b64(b"\x09" + b"\0" * 31)},
        "okp ed448": {"kty": "OKP", "crv": "Ed448", "kid": "bad", "x": b64(b"\x09" * 57)},
        "okp short": {"kty": "OKP", "crv": "Ed25519", "kid": "bad", "x": b64(b"\x09" * 31)},
        "use enc": jwk("rsa/other", kid="bad", use="enc"),
        "use null": jwk("rsa/other", kid="bad", use=None),
        "key_ops sign": jwk("rsa/other", kid="bad", key_ops=["sign"]),
        "key_ops text": jwk("rsa/other", kid="bad", key_ops="verify"),
        "alg enc": jwk("rsa/other", kid="bad", alg="RSA-OAEP"),
        "alg HS256": jwk("rsa/other", kid="bad", alg="HS256"),
        "alg none": jwk("rsa/other", kid="bad", alg="none"),
        "alg of another kind": jwk("rsa/other", kid="bad", alg="ES256"),
        "alg list": jwk("rsa/other", kid="bad", alg=["RS256"]),
        "kid number": jwk("rsa/other", kid=7),
        "kid long": jwk("rsa/other", kid="k" * 257),
        "kid list": jwk("rsa/other", kid=["bad"]),
        "kty missing": {"kid": "bad"},
        "kty unknown": {"kty": "XYZ", "kid": "bad"},
        "kty list": {"kty": ["RSA"], "kid": "bad"},
        "text": "not a key",
        "null": None,
        "list": [],
        "number": 7,
    }
    return entries[kind] if kind != "names" else tuple(entries)


@pytest.mark.case("T019")
@pytest.mark.parametrize("kind", bad("names"))
def test_T019_a_bad_key_is_left_out_and_the_good_ones_serve(refused: Refused, kind: str) -> None:
    for keys in (key_set(bad(kind), jwk("rsa")), key_set(jwk("rsa"), bad(kind))):
        assert check(token(), keys=keys).subject == "alice"
        assert [key.kid for key in keys.keys] == ["rsa"]
        refused(token(header={"kid": "bad"}), "key_alg_mismatch", "kid_unknown", keys=keys)


@pytest.mark.case("T019")
@pytest.mark.parametrize("kind", bad("names"))
def test_T019_a_document_of_bad_keys_only_is_refused(kind: str) -> None:
    with pytest.raises(UpstreamRefused) as caught:
        key_set(bad(kind))
    assert caught.value.reason == "jwks_invalid"


@pytest.mark.case("T019")
@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>Bad gateway</html>",
        b"{}",
        b"[]",
        b"null",
        b'{"keys":[]}',
        b'{"keys":{}}',
        b'{"keys":null}',
        b'{"keys":[],"keys":[]}',
        b'{"keys":' + b"[" * 100_000,
        b"\xff\xfe",
        json.dumps({"keys": [jwk("rsa")]}).encode().ljust(2_000_000),
        json.dumps({"keys": [{"kty": "RSA", "kid": str(number)} for number in range(5_000)]}).encode(),
        json.dumps({"keys": [jwk("rsa")] + [{"kty": "x"}] * 100}).encode(),
    ],
)
def test_T019_a_document_that_is_no_key_set_is_refused_as_a_whole(document: bytes) -> None:
    started = time.perf_counter()
    with pytest.raises(UpstreamRefused) as caught:
        parse_key_set(document)
    assert caught.value.reason == "jwks_invalid"
    assert time.perf_counter() - started < 0.2


@pytest.mark.case("T019")
def test_T019_a_hundred_keys_are_read_in_time() -> None:
    document = json.dumps({"keys": [jwk("rsa", kid=f"k{number}") for number in range(100)]}).encode()
    started = time.perf_counter()
    keys = parse_key_set(document)
    assert time.perf_counter() - started < 0.2
    assert len(keys.keys) == 100


@pytest.mark.case("T019")
def test_T019_many_keys_of_one_name_do_not_multiply_the_work(refused: Refused) -> None:
    keys = key_set(*(jwk(name, kid="k") for name in ("rsa", "rsa/second", "rsa/third")))
    assert len(keys.by_kid["k"]) == 2
    refused(token(key="rsa/third", header={"kid": "k"}), "signature_invalid", keys=keys)


def test_certificates_beside_a_key_are_not_looked_at() -> None:
    extras = {"x5c": ["not a certificate"], "x5u": "file:///etc/passwd", "x5t": 7, "x5t#S256": None, "issuer": "x"}
    assert check(token(), keys=key_set(jwk("rsa", **extras))).subject == "alice"


def test_a_key_may_leave_out_what_is_optional() -> None:
    assert check(token(), keys=key_set(jwk("rsa", use=..., key_ops=["verify", "sign"]))).subject == "alice"


def test_a_key_set_shows_no_numbers() -> None:
    assert jwk("rsa")["n"] not in repr(key_set(jwk("rsa")))
