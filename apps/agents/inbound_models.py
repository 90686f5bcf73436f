"""Who may reach an agent, and where it runs."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.tenants.models import SameTenantForeignKey, TenantOwned


class Authorizer(TenantOwned):
    """What an agent demands of its callers. An agent without a row demands a signature of the tenant's access keys."""

    class Kind(models.TextChoices):
        AWS_IAM = "AWS_IAM", "access keys (SigV4)"
        CUSTOM_JWT = "CUSTOM_JWT", "tokens of issuers"

    class Status(models.TextChoices):
        ACTIVE = "active", "active"
        DISABLED = "disabled", "disabled"

    agent = SameTenantForeignKey("agents.Agent", on_delete=models.CASCADE, related_name="authorizers")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    scope_match = models.CharField(max_length=3, choices=[("any", "any"), ("all", "all")], default="any")
    advertised_scopes = models.JSONField(
        default=dict, blank=True, help_text="enforced scope: the name of it that clients are told to ask for"
    )
    request_headers = ArrayField(
        models.CharField(max_length=256),
        default=list,
        blank=True,
        help_text="Headers of the caller that reach the agent, besides those that always do.",
    )
    endpoint_url = models.CharField(max_length=1024, blank=True, help_text="Where the agent listens.")
    resource_url = models.CharField(
        max_length=1024,
        blank=True,
        help_text="Where callers find the agent, if not at the portal's invocation address.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["tenant", "agent"], name="authorizer_one_per_agent")]

    def __str__(self) -> str:
        return f"{self.agent}: {self.get_kind_display()}"


class AuthorizerIssuer(TenantOwned):
    """One issuer whose tokens open the door to an agent, and what each of these tokens must say."""

    authorizer = SameTenantForeignKey(Authorizer, on_delete=models.CASCADE, related_name="issuers")
    issuer = models.CharField(max_length=2048)
    discovery_url = models.CharField(max_length=2048)
    jwks_uri = models.CharField(max_length=2048)
    audiences = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    clients = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    client_claims = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    scopes = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    custom_claims = models.JSONField(default=list, blank=True)
    algorithms = ArrayField(models.CharField(max_length=10), default=list, blank=True)
    # The client's secret is sealed in the vault under this row.
    introspection_endpoint = models.CharField(max_length=2048, blank=True)
    introspection_client_id = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=10, choices=Authorizer.Status.choices, default=Authorizer.Status.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["issuer"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "authorizer", "issuer"], name="authorizer_issuer_once"),
            # The same in the database: a row that would take any token of the issuer cannot exist.
            models.CheckConstraint(
                condition=models.Q(audiences__len__gt=0) | models.Q(clients__len__gt=0),
                name="authorizer_issuer_audience",
            ),
        ]

    def __str__(self) -> str:
        return self.issuer


class GatewayKey(TenantOwned):
    """What a proxy in front of one agent proves itself with when it asks the portal. Only the digest is here."""

    agent = SameTenantForeignKey("agents.Agent", on_delete=models.CASCADE, related_name="gateway_keys")
    label = models.CharField(max_length=200, blank=True)
    digest = models.BinaryField()
    status = models.CharField(max_length=10, choices=Authorizer.Status.choices, default=Authorizer.Status.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["tenant", "digest"], name="gateway_key_digest")]

    def __str__(self) -> str:
        return self.label or str(self.id)


class AgentRuntime(TenantOwned):
    """An agent that was registered as a runtime over the AWS wire: the members of that description we keep."""

    agent = SameTenantForeignKey("agents.Agent", on_delete=models.CASCADE, related_name="runtimes")
    name = models.CharField(max_length=48)
    version = models.PositiveIntegerField(default=1)
    description = models.TextField(blank=True)
    role_arn = models.CharField(max_length=2048)
    protocol = models.CharField(max_length=8, default="HTTP")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "agent"], name="agent_runtime_one_per_agent"),
            models.UniqueConstraint(fields=["tenant", "name"], name="agent_runtime_name_per_tenant"),
        ]

    def __str__(self) -> str:
        return self.name
