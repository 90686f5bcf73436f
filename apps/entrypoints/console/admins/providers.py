"""Credential providers of both kinds: OAuth clients of ours, and API keys."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display
from unfold.enums import ActionVariant

from apps.broker import contracts as c
from apps.connections.models import Connection
from apps.core import names
from apps.entrypoints.console import cells, vendors
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.desk import may
from apps.entrypoints.console.dialogs import dialog
from apps.entrypoints.console.filters import one_of
from apps.entrypoints.console.forms import CommandForm, NothingForm, OptionalReasonForm, ReasonForm
from apps.entrypoints.console.provider_forms import AddApiKeyForm, AddOAuthForm, ChangeApiKeyForm, ChangeOAuthForm
from apps.providers.models import Provider
from apps.vault.models import SealedSecret

OAUTH2, API_KEY = Provider.Kind.OAUTH2, Provider.Kind.API_KEY
_RIGHT = {OAUTH2.value: "oauth_provider", API_KEY.value: "api_key_provider"}
_ADD: dict[str, type[CommandForm]] = {OAUTH2.value: AddOAuthForm, API_KEY.value: AddApiKeyForm}
_CHANGE: dict[str, type[CommandForm]] = {OAUTH2.value: ChangeOAuthForm, API_KEY.value: ChangeApiKeyForm}
_CLIENT = ("vendor", "client_id", "client_secret")
_SERVER = (
    "discovery_url",
    "tenant_id",
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "client_authentication",
)


class SuspendProviderForm(ReasonForm):
    def impact(self) -> list[str]:
        live = Connection.objects.filter(provider=self.target, status=Connection.Status.ACTIVE).count()
        return [
            ngettext(
                "%(n)d active connection gives out nothing while it is suspended.",
                "%(n)d active connections give out nothing while it is suspended.",
                live,
            )
            % {"n": live}
        ]


@admin.register(Provider)
class ProviderAdmin(ConsoleAdmin):
    see, create, alter, remove = (
        "oauth_provider.list",
        "oauth_provider.create",
        "oauth_provider.update",
        "oauth_provider.delete",
    )
    keyset = ("name", "id")
    row_testid = "provider-row"
    first_words = _("A provider is where an agent's credentials come from: an OAuth server, or an API key.")
    remove_words = _("Its stored secret, connections and open consent requests end with it. This cannot be undone.")

    list_display = ("name", "kind", "vendor_name", "state", "changed")
    list_filter = (
        one_of("kind", _("kind"), Provider.Kind.choices),
        one_of("status", _("status"), Provider.Status.choices),
        one_of("vendor", _("vendor"), lambda: tuple(vendors.names().items()), folded=True),
    )
    search_fields = ("name__icontains",)
    search_help_text = _("Name")
    actions_detail = ("suspend", "resume")

    # --- two kinds in one table ----------------------------------------------------------------------------------

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, f"{_RIGHT[obj.kind]}.update") if obj is not None else super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, f"{_RIGHT[obj.kind]}.delete") if obj is not None else super().has_delete_permission(request)

    def form_class(self, request: HttpRequest, obj: Any) -> type[CommandForm]:
        if obj is None:
            return _ADD[request.GET.get("kind", OAUTH2.value)]
        return _CHANGE[obj.kind] if self.has_change_permission(request, obj) else NothingForm

    change_form = ChangeOAuthForm  # any but NothingForm: `form_class` decides

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            if request.GET.get("kind") == API_KEY.value:
                return ((None, {"fields": ("name", "api_key")}),)
            return ((None, {"fields": ("name", *_CLIENT)}), (_("Authorization server"), {"fields": _SERVER}))
        callback = ("callback",) if obj.kind == OAUTH2.value else ()
        facts = ("name", "kind", "state", *callback, "arn", "secret", "tag_list", "made", "changed")
        editing = self.has_change_permission(request, obj)
        if obj.kind == API_KEY.value:
            return ((None, {"fields": facts}), *([(_("Replace the key"), {"fields": ("api_key",)})] if editing else ()))
        shown = ((None, {"fields": facts}),)
        if not editing:
            return (*shown, (_("Client"), {"fields": ("vendor_name", "client_id", "servers", "elsewhere")}))
        return (
            *shown,
            (_("Client"), {"fields": _CLIENT}),
            (_("Authorization server"), {"fields": _SERVER}),
            (_("In use"), {"fields": ("servers", "elsewhere")}),
        )

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if request.GET.get("kind") in _ADD or not self.has_add_permission(request):
            response: HttpResponse = super().add_view(request, form_url, extra_context)
            return response
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Add a provider"),
            "vendors": [(value, name) for value, name in vendors.names().items()],
        }
        return TemplateResponse(request, "admin/providers/choose_kind.html", context)

    # --- what is shown -------------------------------------------------------------------------------------------

    @display(description=_("status"))
    def state(self, obj: Provider) -> SafeString:
        return cells.pill(obj.status, obj.get_status_display(), "provider-status")

    @display(description=_("vendor"))
    def vendor_name(self, obj: Provider) -> str:
        return vendors.names().get(obj.vendor, obj.vendor) or "–"

    @display(description="ARN")
    def arn(self, obj: Provider) -> SafeString:
        name = names.oauth_provider if obj.kind == OAUTH2.value else names.api_key_provider
        return cells.copyable(names.prefix("local", obj.tenant.account_id) + name(obj.name))

    @display(description=_("stored secret"))
    def secret(self, obj: Provider) -> SafeString | str:
        sealed = SealedSecret.objects.filter(table="providers_provider", row_id=obj.id).order_by("-updated_at").first()
        if sealed is None:
            return str(_("none"))
        return format_html("{} · {} {}", _("sealed"), _("last replaced"), cells.when(sealed.updated_at))

    @display(description=_("callback URL, to register there"))
    def callback(self, obj: Provider) -> SafeString:
        if obj.callback_id is None:
            return cells.empty()
        return cells.copyable(f"{settings.PUBLIC_URL}/connect/callback/{obj.callback_id}", "provider-callback-url")

    @display(description=_("addresses"))
    def servers(self, obj: Provider) -> SafeString:
        shown = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint")
        return cells.lines([f"{name}: {obj.endpoints[name]}" for name in shown if obj.endpoints.get(name)])

    @display(description=_("tags"))
    def tag_list(self, obj: Provider) -> SafeString:
        return cells.listed([f"{key}={value}" for key, value in sorted(obj.tags.items())])

    @display(description=_("added"))
    def made(self, obj: Provider) -> SafeString:
        return cells.when(obj.created_at)

    @display(description=_("changed"))
    def changed(self, obj: Provider) -> SafeString:
        return cells.when(obj.updated_at)

    @display(description=_("lists"))
    def elsewhere(self, obj: Provider) -> SafeString:
        connections = reverse("admin:connections_connection_changelist", query={"provider": obj.name})
        return cells.link(connections, _("Connections at this provider"))

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("tenant")

    # --- what is done --------------------------------------------------------------------------------------------

    @dialog(
        right="provider.suspend",
        applies=lambda provider: provider.status == Provider.Status.ACTIVE,
        label=_("Suspend"),
        title=_("Suspend this provider?"),
        description=_("Nothing is released from it, to any agent."),
        submit=_("Suspend"),
        done=_("The provider is suspended."),
        form=SuspendProviderForm,
        icon="pause_circle",
        variant=ActionVariant.DANGER,
        testid="provider-suspend",
    )
    def suspend(self, request: HttpRequest, provider: Provider, form: forms.Form) -> c.SuspendProvider:
        return c.SuspendProvider(provider_id=provider.id, why=form.cleaned_data["why"])

    @dialog(
        right="provider.resume",
        applies=lambda provider: provider.status == Provider.Status.SUSPENDED,
        label=_("Resume"),
        title=_("Use this provider again?"),
        submit=_("Resume"),
        done=_("The provider is used again."),
        form=OptionalReasonForm,
        icon="play_circle",
        variant=ActionVariant.SUCCESS,
        testid="provider-resume",
    )
    def resume(self, request: HttpRequest, provider: Provider, form: forms.Form) -> c.ResumeProvider:
        return c.ResumeProvider(provider_id=provider.id, why=form.cleaned_data["why"])

    def removal(self, request: HttpRequest, target: Provider) -> c.Command:
        if target.kind == API_KEY.value:
            return c.DeleteApiKeyProvider(name=target.name)
        return c.DeleteOAuthProvider(name=target.name)

    def removal_impact(self, target: Provider) -> list[str]:
        connections = Connection.objects.filter(provider=target).count()
        return [ngettext("%(n)d connection ends.", "%(n)d connections end.", connections) % {"n": connections}]
