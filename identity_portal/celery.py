"""The Celery application. Celery only wakes workers: what is due stands in the database."""

from __future__ import annotations

import os
import warnings

from celery import Celery
from celery.exceptions import SecurityWarning

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_portal.settings")

# Celery warns of root because a pickled message would run as root. Only JSON is accepted here (settings), and the
# key files belong to the account that starts the portal, so the worker cannot be another one.
warnings.filterwarnings("ignore", message=r"\s*You're running the worker with superuser", category=SecurityWarning)

app = Celery("identity_portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["apps.entrypoints.jobs"])
app.conf.beat_schedule = {
    "housekeeping": {"task": "portal.housekeeping", "schedule": 60.0, "options": {"expires": 55}},
    "signing_keys": {"task": "portal.signing_keys", "schedule": 300.0, "options": {"expires": 295}},
}
