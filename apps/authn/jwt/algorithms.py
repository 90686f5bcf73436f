"""Signature algorithms, each tied to the one kind of key it works with (RFC 7518 3.1, RFC 8037, RFC 9864)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from joserfc.jwa import ESAlgorithm, JWSAlgModel, RSAAlgorithm, RSAPSSAlgorithm
from joserfc.jws import JWSRegistry


class KeyKind(Enum):
    RSA = "RSA"
    P256 = "P-256"
    P384 = "P-384"
    ED25519 = "Ed25519"


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A name, the kind of key, and joserfc's signature primitive for it. Only asymmetric ones exist here."""

    name: str
    kind: KeyKind
    primitive: JWSAlgModel = field(repr=False, compare=False)


_ED25519 = Algorithm("Ed25519", KeyKind.ED25519, JWSRegistry.algorithms["Ed25519"])

# HS* is absent, not refused: an issuer's public key can then never be read as a shared secret.
ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        "RS256": Algorithm("RS256", KeyKind.RSA, RSAAlgorithm(256)),
        "RS384": Algorithm("RS384", KeyKind.RSA, RSAAlgorithm(384)),
        "RS512": Algorithm("RS512", KeyKind.RSA, RSAAlgorithm(512)),
        "PS256": Algorithm("PS256", KeyKind.RSA, RSAPSSAlgorithm(256)),
        "PS384": Algorithm("PS384", KeyKind.RSA, RSAPSSAlgorithm(384)),
        "PS512": Algorithm("PS512", KeyKind.RSA, RSAPSSAlgorithm(512)),
        "ES256": Algorithm("ES256", KeyKind.P256, ESAlgorithm("ES256", "P-256", 256)),
        "ES384": Algorithm("ES384", KeyKind.P384, ESAlgorithm("ES384", "P-384", 384)),
        # One algorithm, two spellings: RFC 8037's and, since RFC 9864, the precise one.
        "EdDSA": _ED25519,
        "Ed25519": _ED25519,
    }
)
