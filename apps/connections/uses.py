"""Counted releases of a consent. One update of one row: exact whoever else counts at the moment, never below zero."""

from __future__ import annotations

from enum import Enum
from uuid import UUID

from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Least

from apps.connections.models import Connection


class UsedUp(Enum):
    USED_UP = "used_up"


USED_UP = UsedUp.USED_UP


def take(connection_id: UUID, *, most: int | None) -> int | UsedUp | None:
    """Count one release, in the transaction that records it. How many are left; None where nobody counts.

    `most` is today's limit: a consent that was not counted, or had more left, has this many from now on. The update
    locks the row and looks at what it finds there, so of many releases at once only as many go through as were left.
    """
    rows = Connection.objects.filter(id=connection_id)
    if most is None:
        done = rows.filter(uses_left__gt=0).update(uses_left=F("uses_left") - 1)
    else:
        left = Least(Coalesce(F("uses_left"), Value(most)), Value(most))
        done = rows.filter(Q(uses_left=None) | Q(uses_left__gt=0)).update(uses_left=left - 1) if most > 0 else 0
    found: int | None = rows.values_list("uses_left", flat=True).first()
    if not done and (found is not None or most is not None):
        return USED_UP
    return found
