"""AWS Signature Version 4, the verifying side. Pure: no database, no Django, the clock is an argument.

Two steps, because the key must be looked up in between:

    parsed = parse(request)                      # grammar; names the access key
    verify(parsed, request, signing_key, now=…)  # clock window, canonical request, constant-time compare

Every failure of proof is `Unauthenticated` with one public sentence; only `reason` differs, and it goes
to the audit trail. Nothing here reads the body as anything but bytes.

Accepted: header signatures with long-lived keys over the whole body. Refused on purpose: presigned
queries, unsigned and streamed payloads, temporary credentials (the portal issues none), other services.
Any region is accepted and handed back: it is a label of the caller's, which the portal echoes in ARNs.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import NamedTuple

from apps.authn.sigv4_canonical import canonical_path, canonical_query, carries_query_signature, trimmed
from apps.core.errors import NotSupported, Unauthenticated, Unreadable
from apps.core.secret import Secret

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "bedrock-agentcore"
STS = "sts"
TERMINATOR = "aws4_request"
WINDOW_S = 300
"""How far the signer's clock may be off, either way, in seconds."""

_MAX_AUTHORIZATION_CHARS = 4096
_authorization = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^\s,=]{1,512}), ?SignedHeaders=([^\s,=]{1,2048}), ?Signature=([0-9a-f]{64})"
).fullmatch
_access_key_id = re.compile(r"[A-Za-z0-9_]{4,128}").fullmatch
_region = re.compile(r"[A-Za-z0-9-]{1,64}").fullmatch
_amz_date = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z").fullmatch
_sha256_hex = re.compile(r"[0-9a-f]{64}").fullmatch

# Headers of which a second copy is an attack: one party would read the first, another the last (T031).
_SINGLE = frozenset({"authorization", "host", "date", "content-type", "content-length", "content-encoding"})
_SINGLE_PREFIXES = ("x-amz-", "amz-sdk-", "x-portal-")
# A header of these families takes part in the meaning of the request, so it must be covered.
_MUST_BE_SIGNED_PREFIXES = ("x-amz-", "x-portal-")


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as it was on the wire.

    Attributes:
        method: the HTTP method, upper case.
        raw_path: the path of the request target, still percent-encoded, without the query.
        raw_query: what follows the first `?`, still encoded; empty if there was none.
        headers: every header line received, duplicates kept, in order.
        body: the body bytes, after transfer coding, before any content decoding.
    """

    method: str
    raw_path: str
    raw_query: str
    headers: list[tuple[str, str]]
    body: bytes


class ParsedAuthorization(NamedTuple):
    """What the caller claims. Nothing in it is proven until `verify` has returned.

    `date` is the day of the credential scope, `amz_date` the signing time as sent and `signed_at` the same,
    read (UTC). `header_block` is the canonical text of the signed headers.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    amz_date: str
    signed_at: datetime
    declared_payload_hash: str | None
    header_block: str

    def __repr__(self) -> str:
        # A signature is good for five minutes; it does not belong in a log line.
        return f"ParsedAuthorization({self.access_key_id}/{self.date}/{self.region}/{self.service})"


def parse(request: RawRequest, *, service: str = SERVICE) -> ParsedAuthorization:
    """Read the proof that a request carries, by a strict grammar.

    `service` is whose calls are taken here: a signature for one service is none for another.

    Raises:
        Unreadable: `query_auth_not_supported`, `duplicate_header`. The client must be changed.
        NotSupported: `sts_elsewhere`. An STS call was sent to a path of another service.
        Unauthenticated: `missing_authorization`, `malformed_authorization`, `scope_invalid`,
            `session_token_not_supported`, `date_malformed`, `date_conflict`, `scope_date_mismatch`,
            `sigv4_incomplete`, `unsupported_payload`, `payload_hash_malformed`.
    """
    if request.raw_query and carries_query_signature(request.raw_query):
        raise Unreadable(
            "Signatures in the query string are not accepted here. Sign with the Authorization header.",
            reason="query_auth_not_supported",
        )
    headers = _collect(request.headers)
    if "x-amz-security-token" in headers:
        raise Unauthenticated(reason="session_token_not_supported")
    authorization = headers.get("authorization")
    if authorization is None:
        raise Unauthenticated(reason="missing_authorization")
    if len(authorization) > _MAX_AUTHORIZATION_CHARS:
        raise Unauthenticated(reason="malformed_authorization", private="too long")
    match = _authorization(authorization)
    if match is None:
        raise Unauthenticated(reason="malformed_authorization")
    credential, names, signature = match.groups()
    access_key_id, date, region = _scope(credential, service)
    amz_date, signed_at = _signing_time(headers, date)
    signed_headers = _signed_headers(names, headers, has_body=bool(request.body))
    _refuse_repeats(request.headers, headers, signed_headers)
    return ParsedAuthorization(
        access_key_id=access_key_id,
        date=date,
        region=region,
        service=service,
        signed_headers=signed_headers,
        signature=signature,
        amz_date=amz_date,
        signed_at=signed_at,
        declared_payload_hash=_declared_payload_hash(headers),
        header_block="".join([f"{name}:{trimmed(headers[name])}\n" for name in signed_headers]),
    )


def verify(parsed: ParsedAuthorization, request: RawRequest, signing_key: bytes, *, now: datetime) -> None:
    """Prove that whoever holds the secret signed exactly this request within the last five minutes.

    Args:
        parsed: the result of `parse` for the same request.
        request: the request as received.
        signing_key: from `derive_signing_key`; for an unknown key id a dummy of the same length, so
            that both take the same time (T035).
        now: the current moment, timezone-aware.

    Raises:
        Unauthenticated: `clock_skew`, `payload_hash_mismatch`, `path_not_canonical`,
            `query_not_canonical`, `signature_mismatch`.
    """
    if abs((now - parsed.signed_at).total_seconds()) > WINDOW_S:
        raise Unauthenticated(reason="clock_skew")
    # Always over the bytes received: a declared hash is compared, never believed.
    payload_hash = sha256(request.body).hexdigest()
    if parsed.declared_payload_hash is not None and parsed.declared_payload_hash != payload_hash:
        raise Unauthenticated(reason="payload_hash_mismatch")
    canonical_request = (
        f"{request.method}\n{canonical_path(request.raw_path)}\n{canonical_query(request.raw_query)}\n"
        f"{parsed.header_block}\n{';'.join(parsed.signed_headers)}\n{payload_hash}"
    )
    digest = sha256(canonical_request.encode()).hexdigest()
    to_sign = f"{ALGORITHM}\n{parsed.amz_date}\n{parsed.date}/{parsed.region}/{parsed.service}/{TERMINATOR}\n{digest}"
    expected = hmac.digest(signing_key, to_sign.encode(), "sha256")
    if not hmac.compare_digest(expected, bytes.fromhex(parsed.signature)):
        raise Unauthenticated(reason="signature_mismatch")


def derive_signing_key(secret: Secret, date: str, region: str, service: str) -> bytes:
    """The key for one day, region and service. Cache this instead of the secret: a leak of it ages out.

    Args:
        secret: the secret access key.
        date: `yyyymmdd`, UTC, as in the credential scope.
    """
    key = hmac.digest(b"AWS4" + secret.reveal().encode(), date.encode(), "sha256")
    for part in (region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature_fingerprint(parsed: ParsedAuthorization) -> str:
    """A name for this one signature, safe to keep: 64 hex digits from which it cannot be recovered.

    Equal fingerprints mean the same signed request, byte for byte in everything the signature covers.
    """
    return sha256(
        f"sigv4\n{parsed.access_key_id}\n{parsed.amz_date}\n{parsed.region}\n{parsed.signature}".encode()
    ).hexdigest()


def _collect(lines: list[tuple[str, str]]) -> dict[str, str]:
    """Header lines by lower-case name. Repeats of a header that matters to anyone are refused at once."""
    headers = {name.lower(): value for name, value in lines}
    if len(headers) != len(lines):
        seen: set[str] = set()
        for name, _ in lines:
            lower = name.lower()
            if lower in seen and (lower in _SINGLE or lower.startswith(_SINGLE_PREFIXES)):
                raise _duplicate(lower)
            seen.add(lower)
    return headers


def _duplicate(name: str) -> Unreadable:
    return Unreadable(f"The header {name} was sent more than once.", reason="duplicate_header")


def _refuse_repeats(lines: list[tuple[str, str]], headers: Mapping[str, str], signed: tuple[str, ...]) -> None:
    """A signed header must be single too, or the copy that was not hashed could be the one that is read."""
    if len(headers) == len(lines):
        return
    seen: set[str] = set()
    for name, _ in lines:
        lower = name.lower()
        if lower in seen and lower in signed:
            raise _duplicate(lower)
        seen.add(lower)


def _scope(credential: str, wanted: str) -> tuple[str, str, str]:
    parts = credential.split("/")
    if len(parts) != 5:
        raise Unauthenticated(reason="scope_invalid", private=f"{len(parts)} parts")
    access_key_id, date, region, service, terminator = parts
    if terminator != TERMINATOR or _region(region) is None or _access_key_id(access_key_id) is None:
        raise Unauthenticated(reason="scope_invalid")
    if service == STS and wanted != STS:
        raise NotSupported("This is no path of AWS STS. Its calls go to the endpoint itself.", reason="sts_elsewhere")
    if service != wanted:
        raise Unauthenticated(reason="scope_invalid", private="service")
    return access_key_id, date, region


def _signing_time(headers: Mapping[str, str], scope_date: str) -> tuple[str, datetime]:
    text = headers.get("x-amz-date", "")
    match = _amz_date(text)
    if match is None:
        raise Unauthenticated(reason="date_malformed")
    year, month, day, hour, minute, second = match.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError as error:
        raise Unauthenticated(reason="date_malformed") from error
    if text[:8] != scope_date:
        raise Unauthenticated(reason="scope_date_mismatch")
    if "date" in headers and not _same_moment(headers["date"], moment):
        raise Unauthenticated(reason="date_conflict")
    return text, moment


def _same_moment(http_date: str, moment: datetime) -> bool:
    try:
        other = parsedate_to_datetime(http_date)
    except ValueError:
        return False
    return other.tzinfo is not None and other == moment


def _signed_headers(names: str, headers: Mapping[str, str], *, has_body: bool) -> tuple[str, ...]:
    """The list of covered headers, if it is well formed and covers what it must (T026)."""
    signed = tuple(names.split(";"))
    if list(signed) != sorted(set(signed)):
        raise Unauthenticated(reason="sigv4_incomplete", private="list not sorted, or a name twice")
    for name in signed:
        # `headers` has lower-case keys, so a name in upper case is absent as well.
        if name not in headers:
            raise Unauthenticated(reason="sigv4_incomplete", private="names a header that was not sent")
    # Sent without any, a body has no media type that somebody could have exchanged; operations then refuse it.
    typed = has_body and "content-type" in headers
    if "host" not in signed or "x-amz-date" not in signed or (typed and "content-type" not in signed):
        raise Unauthenticated(reason="sigv4_incomplete", private="host, x-amz-date or content-type not covered")
    for name in headers:
        if name.startswith(_MUST_BE_SIGNED_PREFIXES) and name not in signed:
            raise Unauthenticated(reason="sigv4_incomplete", private="an x-amz header is not covered")
    return signed


def _declared_payload_hash(headers: Mapping[str, str]) -> str | None:
    declared = headers.get("x-amz-content-sha256")
    if declared is None:
        return None
    if declared == "UNSIGNED-PAYLOAD" or declared.startswith("STREAMING-"):
        raise Unauthenticated(reason="unsupported_payload")
    if _sha256_hex(declared) is None:
        raise Unauthenticated(reason="payload_hash_malformed")
    return declared
