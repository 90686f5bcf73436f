"""What must hold before the first request: the right database role, and keys that fit the data."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from apps.tenants.privileges import role_problem
from apps.vault.ring import ensure_ring_fits


def refuse_unsafe_start() -> None:
    """Raises ImproperlyConfigured, or Unavailable when the key ring does not fit; the operator acts."""
    problem = role_problem()
    if problem:
        raise ImproperlyConfigured(problem)
    ensure_ring_fits()
    connection.close()
