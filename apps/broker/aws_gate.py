"""The gate of signed requests: prove the caller, and answer a retried change with its first answer."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from apps.audit import operators
from apps.authn import sigv4, sigv4_keys
from apps.authn.caller import Caller, CallerKind
from apps.authn.models import AnsweredRequest
from apps.authn.rate_limits import RateLimited, counters
from apps.authn.sigv4 import ParsedAuthorization, RawRequest
from apps.broker.work import Work
from apps.core.errors import Conflict, PortalError, SealBroken, Throttled, Unauthenticated
from apps.tenants.scope import tenant_scope

REPLAY_WINDOW = timedelta(minutes=10)
_ABANDONED = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Signed:
    """A proven caller and the signature that proved it."""

    caller: Caller
    parsed: ParsedAuthorization


def authenticate(
    request: RawRequest,
    *,
    now: datetime,
    request_id: str,
    source_ip: str | None,
    slug: str | None = None,
    service: str = sigv4.SERVICE,
) -> Signed:
    """Prove who signed this request.

    An unknown key does the same work against a dummy key and gets the same answer. A `/t/<slug>` prefix must
    agree with the credential. Raises Unauthenticated, Unreadable or NotSupported; each is recorded once: in the
    tenant's trail if the key names one, else in the operators' stream.
    """
    parsed: ParsedAuthorization | None = None
    found: sigv4_keys.SigningKey | None = None
    try:
        if source_ip is not None:
            counters.hit("address", source_ip)
        parsed = sigv4.parse(request, service=service)
        found = _signing_key(parsed, request_id, source_ip)
        key = found.key if found else sigv4_keys.dummy_signing_key(parsed.date, parsed.region, parsed.service)
        sigv4.verify(parsed, request, key, now=now)
        if found is None:
            raise Unauthenticated(reason="access_key_unknown")
        if slug is not None and slug != found.slug:
            raise Unauthenticated(reason="tenant_prefix_mismatch")
        counters.hit("credential", parsed.access_key_id)
        counters.hit("tenant", str(found.tenant_id))
    except PortalError as refused:
        _record(refused, parsed, found, request_id, source_ip)
        raise
    return Signed(_caller(parsed, found, request_id, source_ip), parsed)


def _signing_key(parsed: ParsedAuthorization, request_id: str, source_ip: str | None) -> sigv4_keys.SigningKey | None:
    """The key that would have signed this. One whose secret does not open is told from an unknown one in the
    operators' stream only: nobody has proven anything yet."""
    try:
        return sigv4_keys.signing_key(
            parsed.access_key_id, date=parsed.date, region=parsed.region, service=parsed.service
        )
    except SealBroken as broken:
        operators.record(
            action="vault.integrity_failure",
            reason=broken.reason,
            request_id=request_id,
            source_ip=source_ip,
            details={"access_key_id": parsed.access_key_id[:32]},
        )
        return None


def _caller(
    parsed: ParsedAuthorization, found: sigv4_keys.SigningKey, request_id: str, source_ip: str | None
) -> Caller:
    return Caller(
        tenant_id=found.tenant_id,
        account_id=found.account_id,
        kind=CallerKind.ACCESS_KEY,
        name=parsed.access_key_id,
        row_id=found.row_id,
        proof="sigv4",
        request_id=request_id,
        source_ip=source_ip,
        region=parsed.region,
    )


def _record(
    refused: PortalError,
    parsed: ParsedAuthorization | None,
    found: sigv4_keys.SigningKey | None,
    request_id: str,
    source_ip: str | None,
) -> None:
    if isinstance(refused, RateLimited) and not refused.first:
        return
    if parsed is not None and found is not None:
        Work("authn.failure", _caller(parsed, found, request_id, source_ip)).refuse(refused)
        return
    operators.record(
        action="authn.failure",
        reason=refused.reason,
        request_id=request_id,
        source_ip=source_ip,
        details={"access_key_id": parsed.access_key_id[:32]} if parsed else {},
    )


def turned_away(refused: PortalError, *, request_id: str, source_ip: str | None) -> PortalError:
    """Record a request that was refused before anybody looked at who signed it. Returns the refusal to answer with."""
    try:
        if source_ip is not None:
            counters.hit("address", source_ip)
    except RateLimited as limited:
        if not limited.first:
            return limited
        refused = limited
    operators.record(
        action="request.rejected", reason=refused.reason, request_id=request_id, source_ip=source_ip, details={}
    )
    return refused


def rejection(caller: Caller, refused: PortalError, *, operation: str) -> PortalError:
    """Record a proven caller's request that could not be read, decoded or routed; no work is done.

    Returns the refusal to answer with: a caller whose key has ended meanwhile hears only that.
    """
    work = Work("request.rejected", caller)
    work.note(operation=operation)
    answer = work.ended() or refused
    work.refuse(answer)
    return answer


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    error: str = ""


def once(
    signed: Signed, request: RawRequest, *, operation: str, now: datetime, produce: Callable[[], Answer]
) -> Answer:
    """Answer a change; its repetition within ten minutes gets the first answer and has no second effect.

    Clients retry with a new signature but the same `amz-sdk-invocation-id`; a captured request repeats the
    signature. Raises Conflict while the first call is still running, Throttled for a signature that comes back under
    another invocation id, Unauthenticated for a key that has ended since the first call.
    """
    prints = _fingerprints(signed, request, operation)
    tenant_id = signed.caller.tenant_id
    try:
        with tenant_scope(tenant_id):
            kept = _claim(prints, signed, operation, now)
    except PortalError as refused:
        # After the scope, or the record would go with it.
        work = Work("request.rejected", signed.caller)
        work.note(operation=operation)
        work.refuse(refused)
        raise
    if kept is not None:
        return kept
    answer: Answer | None = None
    try:
        answer = produce()
    finally:
        with tenant_scope(tenant_id):
            mine = AnsweredRequest.objects.filter(fingerprint__in=prints)
            # A 5xx, or an exception, is not an answer: the client may try again.
            if answer is None or answer.status >= 500:
                mine.delete()
            else:
                mine.update(status=answer.status, body=answer.body, error=answer.error)
    return answer


def _claim(prints: list[bytes], signed: Signed, operation: str, now: datetime) -> Answer | None:
    """The first answer if there is one; None: this is the first call, and its place is taken."""
    rows = list(AnsweredRequest.objects.select_for_update().filter(fingerprint__in=prints))
    fresh = [row for row in rows if row.created_at > now - REPLAY_WINDOW]
    if len(prints) > 1 and fresh and not any(bytes(row.fingerprint) == prints[1] for row in fresh):
        # A signature is good for one second, and clients do not sign the invocation id: this may be a second call
        # that happens to look the same, or a replay under another id. Neither may get the first call's answer;
        # a client signs anew and comes back (ADR 0012).
        raise Throttled(
            "Two identical requests in one second cannot be told apart. Try again.",
            reason="signature_repeated",
            retry_after_s=1.0,
        )
    done = next((row for row in fresh if row.status is not None), None)
    if done is not None:
        work = Work("request.rejected", signed.caller)
        if ended := work.ended():
            raise ended
        work.also("request.rejected", outcome="denied", reason="repeated_request", operation=operation)
        return Answer(status=done.status or 500, body=bytes(done.body), error=done.error)
    running = Conflict("The same request is being answered already. Try again in a moment.", reason="request_running")
    if any(row.created_at > now - _ABANDONED for row in fresh):
        raise running
    AnsweredRequest.objects.filter(id__in=[row.id for row in rows]).delete()
    try:
        with transaction.atomic():
            AnsweredRequest.objects.bulk_create(AnsweredRequest(fingerprint=print_) for print_ in prints)
    except IntegrityError as raced:
        raise running from raced
    return None


def _fingerprints(signed: Signed, request: RawRequest, operation: str) -> list[bytes]:
    key = signed.caller.name
    prints = [_digest("sig", key, sigv4.signature_fingerprint(signed.parsed))]
    invocation = next((v for n, v in request.headers if n.lower() == "amz-sdk-invocation-id"), "")
    if invocation:
        body = hashlib.sha256(request.body).hexdigest()
        prints.append(_digest("inv", key, operation, request.raw_path, request.raw_query, body, invocation[:200]))
    return prints


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()


def new_request_id() -> str:
    return str(uuid.uuid4())
