"""The one writer of audit records. Import it from `broker.work` only (import contract "One writer")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from apps.audit.catalogue import require
from apps.audit.models import AuditRecord, OperatorRecord


@dataclass(slots=True, kw_only=True)
class Entry:
    """What a record says. `on_behalf_of` is a pseudonym; `details` holds identifiers and numbers, no secrets."""

    action: str
    actor_kind: str
    actor: str
    proof: str = ""
    outcome: str = "allowed"
    reason: str = ""
    agent_id: UUID | None = None
    agent_name: str = ""
    on_behalf_of: str = ""
    provider_name: str = ""
    connection_id: UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    request_id: str
    source_ip: str | None = None


def _printable(text: str, limit: int) -> str:
    """Cut to length and drop what PostgreSQL text cannot hold; the caller may be hostile."""
    return text.replace("\x00", "\\0").encode("utf-8", "replace").decode()[:limit]


def write(entry: Entry) -> None:
    """Append to the open tenant's trail. It commits, or fails, with the transaction it is in."""
    details = dict(entry.details)
    json.dumps(details)  # a Secret, or anything else that is not plain data, stops here
    AuditRecord.objects.bulk_create(
        [
            AuditRecord(
                action=require(entry.action),
                outcome=entry.outcome,
                reason=_printable(entry.reason, 80),
                actor_kind=entry.actor_kind,
                actor=_printable(entry.actor, 255),
                proof=entry.proof,
                agent_id=entry.agent_id,
                agent_name=_printable(entry.agent_name, 255),
                on_behalf_of=entry.on_behalf_of,
                provider_name=_printable(entry.provider_name, 128),
                connection_id=entry.connection_id,
                details=details,
                request_id=entry.request_id,
                source_ip=entry.source_ip,
            )
        ]
    )


def write_operator(
    *, action: str, reason: str, request_id: str, source_ip: str | None, details: Mapping[str, Any] | None = None
) -> None:
    """Append to the operators' stream: the tenant is not known, or not proven."""
    OperatorRecord.objects.bulk_create(
        [
            OperatorRecord(
                action=require(action),
                reason=_printable(reason, 80),
                details=dict(details or {}),
                request_id=request_id,
                source_ip=source_ip,
            )
        ]
    )
