"""The directory of agents: each is a workload identity on the wire."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.tenants.models import TenantOwned


class Agent(TenantOwned):
    """A program with an identity of its own."""

    class Status(models.TextChoices):
        ACTIVE = "active", "active"
        SUSPENDED = "suspended", "suspended"

    name = models.CharField(max_length=255, help_text="3 to 255 letters, digits, dots, dashes and underscores")
    description = models.TextField(blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    epoch = models.PositiveIntegerField(default=1, editable=False)
    return_urls = ArrayField(
        models.CharField(max_length=2048),
        default=list,
        blank=True,
        help_text="Where people may be sent back to. Compared character by character.",
    )
    native = models.BooleanField(
        default=False, help_text="Runs on the person's own machine: any loopback port may return."
    )
    trusted = models.BooleanField(
        default=False, help_text="Repeat consents to the same provider and scopes may be skipped."
    )
    tags = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="agent_name_per_tenant")]

    def __str__(self) -> str:
        return self.name


# After Agent, which they refer to: Django looks for tables in this module only.
from apps.agents.inbound_models import AgentRuntime, Authorizer, AuthorizerIssuer, GatewayKey  # noqa: E402

__all__ = ["Agent", "AgentRuntime", "Authorizer", "AuthorizerIssuer", "GatewayKey"]
