"""What went wrong, for a person: what happened, what they can do, and a number to quote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.broker.consent.returns import ProviderDeclined
from apps.core.errors import Code, PortalError
from apps.entrypoints.consent.http import leaving, page, person

STATUS: dict[Code, int] = {
    Code.UNREADABLE: 400,
    Code.INVALID: 400,
    Code.UNAUTHENTICATED: 403,
    Code.NOT_ALLOWED: 403,
    Code.NOT_FOUND: 404,
    Code.CONFLICT: 409,
    Code.GONE: 410,
    Code.QUOTA: 429,
    Code.THROTTLED: 429,
    Code.NOT_SUPPORTED: 400,
    Code.UPSTREAM_REFUSED: 502,
    Code.UPSTREAM_UNAVAILABLE: 503,
    Code.SEAL_BROKEN: 500,
    Code.UNAVAILABLE: 503,
    Code.BROKEN: 500,
}


@dataclass(frozen=True, slots=True)
class Problem:
    title: Promise
    happened: Promise
    next: Promise


_ASK_AGAIN = _("Go back to the application or chat that gave you the link and ask again there: you get a new link.")
_TELL_ADMIN = _("Try again later. If it stays like this, give your administrator the request number below.")

PROBLEMS: dict[str, Problem] = {
    "expired": Problem(
        _("This request has expired"),
        _("A request stays open for some minutes only, and this one was not finished in time. Nothing was shared."),
        _ASK_AGAIN,
    ),
    "used": Problem(
        _("This link was already used"),
        _("A link works once, and this request was answered already."),
        _("If you did not answer it yourself, tell your administrator. Otherwise ask again in the application "
          "if access is still needed: you get a new link."),
    ),
    "superseded": Problem(
        _("A newer request replaced this one"),
        _("The application asked again, and only its latest links work. Nothing was shared through this one."),
        _("Go back to the application or chat and use the link it showed last."),
    ),
    "wrong_user": Problem(
        _("This request is for another account"),
        _("It was started for another account than the one you are using. Nothing was shared, and the attempt was "
          "recorded."),
        _("If the request is yours, sign in with the account you use in that application. If somebody sent you this "
          "link, do not go on, and tell your administrator."),
    ),
    "denied": Problem(
        _("This request was declined"),
        _("The answer was no. Nothing was shared."),
        _("If that was a mistake, ask again in the application: you get a new link."),
    ),
    "provider_denied": Problem(
        _("Access was declined at the provider"),
        _("You, or the provider itself, said no on the provider's own page. Nothing was shared."),
        _("If that was a mistake, ask again in the application: you get a new link."),
    ),
    "provider_error": Problem(
        _("The provider answered with an error"),
        _("The provider did not complete the connection. Nothing was shared."),
        _TELL_ADMIN,
    ),
    "provider_down": Problem(
        _("The provider did not answer"),
        _("The provider could not be reached in time, so the connection was not made."),
        _("Wait a moment, then ask again in the application: you get a new link."),
    ),
    "provider_changed": Problem(
        _("The provider's settings changed"),
        _("An administrator changed how this provider is reached while your request was open, so it was stopped. "
          "Nothing was shared."),
        _ASK_AGAIN,
    ),
    "provider_gone": Problem(
        _("This provider is not available"),
        _("Your organisation removed or suspended this provider. Nothing was shared."),
        _("Ask your administrator whether it will come back."),
    ),
    "not_bound": Problem(
        _("This agent may no longer ask for this"),
        _("Your organisation changed what this agent may use since the request was made. Nothing was shared."),
        _("Ask your administrator, or the agent's owner, whether it should have this access."),
    ),
    "agent_suspended": Problem(
        _("This agent is suspended"),
        _("Your organisation stopped this agent. It cannot be given access now, and nothing was shared."),
        _("Ask your administrator, or the agent's owner, whether it will be allowed to work again."),
    ),
    "id_token_invalid": Problem(
        _("The provider's answer could not be trusted"),
        _("What the provider said about who signed in did not hold. Nothing was kept."),
        _TELL_ADMIN,
    ),
    "too_many_attempts": Problem(
        _("Too many failed attempts"),
        _("This request was closed because it was opened too often with the wrong account. Nothing was shared."),
        _ASK_AGAIN,
    ),
    "callback_invalid": Problem(
        _("This answer does not belong to an open request"),
        _("The provider's answer was refused: it was used before, came too late, or was meant for another browser. "
          "Nothing was shared."),
        _("Do not reload this page. Go back to the application and ask again: you get a new link. Use one browser "
          "for the whole way."),
    ),
    "not_found": Problem(
        _("There is no such request"),
        _("The link is incomplete, or it was never valid."),
        _("Copy the whole link from the application or chat and open it again."),
    ),
    "invalid": Problem(
        _("The form was not filled in correctly"),
        _("Something in the form was missing or was not one of the offered choices. Nothing was decided."),
        _("Go back, choose again and send the form once more."),
    ),
    "rate_limited": Problem(
        _("Too many tries"),
        _("There were too many requests in a short time."),
        _("Wait a few minutes, then try again."),
    ),
    "unavailable": Problem(
        _("The portal cannot answer now"),
        _("A part of the portal is not available. Nothing was decided and nothing was shared."),
        _TELL_ADMIN,
    ),
    "failed": Problem(
        _("This request could not be completed"),
        _("Something went wrong, and the request was closed. Nothing was shared."),
        _("Ask again in the application. If it happens again, give your administrator the request number below."),
    ),
}  # fmt: skip
# The words of `data-state` that every page of the portal shares.
_STATES = {"agent_suspended": "suspended"}
_BY_CODE: dict[Code, str] = {
    Code.NOT_FOUND: "not_found",
    Code.INVALID: "invalid",
    Code.UNREADABLE: "invalid",
    Code.THROTTLED: "rate_limited",
    Code.QUOTA: "rate_limited",
    Code.UPSTREAM_REFUSED: "provider_error",
    Code.UPSTREAM_UNAVAILABLE: "provider_down",
    Code.UNAVAILABLE: "unavailable",
    Code.SEAL_BROKEN: "unavailable",
}


def code_of(refusal: PortalError) -> str:
    """The word the page shows. It tells a refused callback's reasons apart nowhere."""
    word = refusal.reason.removeprefix("consent_")
    return word if word in PROBLEMS else _BY_CODE.get(refusal.code, "failed")


def explained(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer a refusal with its page."""

    @wraps(view)
    def answering(request: HttpRequest, **kwargs: str) -> HttpResponse:
        try:
            return view(request, **kwargs)
        except PortalError as refusal:
            return problem_page(request, refusal, link=kwargs.get("session"))

    return answering


def problem_page(request: HttpRequest, refusal: PortalError, *, link: str | None = None) -> HttpResponse:
    """The page for a refusal. `link` is the session's ticket when the person can open the same link again.

    Where the application waits for an answer, the page goes on to it.
    """
    code = code_of(refusal)
    if code == "invalid" and link is None:
        code = "callback_invalid"
    user = person(request)
    return_to = refusal.return_to if isinstance(refusal, ProviderDeclined) else None
    if return_to is not None:
        leaving(return_to)
    switch = code == "wrong_user" and link is not None and user is not None
    response = page(
        request,
        "consent/problem.html",
        {
            "problem": PROBLEMS[code],
            "code": code,
            "state": _STATES.get(code, ""),
            "account": user if code == "wrong_user" else None,
            "switch_to": link if switch else None,
            "return_to": return_to,
        },
        status=STATUS[refusal.code],
        referrer="same-origin" if switch else "no-referrer",
    )
    if refusal.retry_after_s is not None:
        response["Retry-After"] = str(max(1, round(refusal.retry_after_s)))
    return response
