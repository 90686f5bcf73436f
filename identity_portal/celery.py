"""The Celery application. Celery only wakes workers: what is due stands in the database."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_portal.settings")

app = Celery("identity_portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["apps.entrypoints.jobs"])
app.conf.beat_schedule = {
    "housekeeping": {"task": "portal.housekeeping", "schedule": 60.0, "options": {"expires": 55}},
    "signing_keys": {"task": "portal.signing_keys", "schedule": 300.0, "options": {"expires": 295}},
}
