"""Monthly partitions of the trail: made ahead by the owner after every `migrate`, counted by everybody."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db import IntegrityError, connection, connections, transaction

from apps.tenants.privileges import app_role

MADE_AHEAD = 24
# Fewer months than this beyond the current one is a warning: somebody has to run `migrate` before they are over.
ENOUGH_AHEAD = 2


def make_after_migrate(sender: Any, using: str, **_: Any) -> None:
    """Make the partitions of this month and the coming ones. Runs as the owner only; idempotent.

    A month whose records lie in the default partition already cannot get one of its own any more; it is left
    there, where nothing is lost, and the later months are made all the same.
    """
    owner = connections[using]
    if owner.settings_dict["USER"] == app_role():
        return
    with owner.cursor() as cursor:
        cursor.execute("SELECT to_regproc('portal_audit_partitions') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return  # migrated backwards, to before the trail
        for step in range(MADE_AHEAD):
            try:
                with transaction.atomic(using=using):
                    cursor.execute(
                        "SELECT portal_audit_partitions((current_date + make_interval(months => %s))::date, 1)", [step]
                    )
            except IntegrityError:
                continue


def months_ahead() -> int:
    """How many whole months after the current one have a partition, without a gap; -1 if the current one has none.

    Raises DatabaseError.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_date, array(SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'audit_auditrecord'::regclass)"
        )
        today, parts = cursor.fetchone()
    months = 0
    while _name(today, months) in parts:
        months += 1
    return months - 1


def _name(today: date, ahead: int) -> str:
    years, month = divmod(today.month - 1 + ahead, 12)
    return f"audit_auditrecord_{today.year + years:04d}{month + 1:02d}"


def problem() -> str | None:
    """What the operator should know, None if enough months are ready. Raises DatabaseError."""
    ahead = months_ahead()
    if ahead >= ENOUGH_AHEAD:
        return None
    return (
        f"the audit trail has partitions for {max(ahead, 0)} more months only: run `manage.py migrate`, which makes "
        f"them for {MADE_AHEAD} months; without them records fall into a default partition, and lists get slow"
    )
