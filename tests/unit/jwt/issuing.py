"""An issuer for tests: real keys, and tokens that are right unless a test says otherwise."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from apps.authn.jwt import IssuerPolicy, KeySet, VerifiedClaims, parse, parse_key_set, verify

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
ISSUER = "https://login.acme.example"
AUDIENCE = "https://api.acme.example"
POLICY = IssuerPolicy(issuer=ISSUER, audiences=(AUDIENCE,))

_HASH: dict[str, type[Any]] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}


@cache
def private_key(name: str) -> Any:
    """Keys by name; making RSA keys is slow, so each is made once per test run."""
    kind = name.split("/")[0]
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if kind == "p256":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "p384":
        return ec.generate_private_key(ec.SECP384R1())
    return ed25519.Ed25519PrivateKey.generate()


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def b64_int(number: int, width: int | None = None) -> str:
    return b64(number.to_bytes(width or (number.bit_length() + 7) // 8, "big"))


def jwk(name: str, **members: Any) -> dict[str, Any]:
    """The public key as its issuer publishes it; the name is the key id unless given otherwise."""
    public = private_key(name).public_key()
    common = {"kid": name, "use": "sig"}
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        found = {"kty": "RSA", "n": b64_int(numbers.n), "e": b64_int(numbers.e)}
    elif isinstance(public, ec.EllipticCurvePublicKey):
        point, width = public.public_numbers(), (public.key_size + 7) // 8
        curve = f"P-{public.key_size}"
        found = {"kty": "EC", "crv": curve, "x": b64_int(point.x, width), "y": b64_int(point.y, width)}
    else:
        found = {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}
    return {key: value for key, value in {**common, **found, **members}.items() if value is not ...}


def key_set(*entries: Any) -> KeySet:
    return parse_key_set(json.dumps({"keys": list(entries)}).encode())


@cache
def usual_keys() -> KeySet:
    return key_set(*(jwk(name) for name in ("rsa", "p256", "p384", "ed25519")))


def claims(**changes: Any) -> dict[str, Any]:
    """Claims of a good access token; a value of ... removes the member."""
    usual = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": AUDIENCE,
        "exp": NOW_S + 600,
        "iat": NOW_S - 10,
        "client_id": "agent-app",
        "scope": "agent:invoke profile",
    }
    return {key: value for key, value in {**usual, **changes}.items() if value is not ...}


def sign(key_name: str, algorithm: str, message: bytes) -> bytes:
    """JWS signatures made with cryptography alone, so that the library under test is not its own oracle."""
    key = private_key(key_name)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    digest = _HASH[algorithm[2:]]()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        width = (key.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")
    if algorithm.startswith("PS"):
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
        return bytes(key.sign(message, pss, digest))
    return bytes(key.sign(message, padding.PKCS1v15(), digest))


def compact(header: bytes, payload: bytes, signature: bytes) -> str:
    return f"{b64(header)}.{b64(payload)}.{b64(signature)}"


def signed_bytes(header: bytes, payload: bytes, *, key: str = "rsa", algorithm: str = "RS256") -> str:
    """A correctly signed token around any bytes."""
    message = f"{b64(header)}.{b64(payload)}".encode()
    return compact(header, payload, sign(key, algorithm, message))


def token(
    body: dict[str, Any] | None = None,
    *,
    key: str = "rsa",
    algorithm: str = "RS256",
    header: dict[str, Any] | None = None,
) -> str:
    """A good token, correctly signed over whatever the header and body were changed to."""
    head = {"alg": algorithm, "kid": key, "typ": "JWT", **(header or {})}
    head = {name: value for name, value in head.items() if value is not ...}
    payload = json.dumps(claims() if body is None else body).encode()
    return signed_bytes(json.dumps(head).encode(), payload, key=key, algorithm=algorithm)


def check(text: str, policy: IssuerPolicy = POLICY, keys: KeySet | None = None, now: datetime = NOW) -> VerifiedClaims:
    return verify(parse(text), policy, keys or usual_keys(), now=now)
