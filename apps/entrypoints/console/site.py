"""The operators' console: one admin site."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path, re_path, reverse
from django.utils.translation import gettext_lazy as _
from unfold.dataclasses import Favicon
from unfold.sites import UnfoldAdminSite

from apps.entrypoints.console.desk import desk

_LOOK = {
    "site_title": _("Identity Portal"),
    "site_header": _("Identity Portal"),
    "site_symbol": "shield_person",
    "site_url": None,
    "show_history": False,
    "show_view_on_site": False,
    "show_back_button": False,
    "show_languages": False,
    "border_radius": "8px",
    "command_show_history": False,
    "sidebar_show_search": True,
    "sidebar_command_search": True,
    "sidebar_show_all_applications": False,
}
# The accent of the portal's public pages; the rest follows unfold's defaults, light and dark.
_PRIMARY = {
    "50": "#eef0fc",
    "100": "#e2e5fb",
    "200": "#cdd2f7",
    "300": "#aab1f0",
    "400": "#8c95ea",
    "500": "#5563d6",
    "600": "#3d4cc4",
    "700": "#2f3ca6",
    "800": "#28328a",
    "900": "#232b6e",
    "950": "#171c48",
}


class PortalAdminSite(UnfoldAdminSite):
    """Own views only: no history, no autocomplete, no generic shortcut to objects, no login form of its own."""

    index_title = _("Overview")
    enable_nav_sidebar = True

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Raises ImproperlyConfigured for an admin that is not ours: its writes would pass the broker by."""
        from apps.entrypoints.console.base import ConsoleAdmin

        if admin_class is None or not issubclass(admin_class, ConsoleAdmin):
            raise ImproperlyConfigured(f"{model_or_iterable} needs a ConsoleAdmin to be shown in the console")
        super().register(model_or_iterable, admin_class, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        user = request.user
        return bool(user.is_active and getattr(user, "is_staff", False) and desk(request) is not None)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from apps.entrypoints.console import overview, palette, policy_pages
        from apps.entrypoints.console.choose import choose

        urls: list[URLPattern | URLResolver] = [
            path("", self.admin_view(overview.index), name="index"),
            path("choose/", self.admin_view(choose), name="choose"),
            path("search/", self.admin_view(palette.search), name="search"),
            path("explain/", self.admin_view(policy_pages.explain), name="explain"),
            path("bindings-in-use/", self.admin_view(policy_pages.bindings_in_use), name="bindings_in_use"),
            path("login/", self.login, name="login"),
            path("logout/", self.logout, name="logout"),
            path("jsi18n/", self.admin_view(self.i18n_javascript, cacheable=True), name="jsi18n"),
        ]
        labels = []
        for model, model_admin in self._registry.items():
            meta = model._meta
            urls.append(path(f"{meta.app_label}/{meta.model_name}/", include(model_admin.urls)))
            labels.append(meta.app_label)
        if labels:
            apps = "|".join(dict.fromkeys(labels))
            urls.append(re_path(rf"^(?P<app_label>{apps})/$", self.admin_view(self.app_index), name="app_list"))
        urls.append(re_path(r"(?P<url>.*)$", self.admin_view(self.catch_all_view)))
        return urls

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """There is one way to sign in, the portal's own. The middleware sends strangers there already."""
        return redirect(reverse("admin:index"))

    def logout(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        logout(request)
        return redirect(settings.LOGOUT_REDIRECT_URL)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context: dict[str, Any] = super().each_context(request)
        here = desk(request)
        context.update(_LOOK)
        context["colors"] = {**context["colors"], "primary": _PRIMARY}
        context["styles"] = [static("console/console.css")]
        context["site_favicons"] = [Favicon(href=static("portal/logo.svg"), rel="icon", type="image/svg+xml")]
        context["scripts"] = [static("console/console.js")]
        context["portal_tenant"] = here.tenant if here else None
        context["portal_role"] = here.role if here else ""
        context["site_subheader"] = here.tenant.name if here and here.tenant else ""
        return context

    def get_sidebar_list(self, request: HttpRequest) -> list[dict[str, Any]]:
        from apps.entrypoints.console.navigation import sidebar

        return sidebar(request)

    def app_index(self, request: HttpRequest, app_label: str, extra_context: Any = None) -> TemplateResponse:
        response: TemplateResponse = super().app_index(request, app_label, extra_context)
        return response
