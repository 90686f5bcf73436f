"""Agent authorizer: headers and forms of a token. Each case is a token that would pass, with one fault."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fakes.issuer import Issuer
from tests.security.doors import Door, random_kid
from tests.unit.jwt.issuing import b64, jwk, private_key, sign

MISSING: Any = ...


def unsigned(issuer: Issuer, header: dict[str, Any], signature: bytes = b"") -> str:
    payload = json.dumps(issuer.claims()).encode()
    return f"{b64(json.dumps(header).encode())}.{b64(payload)}.{b64(signature)}"


@pytest.mark.case("T001")
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, 1, ["RS256"], MISSING], ids=str)
def test_T001_alg_none(door: Door, issuer: Issuer, alg: Any, signed: bool) -> None:
    header = {"typ": "JWT", "kid": "rsa"} | ({} if alg is MISSING else {"alg": alg})
    signature = base64.urlsafe_b64decode(issuer.token().split(".")[2] + "==") if signed else b""
    door.denies(unsigned(issuer, header, signature), "alg_not_allowed", 401)


@pytest.mark.case("T002")
@pytest.mark.parametrize("bits", ["256", "384", "512"])
@pytest.mark.parametrize("secret", ["pem", "pem without newline", "der", "modulus"])
def test_T002_the_public_key_is_no_hmac_secret(door: Door, issuer: Issuer, bits: str, secret: str) -> None:
    public = private_key("rsa").public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = {
        "pem": pem,
        "pem without newline": pem.rstrip(),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "modulus": jwk("rsa")["n"].encode(),
    }[secret]
    head = b64(json.dumps({"alg": f"HS{bits}", "kid": "rsa", "typ": "JWT"}).encode())
    message = f"{head}.{b64(json.dumps(issuer.claims()).encode())}"
    mac = hmac.new(key, message.encode(), getattr(hashlib, f"sha{bits}")).digest()
    door.denies(f"{message}.{b64(mac)}", "alg_not_allowed", 401)


@pytest.mark.case("T003")
@pytest.mark.parametrize(("key", "alg"), [("rsa", "PS256"), ("p256", "ES256"), ("ed25519", "EdDSA")])
def test_T003_a_published_key_with_an_algorithm_that_is_not_allowed(
    door: Door, issuer: Issuer, key: str, alg: str
) -> None:
    door.admits(issuer.token(key=key, alg=alg))  # allowed as long as the authorizer does not say otherwise
    door.set(algorithms=("RS256",))
    door.denies(issuer.token(key=key, alg=alg), "alg_not_allowed", 401)


@pytest.mark.case("T004")
@pytest.mark.parametrize(
    ("alg", "kid", "key"),
    [("ES256", "p384", "p384"), ("RS256", "p256", "p256"), ("EdDSA", "x25519", "ed25519"), ("ES384", "p256", "p256")],
)
def test_T004_the_key_is_not_of_the_algorithm(door: Door, issuer: Issuer, alg: str, kid: str, key: str) -> None:
    issuer.keys.append({"kty": "OKP", "crv": "X25519", "kid": "x25519", "use": "sig", "x": b64(b"\x09" * 32)})
    head = b64(json.dumps({"alg": alg, "kid": kid, "typ": "JWT"}).encode())
    message = f"{head}.{b64(json.dumps(issuer.claims()).encode())}"
    real = {"p384": "ES384", "p256": "ES256", "ed25519": "EdDSA"}[key]
    door.denies(f"{message}.{b64(sign(key, real, message.encode()))}", "key_alg_mismatch", 401)


@pytest.mark.case("T005")
@pytest.mark.parametrize("name", ["jwk", "x5c"])
def test_T005_a_token_that_brings_its_key(door: Door, issuer: Issuer, name: str) -> None:
    own = jwk("rsa/attacker")
    value = own if name == "jwk" else [base64.b64encode(b"a certificate of the attacker").decode()]
    door.denies(issuer.token(key="rsa/attacker", header={"kid": "rsa", name: value}), "untrusted_key_header", 401)


@pytest.mark.case("T006")
@pytest.mark.parametrize("name", ["jku", "x5u"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_T006_a_token_that_says_where_its_key_is(
    door: Door, issuer: Issuer, other_issuer: Issuer, name: str, scheme: str
) -> None:
    address = f"{other_issuer.url}/jwks".replace("http://", f"{scheme}://")
    door.denies(issuer.token(key="rsa/attacker", header={"kid": "rsa", name: address}), "untrusted_key_header", 401)
    assert other_issuer.requests == []


@pytest.mark.case("T007")
@pytest.mark.parametrize("kid", ["a\u0000b", "k" * 10_000, 0, None, {}, "", "ключ"], ids=lambda kid: repr(kid)[:20])
def test_T007_a_key_id_that_is_no_name(door: Door, issuer: Issuer, kid: Any) -> None:
    # A NUL in the header never gets as far as the key id.
    door.denies(issuer.token(header={"kid": kid}), {"kid_invalid", "malformed", "too_large"}, 401)


@pytest.mark.case("T007")
@pytest.mark.parametrize("kid", ["../../dev/null", "' OR 1=1--", "http://127.0.0.1/key"])
def test_T007_a_key_id_is_only_looked_up_in_the_issuers_set(door: Door, issuer: Issuer, kid: str) -> None:
    door.denies(issuer.token(header={"kid": kid}), "kid_unknown", 401, fetches=True)
    assert set(issuer.requests) <= {"/.well-known/openid-configuration", "/jwks"}


@pytest.mark.case("T007")
def test_T007_the_key_id_of_another_tenants_issuer(
    door: Door, issuer: Issuer, other_issuer: Issuer, globex: Any
) -> None:
    other_issuer.keys = [jwk("rsa/theirs")]
    theirs = Door(globex, other_issuer)
    theirs.admits(other_issuer.token(key="rsa/theirs"))
    door.denies(issuer.token(key="rsa/theirs"), "kid_unknown", 401, fetches=True)


@pytest.mark.case("T008")
def test_T008_a_flood_of_unknown_key_ids_asks_the_issuer_once(door: Door, issuer: Issuer) -> None:
    door.admits(issuer.token())
    before = issuer.requests.count("/jwks")
    for _ in range(200):
        answer = door.ask(issuer.token(header={"kid": random_kid()}))
        assert (answer["decision"], answer["reason"]) == ("deny", "kid_unknown")
    assert issuer.requests.count("/jwks") - before == 1
    door.admits(issuer.token())


@pytest.mark.case("T009")
@pytest.mark.parametrize(
    "header", [{"crit": ["exp"]}, {"crit": ["x"], "x": 1}, {"crit": []}, {"b64": False, "crit": ["b64"]}], ids=str
)
def test_T009_critical_headers(door: Door, issuer: Issuer, header: dict[str, Any]) -> None:
    door.denies(issuer.token(header=header), "unsupported_header", 401)


@pytest.mark.case("T010")
@pytest.mark.parametrize("form", ["jwe", "general", "flattened", "4 parts", "2 parts", "leading space", "trailing dot"])
def test_T010_other_serialisations(door: Door, issuer: Issuer, form: str) -> None:
    good = issuer.token()
    head, payload, signature = good.split(".")
    text = {
        "jwe": f"{head}.{payload}.{signature}.{payload}.{signature}",
        "general": json.dumps({"payload": payload, "signatures": [{"protected": head, "signature": signature}]}),
        "flattened": json.dumps({"payload": payload, "protected": head, "signature": signature}),
        "4 parts": f"{good}.{signature}",
        "2 parts": f"{head}.{payload}",
        "leading space": f" {good}",
        "trailing dot": f"{good}.",
    }[form]
    door.denies(text, "malformed", 401)


@pytest.mark.case("T011")
@pytest.mark.parametrize("fault", ["17 kB", "deep", "twice", "padded", "not utf-8", "array", "NaN"])
def test_T011_malformed_or_huge(door: Door, issuer: Issuer, fault: str) -> None:
    claims = json.dumps(issuer.claims())
    payload = {
        "17 kB": claims[:-1] + f', "x": "{"y" * 17_000}"}}',
        "deep": claims[:-1] + ', "x": ' + "[" * 3000 + "]" * 3000 + "}",
        "twice": claims[:-1] + ', "sub": "bob"}',
        "padded": claims,
        "not utf-8": claims,
        "array": f"[{claims}]",
        "NaN": claims.replace(f'"exp": {issuer.claims()["exp"]}', '"exp": NaN'),
    }[fault].encode()
    if fault == "not utf-8":
        payload = payload.replace(b"alice", b"al\xffce")
    body = b64(payload) if fault != "padded" else base64.b64encode(payload + b" " * (-len(payload) % 3 + 1)).decode()
    message = f"{b64(json.dumps({'alg': 'RS256', 'kid': 'rsa', 'typ': 'JWT'}).encode())}.{body}"
    token = f"{message}.{b64(sign('rsa', 'RS256', message.encode()))}"
    if fault == "17 kB":
        # Larger than any header a proxy lets through, so the authorize call refuses the question itself.
        assert len(token) > 16 * 1024
        assert door.post({"token": token}).status_code == 400
        assert door.knock(f"Bearer {token}").status_code == 401
        return
    door.denies(token, {"malformed", "exp_invalid"}, 401)
