"""Is the process alive, and can it serve?"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse

from apps.audit import partitions
from apps.core.errors import PortalError
from apps.vault.ring import ensure_ring_fits, key_ring


def live(request: HttpRequest) -> JsonResponse:
    """Only says that the process answers."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """200 when tokens can be served. What only warns (`ADVISORY`) is reported, but stops nothing."""
    checks: dict[str, dict[str, Any]] = {}
    for name, check in CHECKS.items():
        started = time.perf_counter()
        problem = check()
        checks[name] = {
            "status": "ok" if problem is None else "failed",
            "ms": round((time.perf_counter() - started) * 1000, 1),
            **({"problem": problem} if problem else {}),
        }
    serving = all(entry["status"] == "ok" for name, entry in checks.items() if name not in ADVISORY)
    return JsonResponse({"status": "ok" if serving else "failed", "checks": checks}, status=200 if serving else 503)


def _database() -> str | None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connection.close()
        return "the database does not answer"
    return None


def _migrations() -> str | None:
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "the database does not answer"
    return f"{len(pending)} migrations are pending: run `manage.py migrate`" if pending else None


def _key_ring() -> str | None:
    try:
        key_ring()
        ensure_ring_fits()
    except PortalError as wrong:
        return wrong.public
    except (DatabaseError, OSError, ValueError):
        return "the key ring cannot be checked"
    return None


def _redis() -> str | None:
    try:
        cache.set("portal-ready", 1, 5)
    except Exception as gone:
        return f"Redis does not answer ({type(gone).__name__}); background work waits"
    return None


def _audit_partitions() -> str | None:
    try:
        return partitions.problem()
    except DatabaseError:
        return "the partitions of the audit trail cannot be counted"


CHECKS: dict[str, Callable[[], str | None]] = {
    "database": _database,
    "migrations": _migrations,
    "key_ring": _key_ring,
    "audit_partitions": _audit_partitions,
    "redis": _redis,
}
# Somebody should act, but tokens are served all the same.
ADVISORY = frozenset({"audit_partitions", "redis"})
