"""Credential providers: where an agent's credentials come from."""

from __future__ import annotations

from django.db import models

from apps.tenants.models import TenantOwned


class Provider(TenantOwned):
    """An OAuth 2.0 client of ours at some authorization server, or an API key.

    `config` is what the administrator gave, without secrets, in the shape of the wire's output union;
    `endpoints` is what it resolved to when it was saved. Any change of endpoints or client id raises
    `config_version`, which parks every connection made under the old one.
    """

    class Kind(models.TextChoices):
        OAUTH2 = "oauth2", "OAuth 2.0"
        API_KEY = "api_key", "API key"

    class Status(models.TextChoices):
        ACTIVE = "active", "active"
        SUSPENDED = "suspended", "suspended"

    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.CharField(max_length=128)
    vendor = models.CharField(max_length=64, blank=True)
    client_id = models.CharField(max_length=256, blank=True)
    config = models.JSONField(default=dict, blank=True)
    endpoints = models.JSONField(default=dict, blank=True)
    config_version = models.PositiveIntegerField(default=1, editable=False)
    callback_id = models.CharField(max_length=64, null=True, editable=False)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    tags = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["kind", "name"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "kind", "name"], name="provider_name_per_tenant"),
            models.UniqueConstraint(fields=["tenant", "callback_id"], name="provider_callback_per_tenant"),
        ]

    def __str__(self) -> str:
        return self.name
