"""Writes of credential providers, inside a tenant scope."""

from __future__ import annotations

import secrets
from typing import Any

from django.db import IntegrityError, transaction

from apps.core.errors import Conflict
from apps.providers.models import Provider

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_callback_id(account_id: str) -> str:
    """The tenant's account and 32 random characters: unguessable, and unique per tenant and provider."""
    return account_id + "".join(secrets.choice(_ALPHABET) for _ in range(32))


def create(**fields: Any) -> Provider:
    """Raises Conflict when the name is taken in this tenant for this kind."""
    try:
        with transaction.atomic():
            made: Provider = Provider.objects.create(**fields)
            return made
    except IntegrityError as taken:
        raise Conflict("A credential provider with this name exists already.", reason="name_taken") from taken
