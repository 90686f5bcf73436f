"""Honest ID tokens, to be bent one thing at a time."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwk, jws

from apps.core.secret import Secret

RSA_KEY = jwk.RSAKey.import_key(rsa.generate_private_key(65537, 2048))  # type: ignore[arg-type]
OTHER_KEY = jwk.RSAKey.import_key(rsa.generate_private_key(65537, 2048))  # type: ignore[arg-type]
EC_KEY = jwk.ECKey.import_key(ec.generate_private_key(ec.SECP256R1()))  # type: ignore[arg-type]
ISSUER = "https://as.example.com"
CLIENT_ID = "client-1"
NONCE = "n0nce"
ACCESS = "at-1"


def public(key: jwk.RSAKey | jwk.ECKey, **extra: object) -> dict[str, object]:
    return {**key.as_dict(private=False), "kid": "k1", **extra}


def at_hash(token: str = ACCESS) -> str:
    digest = hashlib.sha256(token.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def claims(now: datetime, **changes: object) -> dict[str, object]:
    at = int(now.timestamp())
    whole: dict[str, object] = {
        "iss": ISSUER,
        "aud": CLIENT_ID,
        "sub": "user-1",
        "exp": at + 300,
        "iat": at,
        "nonce": NONCE,
        "at_hash": at_hash(),
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def sign(
    payload: dict[str, object] | bytes,
    *,
    key: jwk.RSAKey | jwk.ECKey | jwk.OctKey = RSA_KEY,
    alg: str = "RS256",
    header: dict[str, object] | None = None,
) -> Secret:
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    whole = {"alg": alg, "kid": "k1", **(header or {})}
    return Secret(
        jws.serialize_compact({n: v for n, v in whole.items() if v is not ...}, content, key, registry=registry)
    )


def b64(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
