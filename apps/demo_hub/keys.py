"""Signing keys and everything that is signed with them."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any, Literal

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from .model import KeyRecord

Alg = Literal["RS256", "ES256"]


def generate(alg: Alg, now: int) -> KeyRecord:
    """A new signing key. Its id is the RFC 7638 thumbprint."""
    key = RSAKey.generate_key(2048) if alg == "RS256" else ECKey.generate_key("P-256")
    return KeyRecord(kid=key.thumbprint(), alg=alg, pem=key.as_pem(private=True).decode(), created_at=now)


def rotate(records: list[KeyRecord], now: int, *, drop_old: bool) -> None:
    """Start signing with new keys. The old ones stay in the key set unless `drop_old`."""
    for record in records:
        record.active = False
        record.published = record.published and not drop_old
    records.extend((generate("RS256", now), generate("ES256", now)))


class Signer:
    """Signs with the active keys. Loading a PEM takes a millisecond or two, so loaded keys are kept."""

    def __init__(self, records: list[KeyRecord]) -> None:
        self._records = records
        self._loaded: dict[str, RSAKey | ECKey] = {}
        self._strangers: dict[Alg, RSAKey | ECKey] = {}
        self._lock = threading.Lock()

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The published key set (RFC 7517), newest first."""
        return {
            "keys": [
                {**self._key(record).as_dict(private=False), "kid": record.kid, "use": "sig", "alg": record.alg}
                for record in reversed(self._records)
                if record.published
            ]
        }

    def sign(self, claims: dict[str, Any], alg: Alg, typ: str) -> str:
        """A compact JWS over these claims."""
        record = self._active(alg)
        return jwt.encode({"alg": alg, "kid": record.kid, "typ": typ}, claims, self._key(record), algorithms=[alg])

    def sign_badly(self, claims: dict[str, Any], alg: Alg, typ: str) -> str:
        """The same token, right in every respect but one: another key made the signature."""
        with self._lock:
            stranger = self._strangers.get(alg)
            if stranger is None:
                stranger = RSAKey.generate_key(2048) if alg == "RS256" else ECKey.generate_key("P-256")
                self._strangers[alg] = stranger
        header = {"alg": alg, "kid": self._active(alg).kid, "typ": typ}
        return jwt.encode(header, claims, stranger, algorithms=[alg])

    def unsigned(self, claims: dict[str, Any], typ: str) -> str:
        """The same token with `alg: none` and an empty signature."""
        parts = ({"alg": "none", "typ": typ}, claims)
        return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."

    def _active(self, alg: Alg) -> KeyRecord:
        return next(record for record in reversed(self._records) if record.active and record.alg == alg)

    def _key(self, record: KeyRecord) -> RSAKey | ECKey:
        with self._lock:
            key = self._loaded.get(record.kid)
            if key is None:
                key = RSAKey.import_key(record.pem) if record.alg == "RS256" else ECKey.import_key(record.pem)
                self._loaded[record.kid] = key
            return key
