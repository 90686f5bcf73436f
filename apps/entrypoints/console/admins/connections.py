"""Connections and the consent that makes them: to be seen and, connections, to be ended. Never a token."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant

from apps.broker import contracts as c
from apps.connections.models import Connection, ConsentSession
from apps.entrypoints.console import cells
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.dialogs import dialog
from apps.entrypoints.console.filters import one_of, row_is, text_is
from apps.entrypoints.console.forms import ReasonForm


def asked_with(params: dict[str, Any]) -> SafeString:
    """What was asked besides scopes. Of custom parameters only the names: values are the application's."""
    shown = {key: sorted(value) if isinstance(value, dict) else value for key, value in params.items() if value}
    return cells.plain_json(shown)


@admin.register(Connection)
class ConnectionAdmin(ConsoleAdmin):
    see = "vault.read"
    keyset = ("-updated_at", "-id")
    row_testid = "connection-row"
    first_words = _("A connection appears when a person has given an agent consent at a provider.")

    list_display = ("agent", "principal", "provider", "state", "scopes", "valid", "changed")
    list_select_related = ("agent", "principal", "provider")
    list_filter = (
        one_of("status", _("status"), Connection.Status.choices),
        one_of("flow", _("flow"), Connection.Flow.choices),
        row_is("agent", _("agent id"), "agent_id"),
        text_is("agent_name", _("agent"), "agent__name"),
        text_is("provider", _("provider"), "provider__name"),
    )
    search_fields = ("principal__subject__exact",)
    search_help_text = _("User id or subject, exactly")
    actions_detail = ("revoke",)

    show_fieldsets = (
        (None, {"fields": ("agent", "principal", "provider", "flow", "state", "status_reason")}),
        (_("Scopes"), {"fields": ("asked", "scopes", "less")}),
        (_("Life"), {"fields": ("valid", "renewal", "consented", "consent_ends", "made", "changed")}),
        (_("Request"), {"fields": ("parameters", "id")}),
    )

    @display(description=_("status"))
    def state(self, obj: Connection) -> SafeString:
        return cells.pill(obj.status, obj.get_status_display(), "connection-status")

    @display(description=_("asked for"))
    def asked(self, obj: Connection) -> SafeString:
        return cells.listed(obj.requested_scopes)

    @display(description=_("granted"))
    def scopes(self, obj: Connection) -> SafeString:
        return cells.listed(obj.granted_scopes)

    @display(description=_("access token valid"))
    def valid(self, obj: Connection) -> SafeString:
        return cells.when(obj.access_expires_at)

    @display(description=_("renewal"))
    def renewal(self, obj: Connection) -> str:
        return str(_("by refresh token")) if obj.has_refresh_token else str(_("only by asking the person again"))

    @display(description=_("compared"))
    def less(self, obj: Connection) -> str:
        return str(_("The provider granted less than was asked for.")) if obj.reduced else str(_("Granted as asked."))

    @display(description=_("consent given"))
    def consented(self, obj: Connection) -> SafeString:
        return cells.when(obj.consented_at)

    @display(description=_("consent ends"))
    def consent_ends(self, obj: Connection) -> SafeString:
        return cells.when(obj.expires_at)

    @display(description=_("made"))
    def made(self, obj: Connection) -> SafeString:
        return cells.when(obj.created_at)

    @display(description=_("last change"))
    def changed(self, obj: Connection) -> SafeString:
        return cells.when(obj.updated_at)

    @display(description=_("parameters"))
    def parameters(self, obj: Connection) -> SafeString:
        return asked_with(obj.params)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("agent", "principal", "provider")

    @dialog(
        right="connection.revoke",
        applies=lambda row: row.status != Connection.Status.REVOKED,
        label=_("Revoke"),
        title=_("Revoke this connection?"),
        description=_(
            "Its tokens are forgotten here and the agent has to ask the person again. An access token the agent holds "
            "already lives on at the provider until it expires."
        ),
        submit=_("Revoke"),
        done=_("The connection is revoked."),
        form=ReasonForm,
        icon="link_off",
        variant=ActionVariant.DANGER,
        testid="connection-revoke",
    )
    def revoke(self, request: HttpRequest, row: Connection, form: forms.Form) -> c.RevokeConnection:
        return c.RevokeConnection(connection_id=row.id, why=form.cleaned_data["why"])


@admin.register(ConsentSession)
class ConsentSessionAdmin(ConsoleAdmin):
    singular, plural = _("consent request"), _("consent requests")
    see = "vault.read"
    keyset = ("-created_at", "-id")
    row_testid = "consent-row"
    first_words = _("A request appears when an agent needs a person's consent.")

    list_display = ("agent", "principal", "provider", "state", "binding", "asked", "ends", "made")
    list_select_related = ("agent", "principal", "provider")
    list_filter = (
        one_of("status", _("status"), ConsentSession.Status.choices),
        row_is("agent", _("agent id"), "agent_id"),
        text_is("provider", _("provider"), "provider__name"),
    )
    show_fieldsets = (
        (None, {"fields": ("agent", "principal", "provider", "state", "problem", "binding")}),
        (_("Request"), {"fields": ("asked", "parameters", "return_url", "attempts")}),
        (_("Life"), {"fields": ("made", "ends", "changed", "connection_id", "id")}),
    )

    def name_of(self, obj: ConsentSession) -> str:
        return f"{obj.agent} → {obj.provider}"

    @display(description=_("status"))
    def state(self, obj: ConsentSession) -> SafeString:
        return cells.pill(obj.status, obj.get_status_display())

    @display(description=_("asked for"))
    def asked(self, obj: ConsentSession) -> SafeString:
        return cells.listed(obj.scopes)

    @display(description=_("parameters"))
    def parameters(self, obj: ConsentSession) -> SafeString:
        return asked_with(obj.params)

    @display(description=_("open until"))
    def ends(self, obj: ConsentSession) -> SafeString:
        return cells.when(obj.expires_at)

    @display(description=_("opened"))
    def made(self, obj: ConsentSession) -> SafeString:
        return cells.when(obj.created_at)

    @display(description=_("last change"))
    def changed(self, obj: ConsentSession) -> SafeString:
        return cells.when(obj.updated_at)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("agent", "principal", "provider")
