"""How long a portal session lives: half an hour without use, twelve hours in all, and never past its person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest, HttpResponse

from apps.core import clock

SIGNED_IN_AT = "signed_in_at"
SEEN_AT = "seen_at"
_NOTE_EVERY_S = 60  # a use is written down once a minute, not on every request


class SessionLimitsMiddleware:
    """Put it after AuthenticationMiddleware.

    A session ends when it is not used for SESSION_IDLE_S, when it is SESSION_COOKIE_AGE old, and when its account
    was deactivated or removed: reactivating the account does not bring the session back.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if auth.SESSION_KEY in request.session:
            if not request.user.is_authenticated or _is_over(request):
                auth.logout(request)
            else:
                _note_use(request)
        return self.get_response(request)


def _is_over(request: HttpRequest) -> bool:
    now = clock.now().timestamp()
    signed_in_at, seen_at = request.session.get(SIGNED_IN_AT), request.session.get(SEEN_AT)
    if not isinstance(signed_in_at, int | float) or not isinstance(seen_at, int | float):
        return True  # not made by a sign-in we know
    return now - signed_in_at >= settings.SESSION_COOKIE_AGE or now - seen_at >= settings.SESSION_IDLE_S


def _note_use(request: HttpRequest) -> None:
    now = clock.now().timestamp()
    if now - float(request.session[SEEN_AT]) >= _NOTE_EVERY_S:
        request.session[SEEN_AT] = now


def start_of_session(sender: Any, request: HttpRequest, **_: Any) -> None:
    """Every sign-in, through whatever page, starts both clocks."""
    request.session[SIGNED_IN_AT] = request.session[SEEN_AT] = clock.now().timestamp()


def watch_sign_ins() -> None:
    user_logged_in.connect(start_of_session, dispatch_uid="portal.session_start")
