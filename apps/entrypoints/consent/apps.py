from django.apps import AppConfig


class ConsentConfig(AppConfig):
    name = "apps.entrypoints.consent"
    label = "consent_pages"
