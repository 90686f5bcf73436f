from django.apps import AppConfig


class ConsentConfig(AppConfig):
    name = "apps.entrypoints.consent"
    label = "consent_pages"
    verbose_name = "Consent pages"

    def ready(self) -> None:
        from apps.entrypoints.consent import middleware

        middleware.watch_sign_ins()
