"""What callers prove themselves with: access keys, trusted issuers, workload access tokens, OAuth clients."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from oauth2_provider import models as toolkit

from apps.agents.models import Agent
from apps.connections.models import Principal
from apps.tenants.models import SameTenantForeignKey, TenantOwned


class AccessKey(TenantOwned):
    """A SigV4 key pair of the tenant. The secret is sealed in the vault: signatures need it back."""

    class Status(models.TextChoices):
        ACTIVE = "active", "active"
        DISABLED = "disabled", "disabled"

    key_id = models.CharField(max_length=32, editable=False)
    label = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    full_access = models.BooleanField(default=False, editable=False, help_text="may do everything inside its tenant")
    agent = SameTenantForeignKey(Agent, null=True, blank=True, on_delete=models.CASCADE, related_name="access_keys")
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["tenant", "key_id"], name="access_key_id_per_tenant")]

    def __str__(self) -> str:
        return self.key_id


class AccessKeyGrant(TenantOwned):
    """One permission of an access key: an operation on resources, both with `*` and `?` as wildcards.

    `conditions` as `policy.conditions` reads them, `{operator: {key: [values]}}`; null: none. The hot path's SQL knows
    no conditions: what only a constrained grant allows is decided on the slow path.
    """

    access_key = SameTenantForeignKey(AccessKey, on_delete=models.CASCADE, related_name="grants")
    action = models.CharField(max_length=100, help_text="bedrock-agentcore:GetResourceOauth2Token")
    resource = models.CharField(max_length=1024, help_text="ARN pattern")
    conditions = models.JSONField(null=True, blank=True)
    constrained = models.GeneratedField(
        expression=models.ExpressionWrapper(models.Q(conditions__isnull=False), output_field=models.BooleanField()),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        indexes = [models.Index(fields=["tenant", "access_key"], name="access_key_grant_of_key")]


class TrustedIssuer(TenantOwned):
    """An OpenID provider whose tokens prove a person; for the whole tenant, or narrowed to one agent."""

    agent = SameTenantForeignKey(Agent, null=True, blank=True, on_delete=models.CASCADE, related_name="issuers")
    issuer = models.CharField(max_length=2048)
    discovery_url = models.CharField(max_length=2048)
    jwks_uri = models.CharField(max_length=2048)
    audiences = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    clients = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    client_claims = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    algorithms = ArrayField(models.CharField(max_length=10), default=list, blank=True)
    status = models.CharField(max_length=10, default="active", choices=[("active", "active"), ("disabled", "disabled")])
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["issuer"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "issuer", "agent"], name="trusted_issuer_once", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=models.Q(audiences__len__gt=0) | models.Q(clients__len__gt=0), name="trusted_issuer_audience"
            ),
        ]

    def __str__(self) -> str:
        return self.issuer


class WorkloadToken(TenantOwned):
    """A workload access token: agent and principal in one opaque artefact. Only its digest is here.

    The three epochs are those in force when it was minted; raising any of them ends the token at once.
    """

    digest = models.BinaryField()
    agent = SameTenantForeignKey(Agent, on_delete=models.CASCADE, related_name="+")
    principal = SameTenantForeignKey(Principal, on_delete=models.CASCADE, related_name="+")
    proof = models.CharField(max_length=10, help_text="how the principal was proven: jwt, uid or self")
    tenant_epoch = models.PositiveIntegerField()
    agent_epoch = models.PositiveIntegerField()
    principal_epoch = models.PositiveIntegerField()
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "digest"], name="workload_token_digest")]
        indexes = [models.Index(fields=["tenant", "expires_at"], name="workload_token_expiry")]


class AnsweredRequest(TenantOwned):
    """The answer to a mutating call, kept so that a client's retry has no second effect.

    Signed calls of the AWS wire: 10 minutes, by signature and invocation id. Calls of the REST API: 24 hours, by
    `Idempotency-Key`; `request_digest` is then the SHA-256 of what was asked, and the answer is sealed in the vault
    (column `answer`), because it may hold a secret that is shown once.
    """

    fingerprint = models.BinaryField()
    request_digest = models.BinaryField(null=True, editable=False)
    status = models.PositiveSmallIntegerField(null=True, help_text="empty while the first call is still running")
    body = models.BinaryField(default=bytes)
    error = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "fingerprint"], name="answered_request_once")]


class SigningKey(TenantOwned):
    """A key the tenant signs its tokens with. The private half is sealed in the vault, the public half published."""

    class State(models.TextChoices):
        NEXT = "next", "next: published, not signing yet"
        ACTIVE = "active", "active: signs"
        RETIRING = "retiring", "retiring: published until what it signed is over"

    kid = models.CharField(max_length=64, editable=False)
    algorithm = models.CharField(max_length=10, editable=False, help_text="ES384 or RS256 (RFC 7518)")
    state = models.CharField(max_length=10, choices=State.choices, default=State.NEXT, editable=False)
    public_jwk = models.JSONField(editable=False, help_text="RFC 7517, without any private member")
    state_since = models.DateTimeField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "kid"], name="signing_key_kid"),
            models.UniqueConstraint(
                fields=["tenant", "algorithm", "state"],
                condition=~models.Q(state="retiring"),
                name="signing_key_one_per_state",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} {self.kid}"


class OAuthClient(TenantOwned, toolkit.AbstractApplication):
    """A client of the portal's own authorization server: of an API (client credentials), or of people (codes).

    `client_secret` holds the keyed digest of a generated secret, never a secret and never a password hash.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", "active"
        DISABLED = "disabled", "disabled"

    class Proof(models.TextChoices):
        SECRET = "client_secret", "a secret"
        PRIVATE_KEY = "private_key_jwt", "a signed assertion (RFC 7523)"
        NONE = "none", "nothing: a public client"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client_secret = models.CharField(max_length=255, blank=True, default="", editable=False)
    hash_client_secret = models.BooleanField(default=False, editable=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    proof = models.CharField(max_length=20, choices=Proof.choices, default=Proof.SECRET)
    allowed_scopes = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    public_jwks = models.JSONField(default=dict, blank=True, help_text="RFC 7517 key set of a client that signs")
    agent = SameTenantForeignKey(Agent, null=True, blank=True, on_delete=models.CASCADE, related_name="oauth_clients")

    class Meta(toolkit.AbstractApplication.Meta):
        abstract = False
        verbose_name = "OAuth client"

    def is_usable(self, request: object) -> bool:
        """Asked by the toolkit at every use."""
        return self.status == self.Status.ACTIVE


class OAuthAssertion(TenantOwned):
    """A client assertion (RFC 7523) that was used: its `jti` is good for one time only. Kept until it has expired."""

    application = SameTenantForeignKey(settings.OAUTH2_PROVIDER_APPLICATION_MODEL, on_delete=models.CASCADE)
    digest = models.BinaryField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "application", "digest"], name="assertion_once")]
        indexes = [models.Index(fields=["tenant", "expires_at"], name="assertion_expiry")]


class OAuthGrant(TenantOwned, toolkit.AbstractGrant):
    """An authorization code, by digest. A used one stays until it expires: its second use ends what it gave."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = SameTenantForeignKey(settings.OAUTH2_PROVIDER_APPLICATION_MODEL, on_delete=models.CASCADE)
    used_at = models.DateTimeField(null=True, editable=False)

    class Meta(toolkit.AbstractGrant.Meta):
        abstract = False


class OAuthIdToken(TenantOwned, toolkit.AbstractIDToken):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = SameTenantForeignKey(
        settings.OAUTH2_PROVIDER_APPLICATION_MODEL, on_delete=models.CASCADE, blank=True, null=True
    )

    class Meta(toolkit.AbstractIDToken.Meta):
        abstract = False


class OAuthAccessToken(TenantOwned, toolkit.AbstractAccessToken):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = SameTenantForeignKey(
        settings.OAUTH2_PROVIDER_APPLICATION_MODEL, on_delete=models.CASCADE, blank=True, null=True
    )
    source_refresh_token = models.OneToOneField(
        settings.OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL,
        on_delete=models.SET_NULL,
        blank=True,
        null=True,
        related_name="refreshed_access_token",
        db_constraint=False,
    )
    id_token = models.OneToOneField(
        settings.OAUTH2_PROVIDER_ID_TOKEN_MODEL,
        on_delete=models.CASCADE,
        blank=True,
        null=True,
        related_name="access_token",
        db_constraint=False,
    )

    class Meta(toolkit.AbstractAccessToken.Meta):
        abstract = False


class OAuthRefreshToken(TenantOwned, toolkit.AbstractRefreshToken):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = SameTenantForeignKey(settings.OAUTH2_PROVIDER_APPLICATION_MODEL, on_delete=models.CASCADE)
    access_token = models.OneToOneField(
        settings.OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL,
        on_delete=models.SET_NULL,
        blank=True,
        null=True,
        related_name="refresh_token",
        db_constraint=False,
    )

    class Meta(toolkit.AbstractRefreshToken.Meta):
        abstract = False


class OAuthDeviceGrant(TenantOwned, toolkit.AbstractDeviceGrant):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)

    class Meta(toolkit.AbstractDeviceGrant.Meta):
        abstract = False
