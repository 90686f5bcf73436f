"""Choosing the tenant to work in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from apps.broker.control_plane.enter import EnterTenant
from apps.broker.run import run
from apps.core.errors import PortalError
from apps.entrypoints.console import choice
from apps.entrypoints.console.deferred import Deferred
from apps.entrypoints.console.middleware import caller_for
from apps.tenants.models import Tenant, User

_SHOWN = 50


class ChooseForm(forms.Form):
    tenant = forms.UUIDField()
    why = forms.CharField(required=False, max_length=500)


def choose(request: HttpRequest) -> HttpResponse:
    """GET lists the tenants open to this person, POST enters one."""
    user = request.user
    if not isinstance(user, User):
        raise Http404
    if request.method == "POST":
        return _enter(request, user)
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "POST"])
    return _page(request, user)


def _enter(request: HttpRequest, user: User) -> HttpResponse:
    form = ChooseForm(request.POST)
    if not form.is_valid():
        return _page(request, user, problem=_("Choose one of these."))
    wanted: UUID = form.cleaned_data["tenant"]
    tenant = choice.open_to(user).filter(id=wanted).first()
    if tenant is None:
        raise Http404  # absent and not open to you are the same answer
    if not user.is_platform_admin:
        return _entered(request, tenant)
    command, caller = EnterTenant(why=form.cleaned_data["why"]), caller_for(request, user, tenant)
    return Deferred(
        lambda: run(command, caller),
        done=lambda _outcome: _entered(request, tenant),
        refused=lambda refusal: _not_entered(request, user, refusal),
    )


def _entered(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    choice.choose(request, tenant)
    return redirect(_next(request) or reverse("admin:index"))


def _not_entered(request: HttpRequest, user: User, refusal: PortalError) -> HttpResponse:
    return _page(request, user, problem=refusal.public)


def _next(request: HttpRequest) -> str:
    """Where to go on, only inside the console of this host."""
    text = request.POST.get("next") or request.GET.get("next") or ""
    inside = text.startswith(reverse("admin:index")) and url_has_allowed_host_and_scheme(text, allowed_hosts=None)
    return text if inside else ""


def _page(request: HttpRequest, user: User, *, problem: str = "") -> TemplateResponse:
    sought = request.GET.get("q", "").strip()[:100]
    rows = choice.open_to(user).order_by("slug")
    if sought:
        rows = rows.filter(Q(slug__icontains=sought) | Q(name__icontains=sought) | Q(account_id=sought))
    tenants = list(rows[: _SHOWN + 1])
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Choose a tenant"),
        "tenants": tenants[:_SHOWN],
        "more": len(tenants) > _SHOWN,
        "sought": sought,
        "recorded": user.is_platform_admin,
        "problem": problem,
        "next": _next(request),
    }
    return TemplateResponse(request, "admin/choose.html", context)
