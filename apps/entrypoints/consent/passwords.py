"""Checking an e-mail address and a password, with the lock-out in front."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from django.contrib import auth
from django.http import HttpRequest

from apps.entrypoints.consent.http import source_ip
from apps.tenants.models import User

REFUSED = "password_refused"
LOCKED_OUT = "locked_out"
_LONGEST_EMAIL = 254
_LONGEST_PASSWORD = 1024  # hashing costs time: nobody gets to choose how much


@dataclass(frozen=True, slots=True)
class Checked:
    """Who it is, or why not (`password_refused`, `locked_out`)."""

    user: User | None
    problem: str


def check(request: HttpRequest, *, email: str, password: str) -> Checked:
    """Compare the password of an active account.

    Every refusal takes the same road, with one password hash on it, so that neither words nor time tell whether
    the account exists.
    """
    email = email.strip().lower()
    if not email or len(email) > _LONGEST_EMAIL or any(unicodedata.category(char)[0] == "C" for char in email):
        email = "-"  # nobody's address: refused, and counted
    attempt = _bare(request)
    # By the name the user model gives it: the lock-out counts under that name and would see nobody under another.
    user = auth.authenticate(attempt, email=email, password=password[:_LONGEST_PASSWORD])
    if isinstance(user, User) and len(password) <= _LONGEST_PASSWORD:
        return Checked(user, "")
    return Checked(None, LOCKED_OUT if getattr(attempt, "axes_locked_out", False) else REFUSED)


def _bare(request: HttpRequest) -> HttpRequest:
    """What the lock-out may know of a request. It keeps attempts with their form and query in clear, and those
    hold the CSRF token and, in `next`, the ticket of a consent session."""
    bare = HttpRequest()
    bare.method = "POST"
    bare.path = bare.path_info = "/signin/"
    bare.META = {name: request.META[name] for name in ("HTTP_USER_AGENT", "HTTP_ACCEPT") if name in request.META}
    address = source_ip(request)
    if address is not None:
        bare.META["REMOTE_ADDR"] = address
    return bare
