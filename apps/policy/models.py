"""Bindings: which agent may use which provider, how far, and for whom. Access keys' permissions live with the keys."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.agents.models import Agent
from apps.connections.models import Principal
from apps.providers.models import Provider
from apps.tenants.models import SameTenantForeignKey, TenantOwned

# Where one of these is set, the hot path's SQL does not know the limit and leaves the call to the slow path.
_LIMITS = (
    "resources",
    "audiences",
    "custom_parameters",
    "valid_from",
    "valid_until",
    "connection_life_s",
    "connection_uses",
)


def _constrained() -> models.Q:
    limited = models.Q(people_listed=True)
    for name in _LIMITS:
        limited |= models.Q(**{f"{name}__isnull": False})
    return limited


class Binding(TenantOwned):
    """In a closed tenant nothing is given without one; in both kinds its limits apply.

    No flow named, and null everywhere else, means "no limit of this kind", so that a binding made for one reason does
    not forbid the rest. An empty list is a limit: nothing of this kind.
    """

    agent = SameTenantForeignKey(Agent, on_delete=models.CASCADE, related_name="bindings")
    provider = SameTenantForeignKey(Provider, on_delete=models.CASCADE, related_name="bindings")
    flows = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    scope_ceiling = ArrayField(models.CharField(max_length=128), null=True, blank=True, help_text="empty: any scope")
    resources = ArrayField(models.CharField(max_length=2048), null=True, blank=True, help_text="RFC 8707; empty: any")
    audiences = ArrayField(models.CharField(max_length=2048), null=True, blank=True, help_text="empty: any")
    custom_parameters = models.JSONField(
        null=True, blank=True, help_text="name to list of allowed values, or null for any value; empty: any parameter"
    )
    people_listed = models.BooleanField(default=False, help_text="only for the principals listed, even if that is none")
    valid_from = models.DateTimeField(null=True, blank=True, help_text="UTC")
    valid_until = models.DateTimeField(null=True, blank=True, help_text="UTC")
    connection_life_s = models.PositiveIntegerField(
        null=True, blank=True, help_text="seconds one consent is good for at most; empty: as long as the person says"
    )
    connection_uses = models.PositiveIntegerField(
        null=True, blank=True, help_text="how often a token is released on one consent at most; empty: no count"
    )
    # Computed by the database, so that it cannot disagree with the limits.
    constrained = models.GeneratedField(
        expression=models.ExpressionWrapper(_constrained(), output_field=models.BooleanField()),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "agent", "provider"], name="binding_once")]

    def __str__(self) -> str:
        return f"{self.agent} may use {self.provider}"


class BindingPrincipal(TenantOwned):
    """One of those a binding is for: a person, or the agent acting for itself."""

    binding = SameTenantForeignKey(Binding, on_delete=models.CASCADE, related_name="people")
    principal = SameTenantForeignKey(Principal, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "binding", "principal"], name="binding_principal_once")
        ]

    def __str__(self) -> str:
        return f"{self.binding} for {self.principal}"
