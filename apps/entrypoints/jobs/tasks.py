"""Celery tasks: entrypoints too. They take ids, may run twice, and call the broker."""

from __future__ import annotations
