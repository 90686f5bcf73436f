"""Error pages: what happened, what to do, and the request id to quote."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _


def _page(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    context = {
        "title": title,
        "text": text,
        "status": status,
        "request_id": getattr(request, "portal_request_id", ""),
    }
    return render(request, "errors/error.html", context, status=status)


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return _page(request, 400, _("This request cannot be read"), _("Go back and try again."))


def forbidden(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return _page(request, 403, _("You may not do this"), _("Ask an administrator if you think you should be able to."))


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return _page(request, 404, _("There is nothing here"), _("Check the address, or start again from where you came."))


def server_error(request: HttpRequest) -> HttpResponse:
    text = _("It has been noted. Try again in a moment; if it stays, tell your administrator the number below.")
    return _page(request, 500, _("Something went wrong on our side"), text)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    text = _("The form was open too long, or cookies are blocked. Reload the page and send it again.")
    return _page(request, 403, _("This form is no longer valid"), text)
