"""Opaque list cursors: authenticated, typed and bound to their tenant (Hydra GHSA-r9w3-57w2-gch2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core import signing

from apps.broker.contracts import Page
from apps.core.errors import Invalid

_SALT = "portal.cursor.v1"


def write(tenant_id: UUID, kind: str, after: str) -> str:
    return signing.dumps({"t": str(tenant_id), "k": kind, "a": after}, salt=_SALT)


def read(tenant_id: UUID, kind: str, cursor: str) -> str:
    """The place to continue after. Raises Invalid for anything not made for this tenant and list."""
    try:
        data = signing.loads(cursor, salt=_SALT)
        if data["t"] != str(tenant_id) or data["k"] != kind or not isinstance(data["a"], str):
            raise signing.BadSignature
    except (signing.BadSignature, KeyError, TypeError, ValueError) as bad:
        raise Invalid.field(
            "cursor", "This page token is not valid. Start the list again without one.", reason="cursor_invalid"
        ) from bad
    return data["a"]


def paged(
    tenant_id: UUID,
    kind: str,
    *,
    cursor: str | None,
    limit: int,
    fetch: Callable[[str, int], Sequence[Any]],
    show: Callable[[Any], Any],
    place: Callable[[Any], str] = lambda row: str(row.name),
) -> Page:
    """One page of a list. `fetch(after, limit)` gives one row more than asked where there is more; `place` is what a
    row stands after in the list's order, by default its name."""
    rows = fetch(read(tenant_id, kind, cursor) if cursor else "", limit)
    shown = rows[:limit]
    more = write(tenant_id, kind, place(shown[-1])) if len(rows) > limit else None
    return Page(items=tuple(show(row) for row in shown), cursor=more)


def kind_of(name: str, **filters: Any) -> str:
    """The kind of a filtered list: a cursor continues only the question it was given for."""
    asked = json.dumps({key: str(value) for key, value in sorted(filters.items()) if value is not None})
    return f"{name}:{hashlib.sha256(asked.encode()).hexdigest()[:16]}"


def place_in_time(at: datetime, row_id: UUID) -> str:
    """A row's place in a list that runs backwards in time."""
    return f"{at.isoformat()}|{row_id}"


def moment_of(place: str) -> tuple[datetime, UUID]:
    """What `place_in_time` wrote. It came out of an authenticated cursor, so it has that form."""
    at, _, row_id = place.partition("|")
    return datetime.fromisoformat(at), UUID(row_id)
