"""The pages that people see: sign in, allow or refuse, and take back."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.middleware.csrf import rotate_token
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from . import authorization, scopes
from .authorization import AuthorizationRequest
from .errors import RedirectedError, Unredirectable
from .hub import BrowserSession, Hub
from .running import the_hub
from .settings import HERE, session_cookie_name
from .tokens import end_grant
from .web import SeeOther, note

_AUTHORIZE = {scopes.OIDC: "/authorize", scopes.GITHUB: "/github/login/oauth/authorize"}
_ASSETS = {"hub.css": "text/css; charset=utf-8", "hub.svg": "image/svg+xml"}


def problem(request: HttpRequest, title: str, text: str, status: int) -> HttpResponse:
    """A page that says what went wrong."""
    return render(request, "problem.html", {"title": title, "text": text}, status=status)


def _session(request: HttpRequest) -> BrowserSession | None:
    return the_hub().session(request.COOKIES.get(session_cookie_name()))


def _account(hub: Hub, session: BrowserSession) -> dict[str, Any]:
    person = hub.person(session.sub)
    return {"sub": session.sub, "name": person.name if person else "", "username": person.username if person else ""}


# --- allowing and refusing ------------------------------------------------------------------------------------


def _read(request: HttpRequest, parameters: QueryDict, flavour: str) -> AuthorizationRequest | HttpResponse:
    hub = the_hub()
    try:
        return authorization.read(hub, parameters, flavour)
    except Unredirectable as wrong:
        note(request, error="unredirectable")
        return problem(request, "This request cannot be trusted", str(wrong), 400)
    except RedirectedError as wrong:
        note(request, error=wrong.error)
        client_id = parameters.get("client_id", "")
        return SeeOther(authorization.misunderstood(hub, wrong, client_id, flavour))


@csrf_exempt  # another site may send its request by POST (OIDC Core 3.1.2.1); nothing happens before the consent form
@require_http_methods(["GET", "HEAD", "POST"])
def authorize(request: HttpRequest, flavour: str) -> HttpResponse:
    """The authorization endpoint: sign in if need be, then show the consent page."""
    if request.method == "POST":
        return SeeOther(f"{_AUTHORIZE[flavour]}?{request.POST.urlencode()}")
    asked = _read(request, request.GET, flavour)
    if isinstance(asked, HttpResponse):
        return asked
    hub, session = the_hub(), _session(request)
    if session is None or _must_sign_in_again(hub, asked, session):
        if "none" in asked.prompts:
            return SeeOther(authorization.refused(hub, asked, "login_required", "Nobody is signed in."))
        return _to_sign_in(request.GET, asked)
    note(request, person=_account(hub, session)["username"])
    if hub.switches.strikes("deny_consent", asked.client.client_id):
        return SeeOther(authorization.denied(hub, asked))
    if asked.client.skip_consent and "consent" not in asked.prompts:
        return SeeOther(authorization.approved(hub, asked, session))
    if "none" in asked.prompts:
        return SeeOther(authorization.refused(hub, asked, "consent_required", "The person has to be asked."))
    descriptions = scopes.catalogue(flavour)
    target = urlsplit(asked.redirect_uri)
    context = {
        "client": asked.client.name,
        "account": _account(hub, session),
        "scopes": [(scope, descriptions[scope]) for scope in asked.scopes],
        "return_to": target.netloc or f"{target.scheme}:",
        "flavour": flavour,
        "request_text": request.META.get("QUERY_STRING", ""),
        "here": request.get_full_path(),
    }
    return render(request, "consent.html", context)


def _must_sign_in_again(hub: Hub, asked: AuthorizationRequest, session: BrowserSession) -> bool:
    if asked.prompts & {"login", "select_account"}:
        return True
    return asked.max_age_s is not None and hub.now() - session.auth_time > asked.max_age_s


def _to_sign_in(parameters: QueryDict, asked: AuthorizationRequest) -> HttpResponse:
    """Go to the sign-in page and come back without the prompt that would ask for it again."""
    back = parameters.copy()
    left = " ".join(sorted(asked.prompts - {"login", "select_account"}))
    back.pop("prompt", None)
    if left:
        back["prompt"] = left
    query = {"next": f"{_AUTHORIZE[asked.flavour]}?{back.urlencode()}"}
    if asked.login_hint:
        query["hint"] = asked.login_hint[:100]
    return SeeOther(f"/signin?{urlencode(query)}")


@require_POST
def decide(request: HttpRequest) -> HttpResponse:
    """Receive the consent form. The request is read and checked anew: what the form says proves nothing."""
    flavour, query = request.POST.get("flavour", ""), request.POST.get("request", "")
    decision = request.POST.get("decision", "")
    if flavour not in _AUTHORIZE or decision not in ("approve", "deny"):
        return problem(request, "Something is missing", "The form was not complete. Nothing was allowed.", 400)
    parameters = QueryDict(query)
    asked = _read(request, parameters, flavour)
    if isinstance(asked, HttpResponse):
        return asked
    hub, session = the_hub(), _session(request)
    if session is None or session.sub != request.POST.get("seen_as"):
        # Signed out, or in as somebody else in another tab, since the page was shown: show it again.
        return SeeOther(f"{_AUTHORIZE[flavour]}?{query}")
    note(request, person=_account(hub, session)["username"], client_id=asked.client.client_id, decision=decision)
    if decision == "deny":
        return SeeOther(authorization.denied(hub, asked))
    return SeeOther(authorization.approved(hub, asked, session))


# --- signing in and out ---------------------------------------------------------------------------------------


def _own_path(text: str) -> str:
    """A path of ours to go to next; anything else, such as `//elsewhere.example`, becomes the start page."""
    parts = urlsplit(text)
    ours = not parts.scheme and not parts.netloc and parts.path in _AUTHORIZE.values()
    return text if ours and text.startswith("/") else "/"


@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """User name and password."""
    hub = the_hub()
    if request.method != "POST":
        context = {"next": _own_path(request.GET.get("next", "")), "username": request.GET.get("hint", "")[:100]}
        return render(request, "signin.html", context)
    going_to = _own_path(request.POST.get("next", ""))
    username = request.POST.get("username", "")
    person = hub.check_password(username, request.POST.get("password", ""))
    if person is None:
        note(request, error="wrong_password")
        return render(request, "signin.html", {"next": going_to, "username": username[:100], "wrong": True})
    note(request, person=person.username)
    hub.close_session(request.COOKIES.get(session_cookie_name()))
    rotate_token(request)
    response = SeeOther(going_to)
    response.set_cookie(
        session_cookie_name(),
        hub.open_session(person),
        httponly=True,
        samesite="Lax",
        secure=bool(settings.CSRF_COOKIE_SECURE),
    )
    return response


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session and offer to sign in as somebody else."""
    the_hub().close_session(request.COOKIES.get(session_cookie_name()))
    response = SeeOther(f"/signin?next={quote(_own_path(request.POST.get('next', '')), safe='')}")
    response.delete_cookie(session_cookie_name(), samesite="Lax")
    return response


# --- the account page -----------------------------------------------------------------------------------------


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The start page: which applications may use the account."""
    hub, session = the_hub(), _session(request)
    if session is None:
        return render(request, "home.html", {})
    with hub.lock:
        mine = [grant for grant in hub.state.grants.values() if grant.sub == session.sub and not grant.ended_at]
        named = [(grant, hub.state.clients.get(grant.client_id)) for grant in mine]
    apps = [
        {
            "grant_id": grant.grant_id,
            "name": client.name if client else grant.client_id,
            "scopes": [(scope, scopes.catalogue(grant.flavour)[scope]) for scope in grant.scopes],
        }
        for grant, client in named
    ]
    return render(request, "home.html", {"account": _account(hub, session), "apps": apps})


@require_POST
def withdraw(request: HttpRequest) -> HttpResponse:
    """Take an application's access back."""
    hub, session = the_hub(), _session(request)
    if session is None:
        return SeeOther("/signin")
    grant_id = request.POST.get("grant", "")
    with hub.lock:
        grant = hub.state.grants.get(grant_id)
        if grant is not None and grant.sub == session.sub:
            end_grant(hub, grant_id, "withdrawn_by_person")
    return SeeOther("/")


@require_safe
def demo_app_landing(request: HttpRequest) -> HttpResponse:
    """Where Demo App's sign-in ends in a browser. The code in the address is left for the program that waits."""
    return render(request, "landing.html", {"failed": "error" in request.GET})


# --- the rest -------------------------------------------------------------------------------------------------


@require_safe
def asset(request: HttpRequest, name: str) -> HttpResponse:
    """The style sheet and the icon."""
    if name not in _ASSETS:
        return not_found(request)
    content = (HERE / "assets" / name).read_bytes()
    return HttpResponse(content, content_type=_ASSETS[name], headers={"Cache-Control": "max-age=300"})


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without the proof that it came from a page of ours."""
    note(request, error="csrf")
    text = "This form was not sent from a page of Demo Hub, or the page was too old. Go back and try again."
    return problem(request, "Please try again", text, 403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Nothing is here."""
    return problem(request, "Nothing is here", "Demo Hub has no page at this address.", 404)


def broken(request: HttpRequest) -> HttpResponse:
    """A mistake of ours; the traceback is on standard error."""
    return problem(request, "Something broke", "Demo Hub made a mistake. Trying again may help.", 500)
