"""A person is asked whether an application may act for them at the portal itself (RFC 6749 section 4.1)."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from apps.authn.oauth.errors import AuthorizationRefused, OAuthRefused
from apps.authn.oauth.forms import read_pairs
from apps.broker import oauth_gate
from apps.broker.authorization_server import contracts as c
from apps.broker.run import run
from apps.core.errors import Code, Invalid, PortalError
from apps.entrypoints.consent.http import (
    SeeOther,
    leaving,
    own_path,
    page,
    person,
    request_id,
    require_named_origin,
    who,
)

_STATUS = {Code.NOT_FOUND: 404, Code.NOT_ALLOWED: 403, Code.THROTTLED: 429, Code.UNAVAILABLE: 503, Code.BROKEN: 500}


@require_http_methods(["GET", "HEAD", "POST"])
def authorize(request: HttpRequest, *, slug: str) -> HttpResponse:
    """Shows the request; deciding is a POST to the same address, and everything is checked again."""
    if request.method == "POST":
        require_named_origin(request)
    try:
        caller, _ = oauth_gate.person_of(slug, **who(request))
        try:
            parameters = read_pairs(request.META.get("QUERY_STRING", ""))
            approve = _decision(request) if request.method == "POST" else False
        except (OAuthRefused, Invalid) as bad:
            oauth_gate.record_rejection(caller, bad)
            raise
        user = person(request)
        if request.method != "POST" or user is None:
            shown = run(c.ViewAuthorization(parameters=parameters, user_id=user.id if user else None), caller)
            return _ask(request, shown)
        given = run(c.DecideAuthorization(parameters=parameters, user_id=user.id, approve=approve), caller)
        return _hand_over(request, given.return_to.reveal(), given.client_name)
    except AuthorizationRefused as refused:
        if refused.return_to is None:
            return _problem(request, refused)
        leaving(refused.return_to)
        if request.method == "POST":
            # Chromium holds the redirect after a form against `form-action`: a page that goes on by itself instead.
            return _hand_over(request, refused.return_to, "")
        return SeeOther(refused.return_to, referrer="no-referrer")
    except PortalError as refused:
        return _problem(request, refused)


def _decision(request: HttpRequest) -> bool:
    wanted = request.POST.getlist("decision")
    if wanted not in (["approve"], ["decline"]):
        raise Invalid.field("decision", "Either approve or decline.", reason="decision_invalid")
    return wanted == ["approve"]


def _ask(request: HttpRequest, shown: c.AuthorizationPage) -> HttpResponse:
    here = own_path(request.get_full_path())
    if here is None:
        raise OAuthRefused("invalid_request", reason="address_too_long")
    if shown.needs_sign_in:
        return SeeOther(f"{reverse('connect:signin')}?{urlencode({'next': here}, quote_via=quote, safe='/')}")
    return page(request, "oauth/authorize.html", {"shown": shown, "here": here, "account": person(request)})


def _hand_over(request: HttpRequest, return_to: str, client_name: str) -> HttpResponse:
    leaving(return_to)
    context = {"return_to": return_to, "client": client_name}
    return page(request, "oauth/handover.html", context, referrer="no-referrer")


def _problem(request: HttpRequest, refused: PortalError) -> HttpResponse:
    """Nobody is sent anywhere: what is wrong is the application's, and may be an attack on the person."""
    context = {"reason": refused.reason, "request_id": request_id(request)}
    status = _STATUS.get(refused.code, 400)
    return page(request, "oauth/problem.html", context, status=status, referrer="no-referrer")
