"""The way through consent: look, decide, come back from the provider."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST, require_safe

from apps.broker import contracts as c
from apps.broker import page_gate
from apps.broker.run import run
from apps.core import clock
from apps.core.errors import Invalid, NotAllowed, NotFound
from apps.core.secret import Secret
from apps.entrypoints.consent import browser_tickets, durations, results
from apps.entrypoints.consent.http import SeeOther, leaving, page, person, require_named_origin, who
from apps.entrypoints.consent.problems import explained


@require_safe
@explained
def consent(request: HttpRequest, *, session: str) -> HttpResponse:
    """Shows the request; deciding is a POST."""
    shown = _look(request, session)
    if shown.needs_sign_in:
        return SeeOther(_sign_in_first(session))
    minutes = max(1, -int((clock.now() - shown.expires_at).total_seconds() // 60))
    context = {
        "shown": shown,
        "session": session,
        "account": person(request),
        "durations": durations.choices(shown.max_life_s),
        "minutes_left": minutes,
    }
    return page(request, "consent/consent.html", context)


@require_POST
@explained
def decision(request: HttpRequest, *, session: str) -> HttpResponse:
    """Approve or decline. Answers a page that goes on by itself, never a redirect: Chromium holds the whole chain
    after a form against `form-action`, and stops it without a word."""
    require_named_origin(request)
    caller = page_gate.for_session(session, **who(request))
    try:
        command = _decision(request, session)
    except Invalid as bad:
        page_gate.record_rejection(caller, bad)
        raise
    try:
        outcome = run(command, caller)
    except NotAllowed as refusal:
        if refusal.reason == "consent_sign_in":
            return SeeOther(_sign_in_first(session))
        raise
    if isinstance(outcome, c.Approved):
        return _hand_over(request, outcome)
    return _declined(request, outcome)


def _decision(request: HttpRequest, session: str) -> c.DecideConsent:
    wanted = request.POST.getlist("decision")
    if wanted not in (["approve"], ["decline"]):
        raise Invalid.field("decision", "Either approve or decline.", reason="decision_invalid")
    approve = wanted == ["approve"]
    user = person(request)
    return c.DecideConsent(
        ticket=Secret(session),
        user_id=user.id if user else None,
        approve=approve,
        life_s=durations.read(request.POST.get("duration")) if approve else None,
    )


def _hand_over(request: HttpRequest, approved: c.Approved) -> HttpResponse:
    leaving(approved.authorization_url)
    response = page(request, "consent/handover.html", {"approved": approved}, referrer="no-referrer")
    browser_tickets.add(
        request,
        response,
        authorization_url=approved.authorization_url,
        ticket=approved.browser,
        lives_s=approved.lives_s,
    )
    return response


def _declined(request: HttpRequest, declined: c.Declined) -> HttpResponse:
    if declined.return_to is not None:
        leaving(declined.return_to)
    return page(request, "consent/declined.html", {"declined": declined}, referrer="no-referrer")


@require_GET
@explained
def callback(request: HttpRequest, *, callback_id: str) -> HttpResponse:
    """The provider sends the browser here. Repeated parameters are kept: they are a reason to refuse."""
    query = tuple(parse_qsl(request.META.get("QUERY_STRING", ""), keep_blank_values=True))
    user = person(request)
    command = c.HandleCallback(
        callback_id=callback_id,
        query=query,
        browser=browser_tickets.find(request, query),
        user_id=user.id if user else None,
    )
    outcome = run(command, page_gate.for_callback(callback_id, **who(request)))
    if isinstance(outcome, c.SentBack):
        return SeeOther(outcome.url, referrer="no-referrer")
    # On to an address without code and state in it, which can be reloaded.
    return SeeOther(reverse("connect:done", args=[results.keep(request, outcome)]), referrer="no-referrer")


@require_safe
@explained
def done(request: HttpRequest, *, session: str) -> HttpResponse:
    """How it ended, for the browser that was there; everybody else gets what the link itself answers."""
    result = results.find(request, session)
    if result is not None:
        return page(request, "consent/done.html", {"result": result}, referrer="no-referrer")
    _look(request, session)
    return SeeOther(reverse("connect:consent", args=[session]))


@require_safe
@explained
def problem(request: HttpRequest, *, session: str) -> HttpResponse:
    """Why a link does not work; a link that works is opened."""
    _look(request, session)
    return SeeOther(reverse("connect:consent", args=[session]))


def _look(request: HttpRequest, session: str) -> c.ConsentPage:
    user = person(request)
    command = c.ShowConsent(ticket=Secret(session), user_id=user.id if user else None)
    shown = run(command, page_gate.for_session(session, **who(request)))
    if not isinstance(shown, c.ConsentPage):
        raise NotFound("There is no such consent request.", reason="session_not_found")
    return shown


def _sign_in_first(session: str) -> str:
    link = reverse("connect:consent", args=[session])
    return f"{reverse('connect:signin')}?{urlencode({'next': link}, quote_via=quote, safe='/')}"
