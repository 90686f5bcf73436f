"""What the worker says at start is worth reading."""

from __future__ import annotations

import subprocess
import sys

_CHECK = """
import warnings
warnings.simplefilter("default")
import identity_portal.celery
from celery.exceptions import SecurityWarning
from celery.platforms import check_privileges
check_privileges(identity_portal.celery.app.conf.accept_content)
warnings.warn(SecurityWarning("another"))
"""


def test_root_is_not_warned_of_pickled_messages_that_are_never_taken() -> None:
    done = subprocess.run([sys.executable, "-c", _CHECK], capture_output=True, text=True, check=True)
    assert "superuser" not in done.stderr and "another" in done.stderr


def test_the_reason_holds() -> None:
    from django.conf import settings

    assert settings.CELERY_ACCEPT_CONTENT == ["json"] and settings.CELERY_TASK_SERIALIZER == "json"
