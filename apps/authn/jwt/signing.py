"""Signing tokens of our own (RFC 7515, RFC 7519): make a key, publish its public half, sign claims with it.

Pure: no database, no clock. Which algorithm is used follows from the key, never from the token that is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from apps.core.secret import Secret

# What relying parties of `sts:GetWebIdentityToken` may ask for.
SIGNING_ALGORITHMS = ("ES384", "RS256")
_RSA_BITS = 2048
_PUBLIC = {"RS256": ("kty", "n", "e"), "ES384": ("kty", "crv", "x", "y")}

PrivateKey = RSAKey | ECKey


def generate(algorithm: str) -> tuple[Secret, dict[str, str]]:
    """A new key: its private half as PEM, its public half as a JWK (RFC 7517) with `kid` (RFC 7638), `alg` and `use`.

    Raises KeyError for an algorithm that is not in SIGNING_ALGORITHMS.
    """
    wanted = _PUBLIC[algorithm]
    key: PrivateKey = RSAKey.generate_key(_RSA_BITS) if algorithm == "RS256" else ECKey.generate_key("P-384")
    numbers = key.as_dict(private=False)
    # Picked by name: whatever else a library puts into its dictionary is not published.
    public = {name: str(numbers[name]) for name in wanted}
    public |= {"kid": key.thumbprint(), "alg": algorithm, "use": "sig"}
    return Secret(key.as_pem(private=True).decode()), public


def load(pem: Secret, algorithm: str) -> PrivateKey:
    """The private key again, of the kind its algorithm needs. Raises ValueError for another kind."""
    if algorithm == "RS256":
        return RSAKey.import_key(pem.reveal())
    if algorithm == "ES384":
        return ECKey.import_key(pem.reveal())
    raise ValueError("not an algorithm we sign with")


def sign(claims: Mapping[str, Any], *, key: PrivateKey, algorithm: str, kid: str, typ: str = "JWT") -> str:
    """A compact JWS over the claims. The header says `alg`, `kid` and `typ`, nothing else."""
    header = {"alg": algorithm, "kid": kid, "typ": typ}
    payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()
    return jws.serialize_compact(header, payload, key, algorithms=[algorithm])
