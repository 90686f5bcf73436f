"""What happened. Append-only: the application role may insert and read, triggers refuse the rest."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Func

from apps.tenants.models import TenantOwned


class ClockTimestamp(Func):
    """The moment of the insert, not of the transaction's begin."""

    template = "clock_timestamp()"
    output_field = models.DateTimeField()


class AuditRecord(TenantOwned):
    """One call: who, on whose behalf, what, with which outcome.

    `id` is random; `at` is UTC and set by the database; `xid` is the inserting transaction (the sealer reads
    only below the snapshot horizon) and `digest` the SHA-256 of the record's content, both set in the database.
    People appear as per-tenant keyed pseudonyms.
    """

    class Outcome(models.TextChoices):
        ALLOWED = "allowed", "allowed"
        DENIED = "denied", "denied"
        FAILED = "failed", "failed"
        INTENT = "intent", "intent"

    at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)
    action = models.CharField(max_length=80)
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    reason = models.CharField(max_length=80, blank=True)
    actor_kind = models.CharField(max_length=20)
    actor = models.CharField(max_length=255)
    proof = models.CharField(max_length=40, blank=True)
    agent_id = models.UUIDField(null=True)
    agent_name = models.CharField(max_length=255, blank=True)
    on_behalf_of = models.CharField(max_length=80, blank=True, help_text="pseudonym of the person, or self")
    provider_name = models.CharField(max_length=128, blank=True)
    connection_id = models.UUIDField(null=True)
    details = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64)
    source_ip = models.GenericIPAddressField(null=True)
    digest = models.BinaryField(editable=False, null=True)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name = "event"
        verbose_name_plural = "events"

    def __str__(self) -> str:
        return f"{self.action} {self.outcome}"


class OperatorRecord(models.Model):
    """A failure before a tenant is known: unknown access keys, garbage, foreign callbacks."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)
    action = models.CharField(max_length=80)
    reason = models.CharField(max_length=80)
    details = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64)
    source_ip = models.GenericIPAddressField(null=True)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["-at"], name="operator_record_at")]

    def __str__(self) -> str:
        return f"{self.action} {self.reason}"
