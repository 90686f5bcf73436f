"""The console works for one tenant at a time, inside its scope."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import Resolver404, resolve, reverse
from django.utils.translation import gettext as _

from apps.authn.caller import Caller, CallerKind
from apps.entrypoints.console import choice
from apps.entrypoints.console.deferred import Deferred, reading
from apps.entrypoints.console.desk import PLATFORM_ADMIN, Desk, desk
from apps.tenants.models import Tenant, User

_PATH = "/console/"
# Pages that work without a tenant; platform staff also need those about tenants themselves.
_WITHOUT_TENANT = frozenset({"choose", "logout", "login", "jsi18n"})
_PLATFORM_PAGES = ("tenants_tenant_", "tenants_user_", "audit_operatorrecord_", "axes_")


class TenantMiddleware:
    """Opens the chosen tenant's scope around console pages, rendering included, and swaps the security policy.

    Everywhere else it does nothing: unfold needs a weaker policy than any other page may have.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(_PATH):
            return self.get_response(request)
        # Forms here carry client secrets: an error report must not.
        request.sensitive_post_parameters = "__ALL__"  # type: ignore[attr-defined]
        try:
            response = self._answer(request)
        except (PermissionDenied, Http404, SuspiciousOperation, BadRequest) as refusal:
            refused = self.process_exception(request, refusal)
            if not isinstance(refused, TemplateResponse):
                raise
            response = refused.render()
        response._csp_config = settings.CONSOLE_CONTENT_SECURITY_POLICY["DIRECTIVES"]  # type: ignore[attr-defined]
        response["Cache-Control"] = "no-store"
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Refusals inside the console keep its frame, and say no more than the status."""
        if not request.path_info.startswith(_PATH):
            return None
        match exception:
            case PermissionDenied():
                return _refused(request, 403)
            case Http404():
                return _refused(request, 404)
            case SuspiciousOperation() | BadRequest():
                return _refused(request, 400)
        return None

    def _answer(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if not isinstance(user, User) or not user.is_authenticated:
            return to_sign_in(request)
        if not user.is_staff:
            raise PermissionDenied("no operating role")
        page = _page_name(request)
        found = choice.current(request, user)
        request.portal_desk = _desk(request, user, found)  # type: ignore[attr-defined]
        request.portal_caller = request.portal_desk.caller  # type: ignore[attr-defined]
        if found is None and not _works_without(page, user):
            return _go(request, f"{reverse('admin:choose')}?{urlencode({'next': request.get_full_path()})}")
        # Entering another tenant must not happen inside this one's scope.
        tenant_id = found[0].id if found is not None and page not in _WITHOUT_TENANT else None
        with reading(tenant_id):
            response = self.get_response(request)
        if not isinstance(response, Deferred):
            return response
        answer = response.act()
        with reading(tenant_id):
            final = answer()
            return final.render() if isinstance(final, TemplateResponse) else final


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """To the portal's own sign-in, and back to this page afterwards."""
    return _go(request, f"{settings.LOGIN_URL}?{urlencode({'next': request.get_full_path()})}")


def _go(request: HttpRequest, url: str) -> HttpResponse:
    if request.headers.get("HX-Request"):  # a fragment request cannot follow a redirect to another page
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def _page_name(request: HttpRequest) -> str:
    try:
        return resolve(request.path_info).url_name or ""
    except Resolver404:
        return ""


def _works_without(page: str, user: User) -> bool:
    return page in _WITHOUT_TENANT or (user.is_platform_admin and page.startswith(_PLATFORM_PAGES))


def _desk(request: HttpRequest, user: User, found: tuple[Tenant, str] | None) -> Desk:
    if found is None:
        # Without a tenant only platform staff have rights at all, and only to platform pages.
        return Desk(role=PLATFORM_ADMIN if user.is_platform_admin else "")
    tenant, role = found
    return Desk(role=role, tenant=tenant, caller=caller_for(request, user, tenant))


def caller_for(request: HttpRequest, user: User, tenant: Tenant) -> Caller:
    """The signed-in person as the broker sees them."""
    return Caller(
        tenant_id=tenant.id,
        account_id=tenant.account_id,
        kind=CallerKind.PERSON,
        name=str(user.id),
        row_id=user.id,
        proof="session",
        request_id=str(getattr(request, "portal_request_id", "")),
        source_ip=_source_ip(request),
    )


def _source_ip(request: HttpRequest) -> str | None:
    """The peer's address; None on a Unix socket. Forwarding headers are not believed."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def _refused(request: HttpRequest, status: int) -> TemplateResponse:
    words = {
        400: (_("This request cannot be read"), _("Go back and try again.")),
        403: (_("You may not do this"), _("Your role does not allow it. Ask an owner of this tenant.")),
        404: (_("There is nothing here"), _("It does not exist, or it is not in the tenant you work in.")),
    }
    title, text = words[status]
    from django.contrib import admin

    context = {
        **admin.site.each_context(request),
        "title": title,
        "text": text,
        "status": status,
        "request_id": getattr(request, "portal_request_id", ""),
    }
    if desk(request) is None:
        context["is_nav_sidebar_enabled"] = False  # nothing in it for a stranger
    return TemplateResponse(request, "admin/refused.html", context, status=status)
