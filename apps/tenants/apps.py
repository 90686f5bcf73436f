from django.apps import AppConfig
from django.db.models.signals import post_migrate


class TenantsConfig(AppConfig):
    name = "apps.tenants"
    label = "tenants"
    verbose_name = "Tenants and people"

    def ready(self) -> None:
        from apps.tenants import privileges

        post_migrate.connect(privileges.grant_after_migrate, sender=self, dispatch_uid="portal.privileges")
