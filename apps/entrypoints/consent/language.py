"""Choosing the language of the pages."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from apps.entrypoints.consent.http import SeeOther, own_path, page, require_named_origin


@require_http_methods(["GET", "HEAD", "POST"])
def language(request: HttpRequest) -> HttpResponse:
    """The list of languages; choosing one sets a cookie and goes back to `next`."""
    if request.method != "POST":
        context = {"next": own_path(request.GET.get("next", "")) or "/", "languages": settings.LANGUAGES}
        return page(request, "signin/language.html", context)
    require_named_origin(request)
    chosen = request.POST.get("language", "")
    response = SeeOther(own_path(request.POST.get("next", "")) or "/")
    if chosen in dict(settings.LANGUAGES):
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            chosen,
            max_age=365 * 86_400,
            path="/",
            secure=settings.LANGUAGE_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response
