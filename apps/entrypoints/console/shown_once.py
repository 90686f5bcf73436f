"""The one page that ever shows a secret: the answer to the POST that made it, kept nowhere."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from apps.broker.authorization_server.contracts import NewApiClient
from apps.broker.contracts import NewAccessKey


def page(request: HttpRequest, key: NewAccessKey, *, title: Any, back: str, **more: Any) -> HttpResponse:
    """Not a redirect, because a redirect would need the secret to wait in a session or a message."""
    context = {
        **admin.site.each_context(request),
        "title": title,
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key.reveal(),
        "back": back,
        **more,
    }
    response = TemplateResponse(request, "admin/shown_once.html", context)
    response["Cache-Control"] = "no-store"
    return response


def client_page(request: HttpRequest, made: NewApiClient, *, title: Any, back: str, **more: Any) -> HttpResponse:
    """As `page`, for a client of the authorization server. Raises ValueError for one without a secret."""
    if made.client_secret is None:
        raise ValueError("this client has no secret to show")
    context = {
        **admin.site.each_context(request),
        "title": title,
        "client_id": made.client_id,
        "client_secret": made.client_secret.reveal(),
        "token_endpoint": made.token_endpoint,
        "back": back,
        **more,
    }
    response = TemplateResponse(request, "admin/client_shown_once.html", context)
    response["Cache-Control"] = "no-store"
    return response
