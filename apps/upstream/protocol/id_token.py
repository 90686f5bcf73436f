"""Checking the ID token of a consent: OpenID Connect Core section 3.1.3.7. Keys come in, nothing is fetched.

The library is used as a signature primitive with exactly one key and one algorithm, both chosen here from what the
provider's configuration allows. Everything that must hold is decided by us, never by the token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from joserfc import jwk, jws
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from apps.core.errors import UpstreamRefused
from apps.core.net.strict_json import NotStrictJson, parse_object
from apps.core.secret import Secret

LEEWAY_S = 30
_LONGEST = 16_384
_LONGEST_SUBJECT = 255
_SEGMENT = re.compile(r"[A-Za-z0-9_\-]+")
_MOST_KEYS = 100
# Name of the algorithm -> (key type, curve). Symmetric ones are absent: a public key must never become a shared one.
ALGORITHMS: Mapping[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "Ed25519": ("OKP", "Ed25519"),
}
_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
# Each names another key, another meaning of the payload, or a compressed one. None belongs into an ID token.
_UNWANTED_HEADERS = ("jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc")
_PUBLIC_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


class _LongerHeaders(JWSRegistry):
    max_header_length = 4096
    max_payload_length = _LONGEST


@dataclass(frozen=True, slots=True)
class IdTokenClaims:
    """What a verified ID token says. `subject` is unique within `issuer` only."""

    issuer: str
    subject: str
    claims: Mapping[str, object]


def validate(
    id_token: Secret,
    *,
    keys: Mapping[str, object],
    issuer: str,
    client_id: str,
    nonce: Secret,
    algs: Sequence[str],
    now: datetime,
    access_token: Secret | None = None,
) -> IdTokenClaims:
    """Verify signature, issuer, audience, times and nonce.

    `keys` is the provider's JWK set as parsed JSON, `algs` what its configuration lists; of these only the
    algorithms above are used. `now` is in UTC; clocks may differ by 30 seconds. With `access_token`, an `at_hash`
    in the token must fit it.

    Raises UpstreamRefused with reason `id_token_invalid`; `private` names the check. The tokens must then not be kept.
    """
    text = id_token.reveal()
    segments = text.split(".")
    if len(text) > _LONGEST or len(segments) != 3 or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        _refuse("form")
    header = _json(segments[0])
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in ALGORITHMS or alg not in algs:
        _refuse("alg")
    if any(name in header for name in _UNWANTED_HEADERS):
        _refuse("header")
    _verify(text, _key(keys, header.get("kid"), alg), alg)
    claims = _json(segments[1])
    _check_claims(claims, issuer, client_id, nonce, now)
    if access_token is not None and "at_hash" in claims:
        _check_at_hash(claims["at_hash"], access_token, alg)
    return IdTokenClaims(issuer, str(claims["sub"]), claims)


def same_subject(claims: IdTokenClaims, userinfo: Mapping[str, object]) -> None:
    """The userinfo answer must be about the same person (OpenID Connect Core section 5.3.2). Raises UpstreamRefused."""
    if userinfo.get("sub") != claims.subject:
        _refuse("userinfo sub")


def _check_claims(claims: Mapping[str, object], issuer: str, client_id: str, nonce: Secret, now: datetime) -> None:
    if claims.get("iss") != issuer:
        _refuse("iss")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences or not all(isinstance(one, str) for one in audiences):
        _refuse("aud")
    # A token for several audiences is for us only if we are the party it was issued to (section 3.1.3.7, 4 and 5).
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        _refuse("azp")
    at = now.timestamp()
    if _time(claims, "exp") <= at - LEEWAY_S:
        _refuse("exp")
    if _time(claims, "iat") > at + LEEWAY_S:
        _refuse("iat")
    if "nbf" in claims and _time(claims, "nbf") > at + LEEWAY_S:
        _refuse("nbf")
    theirs = claims.get("nonce")
    if not isinstance(theirs, str) or not Secret(theirs).same_as(nonce):
        _refuse("nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        _refuse("sub")


def _time(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        _refuse(name)
    return float(value)


def _check_at_hash(value: object, access_token: Secret, alg: str) -> None:
    digest = (_HASHES.get(alg[-3:]) or hashlib.sha512)(access_token.reveal().encode("ascii")).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")
    if not isinstance(value, str) or not hmac.compare_digest(value.encode(), half.encode()):
        _refuse("at_hash")


def _key(keys: Mapping[str, object], kid: object, alg: str) -> Mapping[str, object]:
    """The one key that may have signed this. None or several is a refusal, not a search."""
    listed = keys.get("keys")
    if not isinstance(listed, list) or len(listed) > _MOST_KEYS or (kid is not None and not isinstance(kid, str)):
        _refuse("keys")
    fitting = [key for key in listed if isinstance(key, dict) and _fits(key, alg)]
    if kid is not None:
        fitting = [key for key in fitting if key.get("kid") == kid]
    if len(fitting) != 1:
        _refuse("kid")
    return fitting[0]


def _fits(key: Mapping[str, object], alg: str) -> bool:
    kty, curve = ALGORITHMS[alg]
    operations = key.get("key_ops")
    return (
        key.get("kty") == kty
        and (curve is None or key.get("crv") == curve)
        and key.get("alg") in (None, alg)
        and key.get("use") in (None, "sig")
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and (kty != "RSA" or _good_rsa(key))
    )


def _good_rsa(key: Mapping[str, object]) -> bool:
    modulus, exponent = key.get("n"), key.get("e")
    if not isinstance(modulus, str) or not isinstance(exponent, str) or len(modulus) > 1400 or len(exponent) > 8:
        return False
    try:
        n, e = int.from_bytes(_unbase64url(modulus)), int.from_bytes(_unbase64url(exponent))
    except ValueError:
        return False
    return 2048 <= n.bit_length() <= 8192 and e >= 3 and e % 2 == 1


def _verify(text: str, key: Mapping[str, object], alg: str) -> None:
    kty = str(key["kty"])
    # Only the public members, so that a key set with private or unknown members cannot steer the library.
    members: dict[str, str | list[str]] = {name: str(key[name]) for name in _PUBLIC_MEMBERS[kty] if name in key}
    try:
        public = jwk.import_key({"kty": kty, **members})
        jws.deserialize_compact(
            text, public, algorithms=[alg], registry=_LongerHeaders(algorithms=[alg], strict_check_header=False)
        )
    except (JoseError, ValueError, TypeError) as problem:
        _refuse("signature", problem)


def _json(segment: str) -> dict[str, object]:
    try:
        return parse_object(_unbase64url(segment))
    except (NotStrictJson, ValueError) as problem:
        _refuse("json", problem)


def _unbase64url(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def invalid(check: str) -> UpstreamRefused:
    """The refusal; `check` says which one failed, for the operator's log."""
    return UpstreamRefused(
        "The provider's ID token could not be verified, so its tokens were not kept. Start again; if it happens "
        "again, check the issuer and client id in the provider's settings.",
        reason="id_token_invalid",
        private=check,
    )


def _refuse(check: str, cause: BaseException | None = None) -> NoReturn:
    raise invalid(check) from cause
