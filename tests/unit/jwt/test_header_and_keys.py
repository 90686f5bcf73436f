"""T001-T009: what the header says never decides which algorithm or key is used."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from apps.authn.jwt import IssuerPolicy, parse, wanted_key_id
from apps.core.errors import Unauthenticated
from tests.unit.jwt.conftest import Refused
from tests.unit.jwt.issuing import (
    AUDIENCE,
    ISSUER,
    POLICY,
    b64,
    b64_int,
    check,
    claims,
    compact,
    jwk,
    key_set,
    private_key,
    sign,
    signed_bytes,
    token,
    usual_keys,
)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        *(("rsa", name) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        ("p256", "ES256"),
        ("p384", "ES384"),
        ("ed25519", "EdDSA"),
        ("ed25519", "Ed25519"),
    ],
)
def test_every_accepted_algorithm_verifies(key: str, algorithm: str) -> None:
    assert check(token(key=key, algorithm=algorithm)).principal == (ISSUER, "alice")


@pytest.mark.case("T001")
@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 1, ["RS256"], {}, ...])
@pytest.mark.parametrize("signed", [False, True])
def test_T001_alg_none_is_refused(refused: Refused, algorithm: object, signed: bool) -> None:
    good = token(header={"alg": algorithm})
    text = good if signed else good[: good.rindex(".") + 1]
    refused(text, "alg_not_allowed")


@pytest.mark.case("T001")
def test_T001_an_empty_signature_under_a_real_algorithm_is_refused(refused: Refused) -> None:
    good = token()
    refused(good[: good.rindex(".") + 1], "signature_invalid")


@pytest.mark.case("T002")
@pytest.mark.parametrize("bits", ["256", "384", "512"])
@pytest.mark.parametrize("secret", ["pem", "pem without newline", "der", "modulus text", "empty"])
def test_T002_a_public_key_is_never_an_hmac_secret(refused: Refused, bits: str, secret: str) -> None:
    public = private_key("rsa").public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secrets = {
        "pem": pem,
        "pem without newline": pem.rstrip(b"\n"),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "modulus text": b64_int(public.public_numbers().n).encode(),
        "empty": b"",
    }
    header = json.dumps({"alg": f"HS{bits}", "kid": "rsa"}).encode()
    payload = json.dumps(claims()).encode()
    mac = hmac.new(secrets[secret], f"{b64(header)}.{b64(payload)}".encode(), getattr(hashlib, f"sha{bits}")).digest()
    refused(compact(header, payload, mac), "alg_not_allowed")


@pytest.mark.case("T003")
@pytest.mark.parametrize(("key", "algorithm"), [("rsa", "PS256"), ("p256", "ES256"), ("rsa", "RS512")])
def test_T003_a_real_key_with_an_algorithm_we_did_not_allow(refused: Refused, key: str, algorithm: str) -> None:
    only_rs256 = IssuerPolicy(issuer=ISSUER, audiences=(AUDIENCE,), algorithms=("RS256",))
    assert check(token(), only_rs256).subject == "alice"
    refused(token(key=key, algorithm=algorithm), "alg_not_allowed", policy=only_rs256)


@pytest.mark.case("T004")
@pytest.mark.parametrize(
    ("kid", "algorithm", "key"),
    [("p384", "ES256", "p256"), ("p256", "RS256", "rsa"), ("rsa", "ES256", "p256"), ("rsa", "EdDSA", "ed25519")],
)
def test_T004_the_key_must_be_of_the_algorithm(refused: Refused, kid: str, algorithm: str, key: str) -> None:
    refused(token(key=key, algorithm=algorithm, header={"kid": kid}), "key_alg_mismatch")


@pytest.mark.case("T004")
def test_T004_an_x25519_key_verifies_nothing(refused: Refused) -> None:
    x25519 = {"kty": "OKP", "crv": "X25519", "kid": "x", "x": b64(b"\x09" + b"\0" * 31)}
    keys = key_set(jwk("rsa"), x25519)
    refused(token(key="ed25519", algorithm="EdDSA", header={"kid": "x"}), "key_alg_mismatch", keys=keys)


@pytest.mark.case("T004")
def test_T004_a_key_published_for_one_algorithm_serves_no_other(refused: Refused) -> None:
    keys = key_set(jwk("rsa", alg="PS256"))
    assert check(token(algorithm="PS256"), keys=keys).subject == "alice"
    refused(token(algorithm="RS256"), "key_alg_mismatch", keys=keys)


@pytest.mark.case("T005")
@pytest.mark.case("T006")
@pytest.mark.parametrize(
    "header",
    [
        {"jwk": "attacker"},
        {"jwk": {}},
        {"jwk": None},
        {"x5c": ["MIIB"]},
        {"jku": "https://evil.example/keys"},
        {"jku": "http://127.0.0.1/keys"},
        {"x5u": "https://evil.example/chain"},
    ],
)
def test_T005_T006_a_token_cannot_bring_or_name_its_key(refused: Refused, header: dict[str, object]) -> None:
    if header.get("jwk") == "attacker":
        header = {"jwk": jwk("rsa/attacker")}
    refused(token(key="rsa/attacker", header={**header, "kid": "rsa"}), "untrusted_key_header")
    refused(token(header=header), "untrusted_key_header")  # even when the signature is right


@pytest.mark.case("T007")
@pytest.mark.parametrize(
    "kid",
    ["../../dev/null", "' OR 1=1--", "a\0b", "a\nb", "x" * 10_000, "k" * 257, "ключ", "", 0, None, {}, [], "\ud800"],
)
def test_T007_a_key_id_is_only_a_name(refused: Refused, kid: object) -> None:
    refused(token(header={"kid": kid}), "kid_invalid", "kid_unknown", "malformed")


@pytest.mark.case("T007")
@pytest.mark.case("T008")
def test_T007_what_cannot_pass_never_asks_for_a_key() -> None:
    assert wanted_key_id(parse(token()), POLICY) == "rsa"
    assert wanted_key_id(parse(token(header={"kid": ...})), POLICY) is None
    for header in (
        {"alg": "none"},
        {"jku": "https://evil.example"},
        {"crit": ["exp"]},
        {"kid": 0},
        {"typ": "dpop+jwt"},
    ):
        with pytest.raises(Unauthenticated):
            wanted_key_id(parse(token(header=header)), POLICY)
    with pytest.raises(Unauthenticated):
        wanted_key_id(parse(token(claims(iss="https://evil.example"))), POLICY)


def test_without_a_key_id_there_must_be_nothing_to_choose(refused: Refused) -> None:
    anonymous = token(header={"kid": ...})
    assert check(anonymous).subject == "alice"  # one RSA key among four
    assert check(anonymous, keys=key_set(jwk("rsa", kid=...))).subject == "alice"
    refused(anonymous, "kid_missing", keys=key_set(jwk("rsa"), jwk("rsa/second")))


@pytest.mark.case("T009")
@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["x"], "x": 1},
        {"crit": []},
        {"crit": None},
        {"b64": False},
        {"b64": True},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
    ],
)
def test_T009_headers_that_change_the_meaning_are_refused(refused: Refused, header: dict[str, object]) -> None:
    refused(token(header=header), "unsupported_header")


@pytest.mark.parametrize("header", [{"x5t": "abc"}, {"x5t#S256": "abc"}, {"nonce": "n"}, {"cty": "json"}, {"ver": "2"}])
def test_headers_without_effect_are_ignored(header: dict[str, object]) -> None:
    assert check(token(header=header)).subject == "alice"


@pytest.mark.case("T023")
def test_T023_a_token_of_another_issuer_does_not_pass_as_ours(refused: Refused) -> None:
    foreign = token(claims(iss="https://login.globex.example"), key="rsa/globex", header={"kid": "rsa"})
    refused(foreign, "issuer_mismatch")
    refused(token(key="rsa/globex", header={"kid": "rsa"}), "signature_invalid")
    refused(token(key="rsa/globex"), "kid_unknown")


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "EdDSA", "RS256", "PS256"])
def test_signatures_of_zeros_and_of_the_wrong_length_are_refused(refused: Refused, algorithm: str) -> None:
    """Psychic signatures (CVE-2022-21449): r = s = 0 once satisfied a well-known ECDSA implementation."""
    key = {"ES256": "p256", "ES384": "p384", "EdDSA": "ed25519"}.get(algorithm, "rsa")
    header = json.dumps({"alg": algorithm, "kid": key}).encode()
    payload = json.dumps(claims()).encode()
    for size in (1, 63, 64, 65, 96, 97, 256, 257):
        refused(compact(header, payload, b"\0" * size), "signature_invalid")
        refused(compact(header, payload, b"\xff" * size), "signature_invalid")


def test_an_ecdsa_signature_in_der_form_is_refused(refused: Refused) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    header = json.dumps({"alg": "ES256", "kid": "p256"}).encode()
    payload = json.dumps(claims()).encode()
    message = f"{b64(header)}.{b64(payload)}".encode()
    der = private_key("p256").sign(message, ec.ECDSA(hashes.SHA256()))
    refused(compact(header, payload, der), "signature_invalid")


def test_any_changed_character_breaks_the_token(refused: Refused) -> None:
    good = token()
    head, body, signature = good.split(".")
    other = b64(json.dumps(claims(sub="mallory")).encode())
    refused(f"{head}.{other}.{signature}", "signature_invalid")
    changed = b64(json.dumps({"alg": "RS256", "kid": "rsa", "typ": "JWT", "x": 1}).encode())
    refused(f"{changed}.{body}.{signature}", "signature_invalid")


def test_two_keys_of_one_name_are_both_the_issuers() -> None:
    for order in (("rsa", "rsa/new"), ("rsa/new", "rsa")):
        keys = key_set(*(jwk(name, kid="k") for name in order))
        for key in order:
            assert check(token(key=key, header={"kid": "k"}), keys=keys).subject == "alice"
        with pytest.raises(Unauthenticated):
            check(token(key="rsa/attacker", header={"kid": "k"}), keys=keys)


def test_the_tests_own_signing_is_right() -> None:
    message = b"m"
    assert sign("ed25519", "EdDSA", message) == private_key("ed25519").sign(message)
    assert usual_keys().knows("rsa")
    assert check(signed_bytes(b'{"alg":"RS256","kid":"rsa"}', json.dumps(claims()).encode())).subject == "alice"
