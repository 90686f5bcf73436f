"""One effect per request: what came back the first time comes back again (draft-ietf-httpapi-idempotency-key-header).

Two things name a request. The client's own `Idempotency-Key`, good for 24 hours; and, on signed requests, the
signature, so that a captured request cannot be sent a second time inside its five minutes. Answers rest sealed in the
vault: one may hold a secret that is shown once.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from apps.authn.caller import Caller
from apps.authn.models import AnsweredRequest
from apps.broker.work import Work
from apps.core.errors import Conflict, Invalid, PortalError, Throttled
from apps.core.secret import Secret
from apps.tenants.scope import tenant_scope
from apps.vault import storing
from apps.vault.opening import open_at

KEPT = timedelta(hours=24)
# A refusal had no effect; it is repeated only to whoever retries at once.
REFUSALS_KEPT = timedelta(minutes=10)
_ABANDONED = timedelta(seconds=30)
_ON_THE_WIRE = timedelta(minutes=15)
_TABLE, _COLUMN, _PURPOSE = "authn_answeredrequest", "answer", "answered-request"
_key = re.compile(r"[\x21-\x7e]{1,255}").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered. `body` is JSON text, empty for none; `replayed` says that nothing was done this time."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How a request is recognised. `digest` is the SHA-256 of what it asks; `signature` is None unless signed."""

    key: str | None
    signature: str | None
    digest: bytes
    operation: str


def checked_key(text: str) -> str:
    """An `Idempotency-Key` as sent. Raises Invalid: 1 to 255 printable ASCII characters without blanks."""
    if _key(text) is None:
        raise Invalid.field(
            "Idempotency-Key",
            "An idempotency key is 1 to 255 printable ASCII characters without blanks; a UUID is a good one.",
            reason="idempotency_key_malformed",
        )
    return text


def once(caller: Caller, names: Names, *, now: datetime, produce: Callable[[], Answer]) -> Answer:
    """Do what was asked, unless it was done before: then answer as then.

    Raises Conflict while the first call is still running, Invalid when the key was used for something else,
    Throttled when the same signature comes back under another key, Unauthenticated for a caller that ended meanwhile.
    """
    prints = _prints(caller, names)
    if not prints:
        return produce()
    try:
        with tenant_scope(caller.tenant_id):
            kept = _claim(caller, prints, names, now)
    except PortalError as refused:
        # After the scope, or the record would go with it.
        work = Work("request.rejected", caller)
        work.note(operation=names.operation)
        work.refuse(refused)
        raise
    if kept is not None:
        return kept
    answer: Answer | None = None
    try:
        answer = produce()
    finally:
        with tenant_scope(caller.tenant_id):
            mine = list(AnsweredRequest.objects.filter(fingerprint__in=prints))
            # A 5xx, or an exception, is not an answer: the client may try again.
            if answer is None or answer.status >= 500 or answer.status in (401, 429):
                _remove(mine)
            else:
                for row in mine:
                    _keep(row, answer)
    return answer


def forget_old(now: datetime) -> int:
    """Remove what is no longer repeated, in the open tenant. Returns how many."""
    old = AnsweredRequest.objects.filter(request_digest__isnull=True, created_at__lt=now - _ON_THE_WIRE)
    removed: int = old.delete()[0]
    return removed + _remove(
        list(AnsweredRequest.objects.filter(request_digest__isnull=False, created_at__lt=now - KEPT))
    )


def _claim(caller: Caller, prints: list[bytes], names: Names, now: datetime) -> Answer | None:
    """The first answer if there is one; None: this is the first call, and its place is taken."""
    rows = list(AnsweredRequest.objects.select_for_update().filter(fingerprint__in=prints))
    fresh = [row for row in rows if row.created_at > now - (REFUSALS_KEPT if (row.status or 0) >= 400 else KEPT)]
    by_key = [row for row in fresh if names.key is not None and bytes(row.fingerprint) == prints[0]]
    if fresh and names.key is not None and not by_key:
        raise Throttled(
            "This signature was used already. Sign the request again.", reason="signature_repeated", retry_after_s=1.0
        )
    if any(bytes(row.request_digest or b"") != names.digest for row in by_key):
        raise Invalid.field(
            "Idempotency-Key",
            "This idempotency key was used for another request. Use a new one.",
            reason="idempotency_key_reused",
        )
    done = next((row for row in fresh if row.status is not None), None)
    if done is not None:
        work = Work("request.rejected", caller)
        if ended := work.ended():
            raise ended
        work.also("request.rejected", outcome="denied", reason="repeated_request", operation=names.operation)
        return _kept(done)
    running = Conflict("The same request is being answered already. Try again in a moment.", reason="request_running")
    if any(row.created_at > now - _ABANDONED for row in fresh):
        raise running
    _remove(rows)
    try:
        with transaction.atomic():
            AnsweredRequest.objects.bulk_create(
                AnsweredRequest(fingerprint=print_, request_digest=names.digest) for print_ in prints
            )
    except IntegrityError as raced:
        raise running from raced
    return None


def _keep(row: AnsweredRequest, answer: Answer) -> None:
    sealed = json.dumps({"headers": dict(answer.headers), "body": answer.body})
    storing.put(Secret(sealed), table=_TABLE, row_id=row.id, column=_COLUMN, purpose=_PURPOSE)
    row.status = answer.status
    row.save(update_fields=["status"])


def _kept(row: AnsweredRequest) -> Answer:
    sealed = open_at(table=_TABLE, row_id=row.id, column=_COLUMN)
    if sealed is None:
        raise Conflict("The first answer is gone. Look whether it took effect.", reason="answer_gone")
    found = json.loads(sealed.reveal())
    return Answer(status=row.status or 500, body=found["body"], headers=found["headers"], replayed=True)


def _remove(rows: list[AnsweredRequest]) -> int:
    ids = [row.id for row in rows]
    storing.forget(table=_TABLE, row_ids=ids)
    removed: int = AnsweredRequest.objects.filter(id__in=ids).delete()[0]
    return removed


def _prints(caller: Caller, names: Names) -> list[bytes]:
    prints = []
    if names.key is not None:
        prints.append(_digest("rest-key", caller.kind.value, caller.name, caller.proof, caller.client_id, names.key))
    if names.signature is not None:
        prints.append(_digest("rest-sig", caller.name, names.signature))
    return prints


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()
