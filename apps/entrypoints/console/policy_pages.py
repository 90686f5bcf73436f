"""Two pages about policy that are no table: why a call is decided as it is, and what closing the tenant would deny."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from apps.agents.models import Agent
from apps.authn.models import AccessKey
from apps.broker.contracts import Command
from apps.broker.contracts_policy import (
    BindWhatIsInUse,
    ExplainRequest,
    ExplainUse,
    Explanation,
    PastDecision,
    SurveyUnbound,
    UnboundUse,
)
from apps.broker.run import run
from apps.core.errors import PortalError
from apps.entrypoints.console import cells
from apps.entrypoints.console.admins.bindings import FLOW_WORDS, ParametersField, PeopleField
from apps.entrypoints.console.deferred import Deferred
from apps.entrypoints.console.desk import caller_of, may, tenant_of
from apps.entrypoints.console.forms import LinesField, Refusable, choice, row, switch, text
from apps.policy.words import sentence
from apps.providers.models import Provider

# page name -> the right it needs
RIGHTS = {"admin:explain": "policy.explain", "admin:bindings_in_use": "binding.survey"}


class ExplainForm(Refusable, forms.Form):
    """A past request, or a possible one."""

    request_id = text(
        label=_("Request id"),
        max_length=64,
        required=False,
        help_text=_("Of a past call, from its event or its answer. The rest is then not looked at."),
    )
    agent = row(label=_("Agent"), required=False)
    provider = row(label=_("Provider"), required=False)
    flow = choice([("", "–"), *FLOW_WORDS.items()], label=_("Flow"), required=False)
    person = PeopleField(
        label=_("On behalf of"),
        required=False,
        rows=1,
        help_text=_("uid:USER-ID or jwt:ISSUER SUBJECT. Empty: the agent acts for itself."),
    )
    scopes = LinesField(label=_("Scopes"), required=False, help_text=_("One scope per line."))
    resources = LinesField(label=_("Resources"), required=False, rows=2)
    audiences = LinesField(label=_("Audiences"), required=False, rows=2)
    custom_parameters = ParametersField(
        label=_("Custom parameters"), required=False, rows=2, help_text=_("One per line: name=value.")
    )
    access_key = row(label=_("Access key"), required=False, empty_label=_("whoever calls"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["agent"].queryset = Agent.objects.order_by("name")  # type: ignore[attr-defined]
        self.fields["provider"].queryset = Provider.objects.order_by("kind", "name")  # type: ignore[attr-defined]
        self.fields["access_key"].queryset = AccessKey.objects.order_by("key_id")  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not data.get("request_id"):
            for name in ("agent", "provider", "flow"):
                if not data.get(name) and name not in self.errors:
                    self.add_error(name, _("This field is required."))
        if len(data.get("person", ())) > 1:
            self.add_error("person", ValidationError(_("One person at a time.")))
        self.show_refusal()
        return data

    def command(self) -> Command:
        data = self.cleaned_data
        if data["request_id"]:
            return ExplainRequest(request_id=data["request_id"].strip())
        people = [who for who in data["person"] if who.kind != "self"]
        key = data["access_key"]
        return ExplainUse(
            agent=data["agent"].name,
            provider=data["provider"].name,
            flow=data["flow"],
            who=people[0] if people else None,
            scopes=data["scopes"],
            resources=data["resources"],
            audiences=data["audiences"],
            custom_parameters={name: (values or ("",))[0] for name, values in data["custom_parameters"].items()},
            access_key_id=key.key_id if key is not None else None,
        )


def explain(request: HttpRequest) -> HttpResponse:
    """GET shows the form. POST asks: people are named in it, and addresses end up in logs."""
    _require(request, "admin:explain")
    if request.method in ("GET", "HEAD"):
        return _explain_page(request, ExplainForm())
    if request.method != "POST":
        return HttpResponseNotAllowed(["GET", "POST"])
    form = ExplainForm(request.POST)
    if not form.is_valid():
        return _explain_page(request, form)
    command, caller = form.command(), caller_of(request)

    def refused(refusal: PortalError) -> HttpResponse:
        again = ExplainForm(request.POST)
        again.refusal = refusal
        again.is_valid()
        return _explain_page(request, again)

    def done(outcome: Explanation | PastDecision) -> HttpResponse:
        again = ExplainForm(request.POST)
        past = outcome if isinstance(outcome, PastDecision) else None
        now = outcome.now if isinstance(outcome, PastDecision) else outcome
        return _explain_page(request, again, past=past, now=now)

    return Deferred(lambda: run(command, caller), done=done, refused=refused)


_STATES = {"allowed": "allowed", "denied": "denied", "consent_needed": "needs_reconsent"}


def _outcome(outcome: str, testid: str) -> Any:
    words = {"allowed": _("allowed"), "denied": _("denied"), "consent_needed": _("consent needed")}
    return cells.pill(_STATES.get(outcome, outcome), words.get(outcome, outcome), testid)


def _explain_page(
    request: HttpRequest, form: ExplainForm, *, past: PastDecision | None = None, now: Explanation | None = None
) -> TemplateResponse:
    clauses = [
        {
            "rule": one.rule,
            "state": cells.pill("allowed", _("holds")) if one.holds else cells.pill("denied", _("does not hold")),
            "words": gettext(sentence(one.rule, one.holds)),
            "told": cells.plain_json({name: value for name, value in one.told.items() if value is not None}),
        }
        for one in (now.clauses if now else ())
    ]
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Explain"),
        "form": form,
        "past": past,
        "past_outcome": _outcome(past.outcome, "explain-past") if past else "",
        "past_words": gettext(sentence(past.clause["rule"], False)) if past and past.clause else "",
        "past_told": cells.plain_json(past.clause["told"]) if past and past.clause else "",
        "now": now,
        "now_outcome": _outcome(now.outcome, "explain-outcome") if now else "",
        "clauses": clauses,
    }
    return TemplateResponse(request, "admin/explain.html", context)


class BindForm(forms.Form):
    ceilings = switch(label=_("With the scopes in use as the highest ones"))


def bindings_in_use(request: HttpRequest) -> HttpResponse:
    """What works without a binding; POST makes bindings for all of it."""
    _require(request, "admin:bindings_in_use")
    caller = caller_of(request)
    if request.method in ("GET", "HEAD"):
        return Deferred(
            lambda: run(SurveyUnbound(), caller),
            done=lambda found: _in_use_page(request, found),
            refused=lambda refusal: _in_use_page(request, (), problem=refusal.public),
        )
    if request.method != "POST":
        return HttpResponseNotAllowed(["GET", "POST"])
    if not may(request, BindWhatIsInUse.action):
        raise PermissionDenied
    form = BindForm(request.POST)
    form.is_valid()
    command = BindWhatIsInUse(ceilings=form.cleaned_data["ceilings"])

    def done(made: tuple[UnboundUse, ...]) -> HttpResponse:
        words = ngettext("%(n)d binding was made.", "%(n)d bindings were made.", len(made)) % {"n": len(made)}
        messages.success(request, words)
        return HttpResponseRedirect(reverse("admin:policy_binding_changelist"))

    return Deferred(
        lambda: run(command, caller),
        done=done,
        refused=lambda refusal: _in_use_page(request, (), problem=refusal.public),
    )


def _in_use_page(request: HttpRequest, found: tuple[UnboundUse, ...], *, problem: str = "") -> TemplateResponse:
    shown = [
        {
            "agent": one.agent,
            "provider": one.provider,
            "flows": cells.listed([FLOW_WORDS[flow] for flow in one.flows]),
            "scopes": cells.listed(one.scopes),
        }
        for one in found
    ]
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("In use without a binding"),
        "found": shown,
        "closed": tenant_of(request).binding_mode == "closed",
        "may_bind": may(request, BindWhatIsInUse.action),
        "form": BindForm(),
        "problem": problem,
    }
    return TemplateResponse(request, "admin/bindings_in_use.html", context)


def _require(request: HttpRequest, page: str) -> None:
    if not may(request, RIGHTS[page]):
        raise PermissionDenied
