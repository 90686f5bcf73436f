"""Celery tasks: entrypoints too. They take ids or nothing, may run twice, and call the broker."""

from __future__ import annotations

from celery import shared_task

from apps.broker.authorization_server import signing_keys
from apps.broker.upkeep import housekeeping


@shared_task(name="portal.housekeeping", ignore_result=True)
def sweep_housekeeping() -> None:
    """Clean tenants that are due, until none is left."""
    while housekeeping.sweep():
        pass


@shared_task(name="portal.signing_keys", ignore_result=True)
def rotate_signing_keys() -> None:
    """Rotate the signing keys that are due, until none is left."""
    while signing_keys.sweep():
        pass
