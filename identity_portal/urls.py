"""Which page entrypoint hangs at which path. The AWS wire is dispatched before this, in wsgi.py."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("console/", admin.site.urls),
    path("", include("apps.entrypoints.inbound.urls")),
    path("", include("apps.entrypoints.rest.urls")),
    path("", include("apps.entrypoints.consent.urls")),
    path("", include("apps.entrypoints.oauth.urls")),
    path("", include("apps.entrypoints.ops.urls")),
]

handler400 = "apps.entrypoints.ops.views.bad_request"
handler403 = "apps.entrypoints.ops.views.forbidden"
handler404 = "apps.entrypoints.ops.views.not_found"
handler500 = "apps.entrypoints.ops.views.server_error"
