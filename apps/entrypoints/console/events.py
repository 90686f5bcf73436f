"""How addresses name an event: by time and id, which is how the partitioned trail is keyed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from apps.audit.models import AuditRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def event_key(event: AuditRecord) -> str:
    """Microseconds since 1970 and the id. The time is no secret: who may read the event sees it on its page."""
    return f"{(event.at - _EPOCH) // timedelta(microseconds=1)}.{event.id}"


def read_event_key(text: str) -> tuple[datetime, UUID] | None:
    """The time (UTC) and the id, None for anything `event_key` does not write."""
    micros, _, row_id = text.partition(".")
    if not (micros.isascii() and micros.isdigit() and len(micros) <= 17):
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(micros)), UUID(row_id)
    except (ValueError, OverflowError):
        return None
