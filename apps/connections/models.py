"""Principals, the connections made on their behalf, and the consent that makes them."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.agents.models import Agent
from apps.providers.models import Provider
from apps.tenants.models import SameTenantForeignKey, TenantOwned


class Principal(TenantOwned):
    """The person or system on whose behalf an agent acts.

    Three namespaces that can never equal each other: `jwt` (issuer, subject), `uid` (an opaque string, issuer
    empty) and `self` (the agent, subject = agent id). E-mail plays no part.
    """

    class Kind(models.TextChoices):
        JWT = "jwt", "proven by a token"
        UID = "uid", "named by the application"
        SELF = "self", "the agent itself"

    kind = models.CharField(max_length=4, choices=Kind.choices)
    issuer = models.CharField(max_length=2048, blank=True)
    subject = models.CharField(max_length=512)
    pseudonym = models.CharField(max_length=64, editable=False)
    epoch = models.PositiveIntegerField(default=1, editable=False)
    status = models.CharField(
        max_length=16, default="active", choices=[("active", "active"), ("suspended", "suspended")]
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "kind", "issuer", "subject"], name="principal_identity"),
        ]
        indexes = [models.Index(fields=["tenant", "pseudonym"], name="principal_pseudonym")]

    def __str__(self) -> str:
        return f"{self.kind}:{self.subject}"


class PrincipalLink(TenantOwned):
    """A portal account that is this principal: it may consent as that person."""

    principal = SameTenantForeignKey(Principal, on_delete=models.CASCADE, related_name="links")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # One account per principal: a second claim is refused, not merged.
            models.UniqueConstraint(fields=["tenant", "principal"], name="principal_link_once"),
        ]
        indexes = [models.Index(fields=["tenant", "user"], name="principal_link_user")]


class Connection(TenantOwned):
    """A vaulted token: agent x principal x provider x parameters. The secrets are in the vault.

    `generation` rises with every change of the tokens; a refresh commits only against the generation it
    started from. `lease_id`/`lease_until` fence the one refresh that may run. Times are UTC.
    """

    class Flow(models.TextChoices):
        USER_FEDERATION = "user_federation", "for a person"
        M2M = "m2m", "machine to machine"

    class Status(models.TextChoices):
        ACTIVE = "active", "active"
        NEEDS_RECONSENT = "needs_reconsent", "needs consent again"
        REVOKED = "revoked", "revoked"

    agent = SameTenantForeignKey(Agent, on_delete=models.CASCADE, related_name="connections")
    principal = SameTenantForeignKey(Principal, on_delete=models.CASCADE, related_name="connections")
    provider = SameTenantForeignKey(Provider, on_delete=models.CASCADE, related_name="connections")
    flow = models.CharField(max_length=20, choices=Flow.choices)
    params_digest = models.BinaryField(help_text="SHA-256 of resources, audiences and custom parameters")
    params = models.JSONField(default=dict)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.ACTIVE)
    status_reason = models.CharField(max_length=80, blank=True)
    requested_scopes = ArrayField(models.CharField(max_length=128), default=list)
    granted_scopes = ArrayField(models.CharField(max_length=512), default=list)
    reduced = models.BooleanField(default=False, help_text="the provider granted less than was asked")
    provider_config_version = models.PositiveIntegerField()
    generation = models.PositiveIntegerField(default=1)
    has_refresh_token = models.BooleanField(default=False)
    access_expires_at = models.DateTimeField(null=True, help_text="UTC; empty when the provider does not say")
    refresh_after = models.DateTimeField(null=True, help_text="UTC; from here on a use refreshes first")
    lease_id = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    consented_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True, help_text="end of the consent itself, UTC")
    uses_left = models.PositiveIntegerField(null=True, help_text="releases left on this consent; empty: not counted")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-updated_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "agent", "principal", "provider", "flow", "params_digest"], name="connection_once"
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "provider"], name="connection_provider"),
            models.Index(fields=["tenant", "principal"], name="connection_principal"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} at {self.provider}"


class ConsentSession(TenantOwned):
    """One attempt to get a person's consent, from the agent's request to the stored tokens.

    pending -> approved (state issued) -> returned (code sealed, application-verified only) -> completed;
    or denied, expired, failed, superseded. `digest`, `state_digest` and `browser_digest` are SHA-256 of
    single-use tickets.
    """

    class Status(models.TextChoices):
        PENDING = "pending", "waiting for the person"
        APPROVED = "approved", "approved, at the provider"
        EXCHANGING = "exchanging", "code being exchanged"
        RETURNED = "returned", "back, waiting for the application"
        COMPLETED = "completed", "completed"
        DENIED = "denied", "declined"
        EXPIRED = "expired", "expired"
        FAILED = "failed", "failed"
        SUPERSEDED = "superseded", "replaced by a newer request"

    LIVE = (Status.PENDING, Status.APPROVED, Status.EXCHANGING, Status.RETURNED)

    class Binding(models.TextChoices):
        APPLICATION = "application", "the application proves who came back"
        PORTAL = "portal", "the person signs in here"

    agent = SameTenantForeignKey(Agent, on_delete=models.CASCADE, related_name="consent_sessions")
    principal = SameTenantForeignKey(Principal, on_delete=models.CASCADE, related_name="consent_sessions")
    provider = SameTenantForeignKey(Provider, on_delete=models.CASCADE, related_name="consent_sessions")
    provider_config_version = models.PositiveIntegerField()
    binding = models.CharField(max_length=12, choices=Binding.choices)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.PENDING)
    problem = models.CharField(max_length=80, blank=True)
    digest = models.BinaryField()
    state_digest = models.BinaryField(null=True)
    browser_digest = models.BinaryField(null=True)
    scopes = ArrayField(models.CharField(max_length=128), default=list, help_text="what will be asked of the provider")
    params_digest = models.BinaryField()
    params = models.JSONField(default=dict)
    return_url = models.CharField(max_length=2048, blank=True)
    forced = models.BooleanField(default=False)
    consent_life_s = models.PositiveIntegerField(
        null=True, help_text="seconds the person allowed; empty: until revoked"
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    connection_id = models.UUIDField(null=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "digest"], name="consent_session_digest"),
            models.UniqueConstraint(fields=["tenant", "state_digest"], name="consent_session_state"),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "agent", "principal", "provider", "-created_at"], name="consent_session_asked"
            )
        ]
