from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def _lay_canary(sender: Any, using: str, plan: Any = None, **_: Any) -> None:
    from django.db import connections

    from apps.vault import ring
    from apps.vault.models import KeyRingCanary

    if KeyRingCanary._meta.db_table in connections[using].introspection.table_names():
        ring.lay_canary(using)


class VaultConfig(AppConfig):
    name = "apps.vault"
    label = "vault"
    verbose_name = "Vault"

    def ready(self) -> None:
        post_migrate.connect(_lay_canary, sender=self, dispatch_uid="portal.canary")
