"""Django settings, made in code: there is no database, no installed application and no settings file."""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.utils.log import CallbackFilter

HERE = Path(__file__).resolve().parent


def configure(url: str, host: str) -> None:
    """Configure Django for a Demo Hub that is reached at `url` and listens on `host`."""
    address = urlsplit(url)
    settings.configure(
        DEBUG=False,
        SECRET_KEY=secrets.token_urlsafe(50),  # signs nothing that outlives the process
        ALLOWED_HOSTS=sorted({host, "127.0.0.1", "localhost", "[::1]", address.hostname or host}),
        ROOT_URLCONF="apps.demo_hub.urls",
        INSTALLED_APPS=[],
        DATABASES={},
        MIDDLEWARE=["apps.demo_hub.middleware.Watched", "django.middleware.csrf.CsrfViewMiddleware"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [HERE / "templates"]}],
        USE_TZ=True,
        USE_I18N=False,
        APPEND_SLASH=False,
        # Cookies are shared by all ports of a host, so the port is in the names.
        CSRF_COOKIE_NAME=f"demo_hub_{address.port or 0}_csrf",
        CSRF_COOKIE_HTTPONLY=True,
        CSRF_COOKIE_SECURE=address.scheme == "https",
        CSRF_FAILURE_VIEW="apps.demo_hub.pages.stale_form",
        CSRF_TRUSTED_ORIGINS=[f"{address.scheme}://{address.netloc}"],
        DATA_UPLOAD_MAX_NUMBER_FIELDS=200,
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            # Errors that are answered on purpose, by a switch, are no news; mistakes of ours have a traceback.
            "filters": {"mistakes": {"()": CallbackFilter, "callback": lambda record: bool(record.exc_info)}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "level": "ERROR", "filters": ["mistakes"]}},
            "loggers": {
                "django": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
                "django.security": {"handlers": [], "level": "CRITICAL", "propagate": False},
            },
        },
    )
    django.setup(set_prefix=False)


def session_cookie_name() -> str:
    """The name of the cookie that says who is signed in."""
    return str(settings.CSRF_COOKIE_NAME).replace("_csrf", "_session")
