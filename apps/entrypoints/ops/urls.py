from __future__ import annotations

from django.urls import path

from apps.entrypoints.ops import health

app_name = "ops"
urlpatterns = [
    path("healthz/live", health.live, name="live"),
    path("healthz/ready", health.ready, name="ready"),
]
