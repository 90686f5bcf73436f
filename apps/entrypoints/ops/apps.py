from django.apps import AppConfig


class OpsConfig(AppConfig):
    name = "apps.entrypoints.ops"
    label = "ops"

    def ready(self) -> None:
        from apps.entrypoints.ops import checks  # noqa: F401
