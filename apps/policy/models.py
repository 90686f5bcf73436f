"""Bindings: which agent may use which provider, how far. Access keys' permissions live with the keys."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.agents.models import Agent
from apps.providers.models import Provider
from apps.tenants.models import SameTenantForeignKey, TenantOwned


class Binding(TenantOwned):
    """In a closed tenant nothing is given without one; in both kinds its ceilings apply.

    An empty list means "no limit of this kind", so that a binding made for one reason does not forbid the rest.
    """

    agent = SameTenantForeignKey(Agent, on_delete=models.CASCADE, related_name="bindings")
    provider = SameTenantForeignKey(Provider, on_delete=models.CASCADE, related_name="bindings")
    flows = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    scope_ceiling = ArrayField(models.CharField(max_length=128), null=True, blank=True, help_text="empty: any scope")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "agent", "provider"], name="binding_once")]

    def __str__(self) -> str:
        return f"{self.agent} may use {self.provider}"
