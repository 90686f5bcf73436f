"""The operators' stream, for gates that turn somebody away before a tenant is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.audit.recorder import write_operator


def record(
    *, action: str, reason: str, request_id: str, source_ip: str | None, details: Mapping[str, Any] | None = None
) -> None:
    """Write one record. Raises DatabaseError if it cannot be written: the request then fails with 500, not open."""
    write_operator(action=action, reason=reason, request_id=request_id, source_ip=source_ip, details=details)
