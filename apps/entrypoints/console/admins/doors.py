"""Who may call agents: authorizers with their issuers, keys of proxies, and what the AWS wire calls runtimes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.agents.models import AgentRuntime, Authorizer, AuthorizerIssuer, GatewayKey
from apps.broker.inbound import contracts as c
from apps.entrypoints.console import cells
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.filters import one_of, row_is


class _OfAgent(ConsoleAdmin):
    """Pages of things that belong to one agent."""

    see = "authorizer.read"
    list_filter: Any = (row_is("agent", _("agent id"), "agent_id"),)
    list_select_related = ("agent",)

    @display(description=_("added"))
    def made(self, obj: Any) -> SafeString:
        return cells.when(obj.created_at)

    @display(description=_("changed"))
    def changed(self, obj: Any) -> SafeString:
        return cells.when(obj.updated_at)

    @display(description=_("status"))
    def state(self, obj: Any) -> SafeString:
        return cells.pill(obj.status, obj.get_status_display(), "door-status")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("agent")


@admin.register(Authorizer)
class AuthorizerAdmin(_OfAgent):
    singular, plural = _("authorizer"), _("authorizers")
    keyset = ("-created_at", "-id")
    row_testid = "authorizer-row"
    first_words = _("An agent without an authorizer of its own takes calls signed with the tenant's access keys.")
    list_display = ("agent", "kind", "state", "endpoint_url", "made")
    list_filter = (
        one_of("kind", _("kind"), Authorizer.Kind.choices),
        row_is("agent", _("agent id"), "agent_id"),
    )
    show_fieldsets = (
        (None, {"fields": ("agent", "kind", "state", "scope_match", "advertised", "headers")}),
        (_("Addresses"), {"fields": ("endpoint_url", "resource_url")}),
        (_("Life"), {"fields": ("made", "changed")}),
    )

    @display(description=_("advertised scopes"))
    def advertised(self, obj: Authorizer) -> SafeString:
        return cells.listed([f"{scope} → {name}" for scope, name in sorted(obj.advertised_scopes.items())])

    @display(description=_("headers that reach the agent"))
    def headers(self, obj: Authorizer) -> SafeString:
        return cells.listed(obj.request_headers)


@admin.register(AuthorizerIssuer)
class AuthorizerIssuerAdmin(ConsoleAdmin):
    singular, plural = _("issuer of an authorizer"), _("issuers of authorizers")
    see = "authorizer.read"
    keyset = ("issuer", "id")
    row_testid = "authorizer-issuer-row"
    first_words = _("An issuer whose tokens open the door to one agent.")
    list_display = ("issuer", "agent", "state")
    list_filter = (row_is("authorizer", _("authorizer id"), "authorizer_id"),)
    list_select_related = ("authorizer__agent",)
    show_fieldsets = (
        (None, {"fields": ("issuer", "agent", "state", "discovery_url", "jwks_uri")}),
        (_("Accepts"), {"fields": ("audience_list", "client_list", "claim_list", "scope_list", "rule_list")}),
        (_("Introspection"), {"fields": ("introspection_endpoint", "introspection_client_id")}),
    )

    @display(description=_("agent"))
    def agent(self, obj: AuthorizerIssuer) -> str:
        return str(obj.authorizer.agent)

    @display(description=_("status"))
    def state(self, obj: AuthorizerIssuer) -> SafeString:
        return cells.pill(obj.status, obj.get_status_display(), "door-status")

    @display(description=_("audiences"))
    def audience_list(self, obj: AuthorizerIssuer) -> SafeString:
        return cells.listed(obj.audiences)

    @display(description=_("clients"))
    def client_list(self, obj: AuthorizerIssuer) -> SafeString | str:
        return cells.listed(obj.clients) if obj.clients else str(_("any client"))

    @display(description=_("claims that name the client"))
    def claim_list(self, obj: AuthorizerIssuer) -> SafeString:
        return cells.listed(["client_id", *obj.client_claims])

    @display(description=_("scopes"))
    def scope_list(self, obj: AuthorizerIssuer) -> SafeString:
        return cells.listed(obj.scopes)

    @display(description=_("custom claims"))
    def rule_list(self, obj: AuthorizerIssuer) -> SafeString:
        rules = (
            f"{one['claim']} {one['type']} {one['operator']} {', '.join(one['values'])}" for one in obj.custom_claims
        )
        return cells.lines(list(rules))

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("authorizer__agent")


@admin.register(GatewayKey)
class GatewayKeyAdmin(_OfAgent):
    singular, plural = _("gateway key"), _("gateway keys")
    remove = "gateway_key.delete"
    keyset = ("-created_at", "-id")
    row_testid = "gateway-key-row"
    first_words = _("The proxy in front of an agent proves itself with a key of its own. Only its digest is kept.")
    remove_words = _("The proxy that uses it lets nobody in any more, from the next call on.")
    list_display = ("agent", "label", "state", "made")
    show_fieldsets = ((None, {"fields": ("agent", "label", "state", "made")}),)

    def removal(self, request: HttpRequest, target: GatewayKey) -> c.DeleteGatewayKey:
        return c.DeleteGatewayKey(key_id=target.id)


@admin.register(AgentRuntime)
class AgentRuntimeAdmin(_OfAgent):
    singular, plural = _("runtime"), _("runtimes")
    keyset = ("name", "id")
    row_testid = "runtime-row"
    first_words = _("An agent that runs elsewhere and was registered with CreateAgentRuntime.")
    list_display = ("name", "agent", "version", "made")
    show_fieldsets = (
        (None, {"fields": ("name", "agent", "version", "description", "protocol", "role_arn")}),
        (_("Life"), {"fields": ("made", "changed")}),
    )
