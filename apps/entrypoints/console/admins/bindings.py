"""Bindings: which agent may use which provider, how far."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
)

from apps.agents.models import Agent
from apps.broker import contracts as c
from apps.broker.control_plane import bindings
from apps.entrypoints.console import cells
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.filters import row_is, text_is
from apps.entrypoints.console.forms import CommandForm, LinesField, row, switch
from apps.policy.bindings import FLOWS
from apps.policy.models import Binding, BindingPrincipal
from apps.providers.models import Provider

FLOW_WORDS = {
    "user_federation": _("for a person, with their consent"),
    "m2m": _("machine to machine"),
    "on_behalf_of": _("on behalf of a person, by token exchange"),
    "api_key": _("API key"),
}


def _moment(label: Any, help_text: Any = "") -> forms.DateTimeField:
    widget = UnfoldAdminTextInputWidget(attrs={"type": "datetime-local", "step": "1"})
    return forms.DateTimeField(
        label=label,
        required=False,
        widget=widget,
        help_text=help_text,
        input_formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"],
    )


def _typed(moment: datetime | None) -> str:
    """A time as the browser's field wants it, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") if moment else ""


def _number(label: Any, low: int, high: int, help_text: Any) -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        required=False,
        min_value=low,
        max_value=high,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text=help_text,
    )


class PeopleField(LinesField):
    """One person per line: `self`, `uid:USER-ID` or `jwt:ISSUER SUBJECT`. Cleans to a tuple of Who."""

    def clean(self, value: Any) -> tuple[c.Who, ...]:  # type: ignore[override]
        found = []
        for line in super().clean(value):
            kind, _colon, rest = line.partition(":")
            issuer, _blank, subject = rest.partition(" ")
            who = {
                "self": c.Who(kind="self", subject=rest),
                "uid": c.Who(kind="uid", subject=rest),
                "jwt": c.Who(kind="jwt", issuer=issuer, subject=subject.strip()),
            }.get(kind)
            if who is None:
                raise ValidationError(_("Not a person: %(line)s"), params={"line": line})
            found.append(who)
        return tuple(found)


class ParametersField(LinesField):
    """One parameter per line: `name`, or `name=value` with `|` between the values allowed."""

    def clean(self, value: Any) -> dict[str, tuple[str, ...] | None]:  # type: ignore[override]
        found: dict[str, tuple[str, ...] | None] = {}
        for line in super().clean(value):
            name, equals, values = line.partition("=")
            found[name.strip()] = tuple(values.split("|")) if equals else None
        return found


def person_line(who: c.Who) -> str:
    return {"self": "self", "uid": f"uid:{who.subject}"}.get(who.kind, f"jwt:{who.issuer} {who.subject}")


def parameter_lines(custom: Mapping[str, tuple[str, ...] | None] | None) -> list[str]:
    return [name if values is None else f"{name}={'|'.join(values)}" for name, values in (custom or {}).items()]


class _HowFar(CommandForm):
    flows = forms.MultipleChoiceField(
        label=_("Flows"),
        choices=[(flow, FLOW_WORDS[flow]) for flow in FLOWS],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text=_("None chosen: every flow."),
    )
    scope_ceiling = LinesField(
        label=_("Highest scopes"), required=False, help_text=_("One scope per line. Empty: any scope.")
    )
    resources = LinesField(
        label=_("Resources"),
        required=False,
        help_text=_("One per line. A request then has to name some of these, and no other. Empty: any, or none."),
    )
    audiences = LinesField(
        label=_("Audiences"),
        required=False,
        help_text=_("One per line. A request then has to name some of these, and no other. Empty: any, or none."),
    )
    no_parameters = switch(label=_("No custom parameters at all"))
    custom_parameters = ParametersField(
        label=_("Custom parameters"),
        required=False,
        help_text=_("One per line: name, or name=value|value for certain values only. Empty: any parameter."),
    )
    people = PeopleField(
        label=_("Only for"),
        required=False,
        help_text=_(
            "One per line: uid:USER-ID, jwt:ISSUER SUBJECT, or self for the agent acting for itself. Empty: everybody."
        ),
    )
    valid_from = _moment(_("From"), _("UTC."))
    valid_until = _moment(_("Until"), _("UTC. The binding is over then, whatever was consented to."))
    connection_life_s = _number(
        _("A consent is good for at most"), 60, 366 * 86_400, _("Seconds. Empty: as long as the person says.")
    )
    connection_uses = _number(
        _("Tokens released on one consent at most"), 1, 1_000_000, _("Then the person is asked again. Empty: no count.")
    )

    def how_far(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "flows": tuple(data["flows"]),
            "scope_ceiling": data["scope_ceiling"] or None,
            "resources": data["resources"] or None,
            "audiences": data["audiences"] or None,
            "custom_parameters": {} if data["no_parameters"] else data["custom_parameters"] or None,
            "people": data["people"] or None,
            "valid_from": data["valid_from"],
            "valid_until": data["valid_until"],
            "connection_life_s": data["connection_life_s"],
            "connection_uses": data["connection_uses"],
        }


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
        now = bindings.view(self.instance)
        self.initial.update(
            flows=now.flows,
            scope_ceiling=now.scope_ceiling or (),
            resources=now.resources or (),
            audiences=now.audiences or (),
            no_parameters=now.custom_parameters == {},
            custom_parameters=parameter_lines(now.custom_parameters),
            people=[person_line(who) for who in now.people or ()],
            valid_from=_typed(now.valid_from),
            valid_until=_typed(now.valid_until),
            connection_life_s=now.connection_life_s,
            connection_uses=now.connection_uses,
        )

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

    list_display = ("agent", "provider", "flow_list", "ceiling", "limits", "made")
    list_select_related = ("agent", "provider")
    list_filter = (row_is("agent", _("agent id"), "agent_id"), text_is("provider", _("provider"), "provider__name"))

    _pair = ("agent", "provider")
    add_fieldsets = (
        (None, {"fields": (*_pair, "flows", "scope_ceiling")}),
        (_("Request"), {"fields": ("resources", "audiences", "no_parameters", "custom_parameters")}),
        (_("People and time"), {"fields": ("people", "valid_from", "valid_until")}),
        (_("Consent"), {"fields": ("connection_life_s", "connection_uses")}),
    )
    change_fieldsets = (*add_fieldsets, (None, {"fields": ("made",)}))
    show_fieldsets = (
        (None, {"fields": (*_pair, "flow_list", "ceiling")}),
        (_("Request"), {"fields": ("resource_list", "audience_list", "parameter_list")}),
        (_("People and time"), {"fields": ("people_list", "begins", "ends")}),
        (_("Consent"), {"fields": ("life", "counted")}),
        (None, {"fields": ("made",)}),
    )

    @display(description=_("flows"))
    def flow_list(self, obj: Binding) -> SafeString | str:
        return cells.listed(obj.flows) if obj.flows else str(_("every flow"))

    @display(description=_("highest scopes"))
    def ceiling(self, obj: Binding) -> SafeString | str:
        return cells.listed(obj.scope_ceiling) if obj.scope_ceiling is not None else str(_("any scope"))

    @display(description=_("resources"))
    def resource_list(self, obj: Binding) -> SafeString | str:
        return cells.listed(obj.resources) if obj.resources is not None else str(_("any"))

    @display(description=_("audiences"))
    def audience_list(self, obj: Binding) -> SafeString | str:
        return cells.listed(obj.audiences) if obj.audiences is not None else str(_("any"))

    @display(description=_("custom parameters"))
    def parameter_list(self, obj: Binding) -> SafeString | str:
        custom = bindings.view(obj).custom_parameters
        return cells.listed(parameter_lines(custom)) if custom is not None else str(_("any"))

    @display(description=_("only for"))
    def people_list(self, obj: Binding) -> SafeString | str:
        people = bindings.view(obj).people
        return cells.lines([person_line(who) for who in people]) if people is not None else str(_("everybody"))

    @display(description=_("from"))
    def begins(self, obj: Binding) -> SafeString:
        return cells.when(obj.valid_from)

    @display(description=_("until"))
    def ends(self, obj: Binding) -> SafeString:
        return cells.when(obj.valid_until)

    @display(description=_("a consent is good for at most, seconds"))
    def life(self, obj: Binding) -> str:
        return str(obj.connection_life_s or "–")

    @display(description=_("tokens released on one consent at most"))
    def counted(self, obj: Binding) -> str:
        return str(obj.connection_uses or "–")

    @display(description=_("limits"))
    def limits(self, obj: Binding) -> str:
        return str(_("more on its page")) if obj.constrained else ""

    @display(description=_("made"))
    def made(self, obj: Binding) -> SafeString:
        return cells.when(obj.created_at)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("agent", "provider")

    def removal(self, request: HttpRequest, target: Binding) -> c.DeleteBinding:
        return c.DeleteBinding(binding_id=target.id)


@admin.register(BindingPrincipal)
class BindingPrincipalAdmin(ConsoleAdmin):
    singular, plural = _("person of a binding"), _("people of bindings")
    see = "agent.list"
    keyset = ("id",)
    first_words = _("A binding can be for some people only. They are chosen on its page.")
    list_display = ("binding", "principal")
    list_select_related = ("binding__agent", "binding__provider", "principal")
    list_filter = (row_is("binding", _("binding id"), "binding_id"),)
    show_fieldsets = ((None, {"fields": ("binding", "principal")}),)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("binding__agent", "binding__provider", "principal")
