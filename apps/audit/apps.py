from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "apps.audit"
    label = "audit"
    verbose_name = "Audit trail"

    def ready(self) -> None:
        from apps.audit import partitions

        post_migrate.connect(partitions.make_after_migrate, sender=self, dispatch_uid="portal.audit_partitions")
