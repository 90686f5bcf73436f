"""Django settings, computed from `Config`. Nothing here reads the environment itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from identity_portal.config import Config, DatabaseTarget

CONFIG = Config.from_environment(os.environ)
BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = CONFIG.secret_key.reveal()
OPERATOR_FERNET_KEYS = CONFIG.operator_keys()
DEBUG = False
PUBLIC_URL = CONFIG.public_url
_HTTPS = PUBLIC_URL.startswith("https://")
ALLOWED_HOSTS = CONFIG.allowed_hosts()
ROOT_URLCONF = "identity_portal.urls"
WSGI_APPLICATION = "identity_portal.wsgi.application"

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "apps.entrypoints.console.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "axes",
    "csp",
    "oauth2_provider",
    "apps.tenants",
    "apps.audit",
    "apps.agents",
    "apps.providers",
    "apps.vault",
    "apps.connections",
    "apps.authn",
    "apps.policy",
    "apps.broker",
    "apps.entrypoints.consent.apps.ConsentConfig",
    "apps.entrypoints.ops.apps.OpsConfig",
    "apps.entrypoints.jobs.apps.JobsConfig",
]

# Pages only: the AWS wire is dispatched in wsgi.py before any of these.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apps.entrypoints.ops.middleware.RequestIdMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.entrypoints.consent.middleware.SessionLimitsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "apps.entrypoints.console.middleware.TenantMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _database(target: DatabaseTarget, *, hot: bool) -> dict[str, object]:
    # Without server-side prepare the planner costs more than the query (docs/explanation/performance.md);
    # a generic plan is forced because custom plans are re-made on every call.
    serve = "-c plan_cache_mode=force_generic_plan -c statement_timeout=15s -c lock_timeout=5s" if hot else ""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": target.host,
        "PORT": str(target.port or ""),
        "NAME": target.name,
        "USER": target.user,
        "PASSWORD": target.password.reveal(),
        "CONN_MAX_AGE": None if hot else 0,
        "CONN_HEALTH_CHECKS": False,  # would be a second round trip on the hot path; see broker/hot_path
        "OPTIONS": {
            "server_side_binding": hot,
            "prepare_threshold": 2 if hot else None,
            "options": f"-c timezone=UTC -c synchronous_commit=on {serve}",
            "connect_timeout": 5,
            **dict(target.options),
        },
    }


DATABASES = {
    # The service, as a role that owns nothing.
    "default": _database(CONFIG.database, hot=True),
    # The owner, for `migrate` only.
    "owner": _database(CONFIG.database_owner, hot=False),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": CONFIG.redis_url.reveal(),
        "KEY_PREFIX": "portal",
        "OPTIONS": {"socket_timeout": 0.25, "socket_connect_timeout": 0.25},
    }
}

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "/signin/"
LOGIN_REDIRECT_URL = "/console/"
LOGOUT_REDIRECT_URL = "/signin/"

# The lock-out lives in PostgreSQL, so that losing Redis opens nothing.
AXES_HANDLER = "axes.handlers.database.AxesDatabaseHandler"
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["password", "username"]

# __Host- cookies need https; over http on loopback plain names without Secure (refused by `check --deploy`).
_PREFIX = "__Host-" if _HTTPS else ""
SESSION_COOKIE_NAME = f"{_PREFIX}portal_session"
CSRF_COOKIE_NAME = f"{_PREFIX}portal_csrf"
LANGUAGE_COOKIE_NAME = f"{_PREFIX}portal_language"
CONSENT_COOKIE_NAME = f"{_PREFIX}portal_consent"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = CONSENT_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_IDLE_S = 30 * 60
SESSION_ENGINE = "django.contrib.sessions.backends.db"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CSRF_FAILURE_VIEW = "apps.entrypoints.ops.views.csrf_failed"
SECURE_HSTS_SECONDS = 31_536_000 if _HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"  # no-referrer makes Chromium post `Origin: null`
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = None
USE_X_FORWARDED_HOST = False
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

# Strict everywhere; the console middleware swaps in the relaxed one that unfold needs, for its own pages only.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    }
}
CONSOLE_CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    }
}

TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("ar", "العربية")]
LOCALE_PATHS = [BASE_DIR / "templates" / "locale"]

STATIC_URL = "/static/"
STATIC_ROOT = CONFIG.home / "static"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

OAUTH2_PROVIDER_APPLICATION_MODEL = "authn.OAuthClient"
OAUTH2_PROVIDER_GRANT_MODEL = "authn.OAuthGrant"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "authn.OAuthAccessToken"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "authn.OAuthRefreshToken"
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "authn.OAuthIdToken"
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "authn.OAuthDeviceGrant"
# RFC 9700 throughout. What must not be possible is also not built in (apps/authn/oauth/server.py); this is the second
# lock, and what `check --deploy` looks at.
OAUTH2_PROVIDER = {
    "OAUTH2_SERVER_CLASS": "apps.authn.oauth.server.PortalServer",
    "OAUTH2_VALIDATOR_CLASS": "apps.authn.oauth.validator.PortalValidator",
    "SCOPES_BACKEND_CLASS": "apps.authn.oauth.scopes.ApiScopes",
    "SCOPES": {},
    "DEFAULT_SCOPES": [],
    "PKCE_REQUIRED": True,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    "ACCESS_TOKEN_EXPIRE_SECONDS": 600,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 14 * 86_400,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ROTATE_REFRESH_TOKEN": True,
    "REQUEST_APPROVAL_PROMPT": "force",
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
    "ALLOW_URI_WILDCARDS": False,
    "ALLOW_LOCALHOST_LOOPBACK": False,
    "OIDC_ENABLED": False,
    "OIDC_RP_INITIATED_LOGOUT_ENABLED": False,
    "OIDC_RP_INITIATED_REGISTRATION_ENABLED": False,
    "DCR_ENABLED": False,
    "CIMD_ENABLED": False,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
}

CELERY_BROKER_URL = CONFIG.celery_broker_url()
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 120
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 600}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

SILENCED_SYSTEM_CHECKS = ["axes.W006"]

# Read by apps through django.conf: nothing in apps imports identity_portal.
PORTAL_HOME = CONFIG.home
VAULT_ROOT_KEY_FILE = CONFIG.keys_dir / "vault_root.key"
ALLOWED_PRIVATE_UPSTREAMS = CONFIG.allowed_private_upstreams
APPROVED_UPSTREAM_HOSTS = CONFIG.approved_upstream_hosts
CA_BUNDLE = CONFIG.ca_bundle
DEMO = CONFIG.demo
STRICT_SESSION_STATUS = CONFIG.aws_strict_session_status
RATE_LIMITS = CONFIG.rate_limits()

LOGGING_CONFIG = None
if "pytest" not in sys.modules or os.environ.get("PORTAL_LOG_IN_TESTS"):
    from identity_portal.logging import configure as _configure_logging

    _configure_logging()
