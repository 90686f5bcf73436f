from django.apps import AppConfig


class OpsConfig(AppConfig):
    name = "apps.entrypoints.ops"
    label = "ops"
