"""Signing in and out of the portal."""

from __future__ import annotations

from django.contrib import auth
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.broker import page_gate
from apps.entrypoints.consent import passwords
from apps.entrypoints.consent.http import SeeOther, own_path, page, person, request_id, require_named_origin, source_ip
from apps.tenants.models import Membership, User

LOCKED_FOR_S = 15 * 60


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The front door leads people to what is theirs."""
    user = person(request)
    response = HttpResponseRedirect(reverse("connect:signin") if user is None else _home(user))
    response["Cache-Control"] = "no-store"
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The form, and its answer. A password in the address is refused: addresses are logged."""
    if request.method == "POST":
        return _attempt(request)
    if "password" in request.GET:
        return HttpResponseNotAllowed(["POST"])
    user = person(request)
    going_to = own_path(request.GET.get("next", ""))
    if user is not None:
        return SeeOther(going_to or _home(user))
    return _form(request, going_to)


def _attempt(request: HttpRequest) -> HttpResponse:
    require_named_origin(request)
    going_to = own_path(request.POST.get("next", ""))
    checked = passwords.check(request, email=request.POST.get("email", ""), password=request.POST.get("password", ""))
    page_gate.record_sign_in(
        user=checked.user, problem=checked.problem, request_id=request_id(request), source_ip=source_ip(request)
    )
    if checked.user is None:
        response = _form(request, going_to, email=request.POST.get("email", ""), refused=True)
        if checked.problem == passwords.LOCKED_OUT:
            response.status_code = 429
            response["Retry-After"] = str(LOCKED_FOR_S)
        return response
    auth.login(request, checked.user, backend="django.contrib.auth.backends.ModelBackend")
    return SeeOther(going_to or _home(checked.user))


def _form(request: HttpRequest, going_to: str | None, *, email: str = "", refused: bool = False) -> HttpResponse:
    context = {"next": going_to or "", "email": email[:254], "refused": refused}
    return page(request, "signin/signin.html", context, status=403 if refused else 200)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    require_named_origin(request)
    auth.logout(request)
    return SeeOther(own_path(request.POST.get("next", "")) or reverse("connect:signin"))


@require_safe
def me(request: HttpRequest) -> HttpResponse:
    """Who I am here."""
    user = person(request)
    if user is None:
        return SeeOther(f"{reverse('connect:signin')}?next={reverse('connect:me')}")
    memberships = Membership.objects.filter(user=user).select_related("tenant").order_by("tenant__name")
    return page(request, "signin/me.html", {"account": user, "memberships": list(memberships)})


def _home(user: User) -> str:
    return reverse("admin:index") if user.is_staff else reverse("connect:me")
