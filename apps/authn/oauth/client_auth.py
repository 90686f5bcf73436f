"""How a client proves itself: exactly one way per request (RFC 6749 section 2.3), with a secret we generated or a
signature.

A secret is 256 random bits, so its keyed SHA-256 (RFC 2104) is as safe at rest as a slow password hash, and some
twenty thousand times cheaper to check; a secret somebody chose could not be stored so, and is never taken.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_plus

from django.conf import settings

from apps.authn.oauth import assertions
from apps.authn.oauth.errors import OAuthRefused
from apps.core import tickets
from apps.core.errors import Unauthenticated
from apps.core.secret import Secret

Method = Literal["client_secret", "private_key_jwt", "none"]
_CLIENT_ID = re.compile(r"[!-~]{1,255}", re.ASCII)
_SALT = b"portal/oauth-client-secret/v1\0"
# Checked for clients that do not exist, so that the answer takes the same path.
_DUMMY = "hmac-sha256$" + "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientProof:
    """What a request brought. Nothing of it is proven yet. `basic`: by the Authorization header."""

    method: Method
    client_id: str
    secret: Secret | None = None
    assertion: Secret | None = None
    basic: bool = False


def read_proof(authorization: str | None, form: Mapping[str, str]) -> ClientProof:
    """The one proof of a request.

    Raises OAuthRefused: `invalid_request` for none or several, or a client id that disagrees with another;
    `invalid_client` for a header or an assertion that cannot be read.
    """
    secret, assertion, claimed = form.get("client_secret"), form.get("client_assertion"), form.get("client_id", "")
    if sum(proof is not None for proof in (authorization, secret, assertion)) > 1:
        raise OAuthRefused(
            "invalid_request", reason="several_client_proofs", description="A client proves itself in one way only."
        )
    if (assertion is None) != ("client_assertion_type" not in form):
        raise OAuthRefused("invalid_request", reason="assertion_type_missing")
    if authorization is not None:
        proof = _basic(authorization)
    elif assertion is not None:
        proof = _assertion(Secret(assertion), form["client_assertion_type"])
    else:
        method: Method = "client_secret" if secret is not None else "none"
        proof = ClientProof(method=method, client_id=claimed, secret=Secret(secret) if secret is not None else None)
    if not proof.client_id:
        raise OAuthRefused("invalid_client", reason="client_id_missing")
    if claimed and claimed != proof.client_id:
        raise OAuthRefused("invalid_request", reason="client_ids_disagree")
    if not _CLIENT_ID.fullmatch(proof.client_id):
        raise OAuthRefused("invalid_client", reason="client_id_malformed")
    return proof


def _basic(header: str) -> ClientProof:
    """RFC 6749 section 2.3.1: both halves form-encoded inside RFC 7617."""
    scheme, _, encoded = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
        if not colon:
            raise ValueError
    except (ValueError, binascii.Error):
        raise OAuthRefused("invalid_client", reason="client_header_malformed") from None
    return ClientProof(
        method="client_secret", client_id=unquote_plus(client_id), secret=Secret(unquote_plus(secret)), basic=True
    )


def _assertion(assertion: Secret, kind: str) -> ClientProof:
    if kind != assertions.ASSERTION_TYPE:
        raise OAuthRefused("invalid_request", reason="assertion_type_unknown")
    try:
        client_id = assertions.client_id_in(assertion)
    except Unauthenticated as bad:
        raise OAuthRefused("invalid_client", reason=bad.reason) from bad
    return ClientProof(method="private_key_jwt", client_id=client_id, assertion=assertion)


def new_secret(account_id: str) -> Secret:
    """A client secret: 256 random bits, recognisable by secret scanners."""
    return tickets.mint(tickets.Kind.CLIENT_SECRET, account_id)


def digest(secret: Secret) -> str:
    """The stored form of a secret, under the portal's secret key."""
    return _digest(secret, settings.SECRET_KEY)


def holds(secret: Secret, stored: str) -> bool:
    """Whether this is the secret behind a stored digest, in constant time. What is stored is never itself a secret."""
    keys = [str(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    found = [hmac.compare_digest(_digest(secret, key), stored or _DUMMY) for key in keys]
    return bool(stored) and any(found)


def _digest(secret: Secret, key: str) -> str:
    mac = hmac.new(key.encode(), _SALT + secret.reveal().encode(), hashlib.sha256)
    return f"hmac-sha256${mac.hexdigest()}"
