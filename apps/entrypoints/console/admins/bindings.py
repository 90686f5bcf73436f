"""Bindings: which agent may use which provider, how far."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from apps.agents.models import Agent
from apps.broker import contracts as c
from apps.broker.control_plane.bindings import FLOWS
from apps.entrypoints.console import cells
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.filters import row_is, text_is
from apps.entrypoints.console.forms import CommandForm, LinesField, row
from apps.policy.models import Binding
from apps.providers.models import Provider

_WORDS = {
    "user_federation": _("for a person, with their consent"),
    "m2m": _("machine to machine"),
    "on_behalf_of": _("on behalf of a person, by token exchange"),
    "api_key": _("API key"),
}


class _HowFar(CommandForm):
    flows = forms.MultipleChoiceField(
        label=_("Flows"),
        choices=[(flow, _WORDS[flow]) for flow in FLOWS],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text=_("None chosen: every flow."),
    )
    scope_ceiling = LinesField(
        label=_("Highest scopes"), required=False, help_text=_("One scope per line. Empty: any scope.")
    )

    def how_far(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {"flows": tuple(data["flows"]), "scope_ceiling": data["scope_ceiling"] or None}


class AddBindingForm(_HowFar):
    agent = row(label=_("Agent"))
    provider = row(label=_("Provider"))
    errors_at = {"name": "agent"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["agent"].queryset = Agent.objects.order_by("name")  # type: ignore[attr-defined]
        self.fields["provider"].queryset = Provider.objects.order_by("kind", "name")  # type: ignore[attr-defined]

    def command(self) -> c.SetBinding:
        data = self.cleaned_data
        return c.SetBinding(agent=data["agent"].name, provider_id=data["provider"].id, **self.how_far())


class ChangeBindingForm(_HowFar):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.update(flows=self.instance.flows, scope_ceiling=self.instance.scope_ceiling or [])

    def command(self) -> c.SetBinding:
        return c.SetBinding(agent=self.instance.agent.name, provider_id=self.instance.provider_id, **self.how_far())


@admin.register(Binding)
class BindingAdmin(ConsoleAdmin):
    see, create, alter, remove = "agent.list", "binding.set", "binding.set", "binding.delete"
    keyset = ("-created_at", "-id")
    row_testid = "binding-row"
    add_form, change_form = AddBindingForm, ChangeBindingForm
    first_words = _(
        "A binding says which provider an agent may use, and how far. In an open tenant it is a limit, in a closed "
        "one it is needed."
    )
    remove_words = _("In a closed tenant the agent can then use this provider no more; in an open one without limit.")

    list_display = ("agent", "provider", "flow_list", "ceiling", "made")
    list_select_related = ("agent", "provider")
    list_filter = (row_is("agent", _("agent id"), "agent_id"), text_is("provider", _("provider"), "provider__name"))

    add_fieldsets = ((None, {"fields": ("agent", "provider", "flows", "scope_ceiling")}),)
    change_fieldsets = ((None, {"fields": ("agent", "provider", "flows", "scope_ceiling", "made")}),)
    show_fieldsets = ((None, {"fields": ("agent", "provider", "flow_list", "ceiling", "made")}),)

    @display(description=_("flows"))
    def flow_list(self, obj: Binding) -> SafeString | str:
        return cells.listed(obj.flows) if obj.flows else str(_("every flow"))

    @display(description=_("highest scopes"))
    def ceiling(self, obj: Binding) -> SafeString | str:
        return cells.listed(obj.scope_ceiling) if obj.scope_ceiling is not None else str(_("any scope"))

    @display(description=_("made"))
    def made(self, obj: Binding) -> SafeString:
        return cells.when(obj.created_at)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("agent", "provider")

    def removal(self, request: HttpRequest, target: Binding) -> c.DeleteBinding:
        return c.DeleteBinding(binding_id=target.id)
