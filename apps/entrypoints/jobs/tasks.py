"""Celery tasks: entrypoints too. They take ids or nothing, may run twice, and call the broker."""

from __future__ import annotations

from celery import shared_task

from apps.broker.upkeep import housekeeping


@shared_task(name="portal.housekeeping", ignore_result=True)
def sweep_housekeeping() -> None:
    """Clean tenants that are due, until none is left."""
    while housekeeping.sweep():
        pass
