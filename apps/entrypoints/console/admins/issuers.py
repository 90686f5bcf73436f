"""Issuers whose tokens prove people, for the tenant or for one agent."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.agents.models import Agent
from apps.authn.models import TrustedIssuer
from apps.broker import contracts as c
from apps.entrypoints.console import cells
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.filters import one_of
from apps.entrypoints.console.forms import CommandForm, LinesField, row, text


class _Accepts(CommandForm):
    audiences = LinesField(
        label=_("Audiences"), help_text=_("One per line; a token must be meant for one of them. Needed.")
    )
    clients = LinesField(
        label=_("Clients"), required=False, help_text=_("One client id per line. Empty: tokens of any client.")
    )
    client_claims = LinesField(
        label=_("Claims that name the client"),
        required=False,
        rows=2,
        help_text=_("Besides client_id, one per line: azp, appid, cid."),
    )

    def accepts(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {name: data[name] for name in ("audiences", "clients", "client_claims")}


class AddIssuerForm(_Accepts):
    discovery_url = text(
        label=_("Discovery URL"),
        max_length=2048,
        help_text=_("Ends in /.well-known/openid-configuration. It is read now; its keys are fetched when needed."),
    )
    agent = row(label=_("Only for agent"), required=False, empty_label=_("All agents of the tenant"))
    errors_at = {"name": "agent", "jwks_uri": "discovery_url", "issuer": "discovery_url"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["agent"].queryset = Agent.objects.order_by("name")  # type: ignore[attr-defined]

    def command(self) -> c.TrustIssuer:
        data = self.cleaned_data
        agent = data["agent"].name if data["agent"] else None
        return c.TrustIssuer(discovery_url=data["discovery_url"], agent=agent, **self.accepts())


class ChangeIssuerForm(_Accepts):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row = self.instance
        self.initial.update(audiences=row.audiences, clients=row.clients, client_claims=row.client_claims)

    def command(self) -> c.TrustIssuer:
        agent = self.instance.agent.name if self.instance.agent else None
        return c.TrustIssuer(discovery_url=self.instance.discovery_url, agent=agent, **self.accepts())


@admin.register(TrustedIssuer)
class IssuerAdmin(ConsoleAdmin):
    singular, plural = _("trusted issuer"), _("trusted issuers")
    see, create, alter, remove = "agent.list", "issuer.trust", "issuer.trust", "issuer.distrust"
    keyset = ("issuer", "id")
    row_testid = "issuer-row"
    add_form, change_form = AddIssuerForm, ChangeIssuerForm
    first_words = _("Trust an OpenID provider, and agents can act for the people its tokens prove.")
    remove_words = _("Tokens of this issuer prove nobody any more. Connections stay, but cannot be reached through it.")

    list_display = ("issuer", "scope", "audience_list", "state", "made")
    list_select_related = ("agent",)
    list_filter = (one_of("status", _("status"), (("active", _("active")), ("disabled", _("disabled")))),)
    search_fields = ("issuer__icontains",)
    search_help_text = _("Issuer")

    add_fieldsets = ((None, {"fields": ("discovery_url", "agent", "audiences", "clients", "client_claims")}),)
    _facts = ("issuer", "scope", "state", "discovery_url", "jwks_uri")
    change_fieldsets = (
        (None, {"fields": _facts}),
        (_("Accepts"), {"fields": ("audiences", "clients", "client_claims")}),
        (_("Life"), {"fields": ("made", "changed")}),
    )
    show_fieldsets = (
        (None, {"fields": _facts}),
        (_("Accepts"), {"fields": ("audience_list", "client_list", "claim_list")}),
        (_("Life"), {"fields": ("made", "changed")}),
    )

    @display(description=_("for"))
    def scope(self, obj: TrustedIssuer) -> str:
        return str(obj.agent) if obj.agent else str(_("all agents"))

    @display(description=_("status"))
    def state(self, obj: TrustedIssuer) -> SafeString:
        return cells.pill(obj.status, obj.get_status_display(), "issuer-status")

    @display(description=_("audiences"))
    def audience_list(self, obj: TrustedIssuer) -> SafeString:
        return cells.listed(obj.audiences)

    @display(description=_("clients"))
    def client_list(self, obj: TrustedIssuer) -> SafeString | str:
        return cells.listed(obj.clients) if obj.clients else str(_("any client"))

    @display(description=_("claims that name the client"))
    def claim_list(self, obj: TrustedIssuer) -> SafeString:
        return cells.listed(["client_id", *obj.client_claims])

    @display(description=_("trusted"))
    def made(self, obj: TrustedIssuer) -> SafeString:
        return cells.when(obj.created_at)

    @display(description=_("changed"))
    def changed(self, obj: TrustedIssuer) -> SafeString:
        return cells.when(obj.updated_at)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("agent")

    def removal(self, request: HttpRequest, target: TrustedIssuer) -> c.DistrustIssuer:
        return c.DistrustIssuer(issuer_id=target.id)
