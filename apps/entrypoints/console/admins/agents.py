"""Agents: add, return URLs, suspend, resume, delete."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display
from unfold.enums import ActionVariant

from apps.agents.models import Agent
from apps.authn.models import WorkloadToken
from apps.broker import contracts as c
from apps.broker.contracts_admin import MarkAgentTrusted
from apps.connections.models import Connection
from apps.core import clock, names
from apps.entrypoints.console import cells
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.dialogs import dialog
from apps.entrypoints.console.filters import one_of
from apps.entrypoints.console.forms import (
    CommandForm,
    DialogForm,
    LinesField,
    OptionalReasonForm,
    ReasonForm,
    switch,
    text,
)

_URLS_HELP = _(
    "One per line: where people may be sent back to after giving consent. Compared character by character. "
    "https, or http on the loopback host, or an application's own scheme."
)


class AddAgentForm(CommandForm):
    name = text(
        label=_("Name"),
        min_length=3,
        max_length=255,
        help_text=_("3 to 255 letters, digits, dots, dashes and underscores. It cannot be changed later."),
    )
    return_urls = LinesField(label=_("Return URLs"), required=False, help_text=_URLS_HELP)
    tags = LinesField(label=_("Tags"), required=False, rows=3, help_text=_("One per line: key=value"))

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not all(ch.isascii() and (ch.isalnum() or ch in "._-") for ch in name):
            raise ValidationError(_("Only letters, digits, dots, dashes and underscores."))
        return name

    def clean_tags(self) -> dict[str, str]:
        found = {}
        for line in self.cleaned_data["tags"]:
            key, separator, value = line.partition("=")
            if not separator or not key.strip():
                raise ValidationError(_("A tag looks like key=value."))
            found[key.strip()] = value.strip()
        return found

    def command(self) -> c.CreateAgent:
        data = self.cleaned_data
        return c.CreateAgent(name=data["name"], return_urls=data["return_urls"], tags=data["tags"])


class ChangeAgentForm(CommandForm):
    description = text(label=_("Description"), max_length=2000, required=False, help_text=_("What it does."))
    owner = text(
        label=_("Owner"),
        max_length=254,
        required=False,
        help_text=_("E-mail of a member of this tenant, or empty."),
    )
    native = switch(
        label=_("Native application"), help_text=_("Runs on the person's own machine: any loopback port may return.")
    )
    return_urls = LinesField(label=_("Return URLs"), required=False, help_text=_URLS_HELP)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        agent = self.instance
        self.initial.update(
            description=agent.description,
            owner=agent.owner.email if agent.owner is not None else "",
            native=agent.native,
            return_urls=agent.return_urls,
        )

    def command(self) -> c.UpdateAgent:
        data = self.cleaned_data
        profile = c.AgentProfile(description=data["description"], owner=data["owner"], native=data["native"])
        return c.UpdateAgent(name=self.instance.name, return_urls=data["return_urls"], profile=profile)


class SuspendAgentForm(ReasonForm):
    def impact(self) -> list[str]:
        agent = self.target
        live = Connection.objects.filter(agent=agent, status=Connection.Status.ACTIVE)
        connections, people = live.count(), live.values("principal_id").distinct().count()
        tokens = WorkloadToken.objects.filter(agent=agent, expires_at__gt=clock.now()).count()
        return [
            ngettext(
                "%(n)d active connection is not used any more.",
                "%(n)d active connections are not used any more.",
                connections,
            )
            % {"n": connections},
            ngettext("It serves %(n)d person or system.", "They serve %(n)d people or systems.", people)
            % {"n": people},
            ngettext("%(n)d workload token ends at once.", "%(n)d workload tokens end at once.", tokens)
            % {"n": tokens},
            str(_("Access tokens that providers have given out already live on until they expire.")),
        ]


@admin.register(Agent)
class AgentAdmin(ConsoleAdmin):
    see, create, alter, remove = "agent.list", "agent.create", "agent.update", "agent.delete"
    keyset = ("name", "id")
    row_testid = "agent-row"
    add_form, change_form = AddAgentForm, ChangeAgentForm
    first_words = _("An agent is a program with an identity of its own. Add the first one, then give it a provider.")
    remove_words = _("Its workload tokens, connections and open consent requests end with it. This cannot be undone.")

    list_display = ("name", "state", "url_list", "made")
    list_filter = (one_of("status", _("status"), Agent.Status.choices),)
    search_fields = ("name__icontains",)
    search_help_text = _("Name")
    actions_detail = ("suspend", "resume", "trust", "distrust")

    add_fieldsets = ((None, {"fields": ("name", "return_urls", "tags")}),)
    _facts = ("name", "arn", "state", "description", "owner", "marks", "tag_list", "made", "changed")
    show_fieldsets = (
        (None, {"fields": (*_facts, "url_list")}),
        (_("Elsewhere"), {"fields": ("elsewhere",)}),
    )
    change_fieldsets = (
        (None, {"fields": ("name", "arn", "state", "marks", "tag_list", "made", "changed")}),
        (_("Profile"), {"fields": ("description", "owner", "native")}),
        (_("Return URLs"), {"fields": ("return_urls",)}),
        (_("Elsewhere"), {"fields": ("elsewhere",)}),
        (_("Code"), {"fields": ("code",)}),
    )

    @display(description=_("status"))
    def state(self, obj: Agent) -> SafeString:
        return cells.pill(obj.status, obj.get_status_display(), "agent-status")

    @display(description=_("return URLs"))
    def url_list(self, obj: Agent) -> SafeString:
        return cells.lines(obj.return_urls)

    @display(description="ARN")
    def arn(self, obj: Agent) -> SafeString:
        return cells.copyable(names.prefix("local", obj.tenant.account_id) + names.agent(obj.name), "agent-arn")

    @display(description=_("tags"))
    def tag_list(self, obj: Agent) -> SafeString:
        return cells.listed([f"{key}={value}" for key, value in sorted(obj.tags.items())])

    @display(description=_("marked as"))
    def marks(self, obj: Agent) -> SafeString:
        marks = (
            (obj.native, _("native: any loopback port may return")),
            (obj.trusted, _("trusted: repeat consent skipped")),
        )
        return cells.listed([words for is_set, words in marks if is_set])

    @display(description=_("added"))
    def made(self, obj: Agent) -> SafeString:
        return cells.when(obj.created_at)

    @display(description=_("changed"))
    def changed(self, obj: Agent) -> SafeString:
        return cells.when(obj.updated_at)

    @display(description=_("lists"))
    def elsewhere(self, obj: Agent) -> SafeString:
        connections = reverse("admin:connections_connection_changelist")
        events = reverse("admin:audit_auditrecord_changelist")
        return format_html(
            "{} · {}",
            cells.link(f"{connections}?agent={obj.pk}", _("Connections of this agent")),
            cells.link(f"{events}?agent_id={obj.pk}", _("Events of this agent")),
        )

    @display(description=_("for the AWS SDK"))
    def code(self, obj: Agent) -> SafeString:
        return format_html(
            '<pre class="portal-json" data-testid="agent-code">'
            "import boto3\n\n"
            'client = boto3.client("bedrock-agentcore", endpoint_url="{}", region_name="local")\n'
            'token = client.get_workload_access_token(workloadName="{}")["workloadAccessToken"]</pre>',
            settings.PUBLIC_URL,
            obj.name,
        )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("tenant", "owner")

    @dialog(
        right="agent.suspend",
        applies=lambda agent: agent.status == Agent.Status.ACTIVE,
        label=_("Suspend"),
        title=_("Suspend this agent?"),
        description=_("It gets no further token, from the next call on."),
        submit=_("Suspend"),
        done=_("The agent is suspended."),
        form=SuspendAgentForm,
        icon="pause_circle",
        variant=ActionVariant.DANGER,
        testid="agent-suspend",
    )
    def suspend(self, request: HttpRequest, agent: Agent, form: forms.Form) -> c.SuspendAgent:
        return c.SuspendAgent(name=agent.name, why=form.cleaned_data["why"])

    @dialog(
        right="agent.resume",
        applies=lambda agent: agent.status == Agent.Status.SUSPENDED,
        label=_("Resume"),
        title=_("Let this agent work again?"),
        description=_("Its connections are used again. Workload tokens from before stay ended."),
        submit=_("Resume"),
        done=_("The agent works again."),
        form=OptionalReasonForm,
        icon="play_circle",
        variant=ActionVariant.SUCCESS,
        testid="agent-resume",
    )
    def resume(self, request: HttpRequest, agent: Agent, form: forms.Form) -> c.ResumeAgent:
        return c.ResumeAgent(name=agent.name, why=form.cleaned_data["why"])

    @dialog(
        right="agent.trust",
        applies=lambda agent: not agent.trusted,
        label=_("Trust"),
        title=_("Trust this agent?"),
        description=_("A consent the same person gave before, for the same provider and scopes, may be skipped."),
        submit=_("Trust"),
        done=_("The agent is trusted."),
        form=DialogForm,
        icon="verified",
        variant=ActionVariant.WARNING,
        testid="agent-trust",
    )
    def trust(self, request: HttpRequest, agent: Agent, form: forms.Form) -> MarkAgentTrusted:
        return MarkAgentTrusted(name=agent.name, trusted=True)

    @dialog(
        right="agent.trust",
        applies=lambda agent: agent.trusted,
        label=_("Trust no longer"),
        title=_("Trust this agent no longer?"),
        description=_("The consent page is shown each time again."),
        submit=_("Trust no longer"),
        done=_("The agent is not trusted any more."),
        form=DialogForm,
        icon="gpp_maybe",
        variant=ActionVariant.DEFAULT,
        testid="agent-distrust",
    )
    def distrust(self, request: HttpRequest, agent: Agent, form: forms.Form) -> MarkAgentTrusted:
        return MarkAgentTrusted(name=agent.name, trusted=False)

    def removal(self, request: HttpRequest, target: Agent) -> c.DeleteAgent:
        return c.DeleteAgent(name=target.name)

    def removal_impact(self, target: Agent) -> list[str]:
        connections = Connection.objects.filter(agent=target).count()
        return [ngettext("%(n)d connection ends.", "%(n)d connections end.", connections) % {"n": connections}]
