from django.contrib.admin.apps import AdminConfig


class PortalAdminConfig(AdminConfig):
    """Django's admin with our own site, so that nothing can be registered on a site that lacks our checks."""

    default_site = "apps.entrypoints.console.site.PortalAdminSite"
