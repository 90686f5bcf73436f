from django.contrib.admin.apps import SimpleAdminConfig
from django.core import checks


class PortalAdminConfig(SimpleAdminConfig):
    """Django's admin with our own site.

    Nothing is discovered: third-party packages would register their tables with admins that lack our checks.
    """

    default = False
    default_site = "apps.entrypoints.console.site.PortalAdminSite"

    def ready(self) -> None:
        super().ready()
        # The pages register themselves on import, as the broker's handlers do.
        from apps.entrypoints.console import admins  # noqa: F401
        from apps.entrypoints.console.checks import check_console

        checks.register(check_console, checks.Tags.admin)
