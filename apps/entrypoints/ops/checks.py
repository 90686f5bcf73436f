"""`manage.py check --deploy`: is this installation safe to expose? Each finding says what to do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register


@register(Tags.security, deploy=True)
def installation_is_safe(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.DEMO:
        found.append(
            Error(
                "The demo is on.", hint="Unset IDENTITY_PORTAL_DEMO: it seeds known people and keys.", id="portal.E001"
            )
        )
    if not settings.PUBLIC_URL.startswith("https://"):
        found.append(
            Error(
                "The public URL is not https, so cookies have no __Host- prefix and no Secure flag.",
                hint="Put a TLS proxy in front (deploy/ shows one) and set IDENTITY_PORTAL_PUBLIC_URL.",
                id="portal.E002",
            )
        )
    if settings.ALLOWED_PRIVATE_UPSTREAMS:
        found.append(
            Warning(
                "Private hosts may be called: "
                + ", ".join(f"{h}:{p}" for h, p in sorted(settings.ALLOWED_PRIVATE_UPSTREAMS)),
                hint="Keep IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS to what you run yourselves.",
                id="portal.W001",
            )
        )
    if not settings.APPROVED_UPSTREAM_HOSTS:
        found.append(
            Warning(
                "Tenants may name any public host as a provider or issuer.",
                hint="On a shared installation set IDENTITY_PORTAL_APPROVED_UPSTREAM_HOSTS.",
                id="portal.W002",
            )
        )
    return found


@register(Tags.database)
def role_is_weak(app_configs: Any, databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """The serving role must not be able to look past row security."""
    if not databases or "default" not in databases:
        return []
    from django.db import DatabaseError

    from apps.tenants.privileges import role_problem

    try:
        problem = role_problem()
    except DatabaseError:
        return []
    return [Error(problem, id="portal.E003")] if problem else []
