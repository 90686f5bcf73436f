"""Who owns what: tenants, people and their roles, and the base class of everything a tenant owns."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models

from apps.core.operator_secret import OperatorSecretField
from apps.tenants.managers import TenantManager, UserManager
from apps.tenants.scope import current_tenant_id


class Tenant(models.Model):
    """An organisation. On the AWS wire it is an account, with a synthetic 12-digit number."""

    class Status(models.TextChoices):
        ACTIVE = "active", "active"
        SUSPENDED = "suspended", "suspended"

    class BindingMode(models.TextChoices):
        OPEN = "open", "open: any agent may use any provider"
        CLOSED = "closed", "closed: nothing without a binding"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=200)
    account_id = models.CharField(
        max_length=12, unique=True, editable=False, help_text="12 digits; the account on the wire"
    )
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    epoch = models.PositiveIntegerField(
        default=1, editable=False, help_text="raising it ends every workload token at once"
    )
    binding_mode = models.CharField(max_length=8, choices=BindingMode.choices, default=BindingMode.OPEN)
    claim_user_ids = models.BooleanField(
        default=False,
        help_text="Development only: the first signed-in person to approve claims an unlinked user id.",
    )
    workload_token_life_s = models.PositiveIntegerField(default=3600, help_text="seconds, 300 to 43200")
    consent_session_life_s = models.PositiveIntegerField(default=600, help_text="seconds, 60 to 3600")
    stale_issuer_keys_s = models.PositiveIntegerField(default=86400, help_text="seconds, 0 to 259200")
    # Keys the pseudonyms people carry in audit records. Operator-level: losing it unlinks, it opens no credential.
    pseudonym_key = OperatorSecretField(editable=False)
    vault_tags = models.JSONField(default=dict, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(workload_token_life_s__gte=300, workload_token_life_s__lte=43200),
                name="tenant_workload_token_life",
            ),
            models.CheckConstraint(
                condition=models.Q(consent_session_life_s__gte=60, consent_session_life_s__lte=3600),
                name="tenant_consent_session_life",
            ),
            models.CheckConstraint(
                condition=models.Q(stale_issuer_keys_s__lte=259200), name="tenant_stale_issuer_keys"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class User(AbstractBaseUser):
    """A person who signs in. What they may do follows from their memberships, never from flags in a form."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    is_platform_admin = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: list[str] = []  # type: ignore[misc]
    objects = UserManager()  # type: ignore[misc]

    class Meta:
        ordering = ["email"]
        verbose_name = "person"
        verbose_name_plural = "people"

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_staff(self) -> bool:
        """May enter the console at all: platform admins, and anybody with an operating role in some tenant."""
        return bool(
            self.is_active
            and (self.is_platform_admin or self.memberships.exclude(role=Membership.Role.END_USER).exists())
        )

    @property
    def is_superuser(self) -> bool:
        """Nobody bypasses the role table."""
        return False

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Django's permission strings are not used; the console asks the role table."""
        return False

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_staff


class Membership(models.Model):
    """A person's role in one tenant."""

    class Role(models.TextChoices):
        SECURITY_AUDITOR = "security_auditor", "security auditor"
        TENANT_OWNER = "tenant_owner", "tenant owner"
        TENANT_ADMIN = "tenant_admin", "tenant admin"
        AGENT_DEVELOPER = "agent_developer", "agent developer"
        APPROVER = "approver", "approver"
        END_USER = "end_user", "end user"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=32, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "user"], name="membership_one_role_per_tenant")]

    def __str__(self) -> str:
        return f"{self.user} is {self.get_role_display()} of {self.tenant}"


class DueItem(models.Model):
    """Work across tenants is found here, by ids only; the truth is in the tenant's own row."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    kind = models.CharField(max_length=40)
    item_id = models.UUIDField()
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant_id", "kind", "item_id"], name="due_item_once")]
        indexes = [models.Index(fields=["kind", "due_at"], name="due_item_next")]


class TenantOwned(models.Model):
    """Base of every table a tenant owns. New rows take their tenant from the open scope."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="+", editable=False, default=current_tenant_id, db_index=False
    )
    objects = TenantManager()

    class Meta:
        abstract = True


class SameTenantForeignKey(models.ForeignKey):  # type: ignore[type-arg]
    """A relation inside one tenant. The database constraint is the two-column one of `walls.SameTenantKey`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        kwargs.setdefault("db_index", False)
        super().__init__(*args, **kwargs)
