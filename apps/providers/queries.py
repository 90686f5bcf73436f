"""Reads of credential providers, inside a tenant scope."""

from __future__ import annotations

from apps.core.errors import NotFound
from apps.providers.models import Provider


def by_name(kind: str, name: str, *, lock: bool = False) -> Provider:
    """Raises NotFound."""
    rows = Provider.objects.select_for_update() if lock else Provider.objects
    row: Provider | None = rows.filter(kind=kind, name=name).first()
    if row is None:
        raise NotFound("There is no such credential provider.", reason="provider_not_found")
    return row


def page(kind: str, *, after: str, limit: int) -> list[Provider]:
    """Providers in order of name, after this name, one more than asked for when there is more."""
    return list(Provider.objects.filter(kind=kind, name__gt=after).order_by("name")[: limit + 1])
