"""Where secrets rest: sealed bytes and the wrapped keys they are sealed under. No table holds a clear secret."""

from __future__ import annotations

import uuid

from django.db import models

from apps.tenants.models import TenantOwned


class TenantKey(TenantOwned):
    """A version of the tenant's key-encryption key, wrapped by the key ring."""

    class State(models.TextChoices):
        ACTIVE = "active", "active"
        RETIRING = "retiring", "retiring"

    version = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.ACTIVE)
    ring = models.CharField(max_length=200, help_text="which key of which key ring wraps it")
    wrapped = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "version"], name="tenant_key_version"),
            models.UniqueConstraint(
                fields=["tenant"], condition=models.Q(state="active"), name="tenant_key_one_active"
            ),
        ]

    def __str__(self) -> str:
        return f"key version {self.version}"


class SealedSecret(TenantOwned):
    """One sealed value. Its address (table, row, column, version) is bound into the seal."""

    table = models.CharField(max_length=63)
    row_id = models.UUIDField()
    column = models.CharField(max_length=63)
    version = models.PositiveIntegerField(default=1)
    purpose = models.CharField(max_length=63)
    key_version = models.PositiveIntegerField()
    blob = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "table", "row_id", "column"], name="sealed_secret_address")
        ]
        indexes = [models.Index(fields=["tenant", "key_version"], name="sealed_secret_key_version")]

    def __str__(self) -> str:
        return f"sealed {self.purpose}"


class KeyRingCanary(models.Model):
    """A known value under the key ring: a ring that cannot open it does not fit this database."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    ring = models.CharField(max_length=200, unique=True)
    blob = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
