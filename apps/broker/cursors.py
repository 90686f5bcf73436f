"""Opaque list cursors: authenticated, typed and bound to their tenant (Hydra GHSA-r9w3-57w2-gch2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
) -> Page:
    """One page of a list in order of name. `fetch(after, limit)` gives one row more than asked where there is more."""
    rows = fetch(read(tenant_id, kind, cursor) if cursor else "", limit)
    shown = rows[:limit]
    more = write(tenant_id, kind, shown[-1].name) if len(rows) > limit else None
    return Page(items=tuple(show(row) for row in shown), cursor=more)
