from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "apps.entrypoints.jobs"
    label = "jobs"
