"""Tenants: their settings for owners, the list and new ones for platform staff."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from apps.broker import contracts as c
from apps.broker.control_plane.tenants import NewTenant, create_tenant
from apps.entrypoints.console import cells, shown_once
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.desk import desk, is_platform_admin
from apps.entrypoints.console.forms import CommandForm, choice, switch, text
from apps.tenants.models import Tenant
from apps.tenants.scope import in_scope

_CLAIMS = _("Development only: the first signed-in person to approve a request claims its user id.")


def _seconds(label: Any, low: int, high: int) -> forms.IntegerField:
    return forms.IntegerField(
        label=label, min_value=low, max_value=high, widget=UnfoldAdminIntegerFieldWidget(), help_text=_("Seconds.")
    )


class AddTenantForm(CommandForm):
    slug = text(label=_("Slug"), max_length=63, help_text=_("3 to 63 lower-case letters, digits and dashes."))
    name = text(label=_("Name"), max_length=200, required=False)
    closed = switch(
        label=_("Closed"),
        initial=True,
        help_text=_("Nothing without a binding. Off: any agent may use any provider of the tenant, as on AWS."),
    )
    claim_user_ids = switch(label=_("Claim user ids"), help_text=_CLAIMS)


class SettingsForm(CommandForm):
    name = text(label=_("Name"), max_length=200)
    binding_mode = choice(Tenant.BindingMode.choices, label=_("Bindings"))
    claim_user_ids = switch(label=_("Claim user ids"), help_text=_CLAIMS)
    workload_token_life_s = _seconds(_("Workload tokens live"), 300, 43_200)
    consent_session_life_s = _seconds(_("Consent requests stay open"), 60, 3_600)
    stale_issuer_keys_s = _seconds(_("Issuers' keys are used when they cannot be refreshed"), 0, 259_200)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.update({name: getattr(self.instance, name) for name in self.fields})

    def command(self) -> c.UpdateTenant:
        return c.UpdateTenant(**{name: self.cleaned_data[name] for name in self.fields})


@admin.register(Tenant)
class TenantAdmin(ConsoleAdmin):
    see, create, alter = "agent.list", "tenant.create", "tenant.update"
    keyset = ("slug", "id")
    row_testid = "tenant-row"
    add_form, change_form = AddTenantForm, SettingsForm

    list_display = ("slug", "name", "account_id", "state", "binding_mode", "made")
    list_filter = ()
    search_fields = ("slug__icontains", "name__icontains", "account_id__exact")
    search_help_text = _("Slug, name or account")

    add_fieldsets = ((None, {"fields": ("slug", "name", "closed", "claim_user_ids")}),)
    _lives = ("workload_token_life_s", "consent_session_life_s", "stale_issuer_keys_s")
    change_fieldsets = (
        (None, {"fields": ("slug", "account", "state", "name", "made")}),
        (_("Bindings"), {"fields": ("binding_mode", "unbound")}),
        (_("Lifetimes"), {"fields": _lives}),
        (_("People"), {"fields": ("claim_user_ids",)}),
    )
    show_fieldsets = (
        (None, {"fields": ("slug", "account", "state", "name", "made")}),
        (_("Settings"), {"fields": ("binding_mode", *_lives, "claim_user_ids")}),
    )

    @display(description=_("status"))
    def state(self, obj: Tenant) -> SafeString:
        return cells.pill(obj.status, obj.get_status_display())

    @display(description=_("account"))
    def account(self, obj: Tenant) -> SafeString:
        return cells.copyable(obj.account_id)

    @display(description=_("made"))
    def made(self, obj: Tenant) -> SafeString:
        return cells.when(obj.created_at)

    @display(description=_("in use without a binding"))
    def unbound(self, obj: Tenant) -> SafeString:
        """A page of its own: it looks through the trail, and looking is recorded."""
        return cells.link(reverse("admin:bindings_in_use"), _("see what closing would deny"))

    def get_queryset(self, request: HttpRequest) -> Any:
        # A platform table: for everybody but platform staff this line is the wall.
        if is_platform_admin(request):
            return Tenant.objects.all()
        here = desk(request)
        return Tenant.objects.filter(id=here.tenant.id) if here and here.tenant else Tenant.objects.none()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only in the tenant one works in, so that the change is in its trail."""
        here = desk(request)
        inside = here is not None and here.tenant is not None and in_scope()
        same = obj is None or (here is not None and here.tenant is not None and obj.pk == here.tenant.pk)
        return inside and same and super().has_change_permission(request)

    def act_of(self, request: HttpRequest, form: CommandForm) -> Any:
        if not isinstance(form, AddTenantForm):
            return super().act_of(request, form)
        data, by = form.cleaned_data, str(request.user.pk)
        return lambda: create_tenant(
            slug=data["slug"], name=data["name"], closed=data["closed"], dev=data["claim_user_ids"], by=by
        )

    def saved(self, request: HttpRequest, target: Any, form: CommandForm, outcome: Any) -> HttpResponse:
        if not isinstance(outcome, NewTenant):
            return super().saved(request, target, form, outcome)
        made: dict[str, Any] = {"tenant": outcome.tenant, "endpoint_url": outcome.endpoint_url, "opts": self.opts}
        return shown_once.page(request, outcome.key, title=_("Tenant made"), back=self.list_url(), **made)
