"""Access keys: made with explicit permissions, shown once; and what they and tokens leave behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget

from apps.agents.models import Agent
from apps.authn.models import AccessKey, AccessKeyGrant, AnsweredRequest, WorkloadToken
from apps.broker import contracts as c
from apps.broker.contracts_admin import EnableAccessKey
from apps.core import clock
from apps.entrypoints.console import cells, shown_once
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.desk import desk, tenant_of
from apps.entrypoints.console.dialogs import dialog
from apps.entrypoints.console.filters import one_of, row_is, text_is
from apps.entrypoints.console.forms import CommandForm, DialogForm, LinesField, row, switch, text
from apps.policy import conditions
from apps.policy.grants import Grant, parse
from apps.policy.permissions import SERVICE

_LIVES = (("30", _("30 days")), ("90", _("90 days")), ("365", _("1 year")), ("", _("no end")))
_MAY_GIVE_ALL = ("tenant_owner", "platform_admin")


class AddKeyForm(CommandForm):
    label = text(label=_("Label"), max_length=200, required=False, help_text=_("What uses it, for people."))
    grants = LinesField(
        label=_("Permissions"),
        required=False,
        rows=6,
        help_text=_(
            "One per line: ACTION ARN, both with * and ? as wildcards, and perhaps: if OPERATOR KEY VALUE|VALUE and … "
            "None: the key may do nothing."
        ),
    )
    agent = row(label=_("Only as agent"), required=False, empty_label=_("Any agent its permissions allow"))
    life = forms.ChoiceField(
        label=_("Ends after"), choices=_LIVES, initial="90", required=False, widget=UnfoldAdminSelectWidget()
    )
    full_access = switch(
        label=_("May do everything in this tenant"),
        help_text=_("Acting for any user id included. Permissions above are then not looked at. Owners only."),
    )
    errors_at = {"name": "agent", "expires_at": "life"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["agent"].queryset = Agent.objects.order_by("name")  # type: ignore[attr-defined]
        here = desk(self.request)
        if here is None or here.role not in _MAY_GIVE_ALL:
            del self.fields["full_access"]
        example = f"{SERVICE}:GetWorkloadAccessToken* arn:aws:{SERVICE}:*:{tenant_of(self.request).account_id}:*"
        self.fields["grants"].widget.attrs["placeholder"] = example

    def clean_grants(self) -> tuple[Grant, ...]:
        found = []
        for line in self.cleaned_data["grants"]:
            try:
                found.append(parse(line))
            except ValueError:
                raise ValidationError(
                    _("Each line has two words, an action and an ARN, and then perhaps its conditions: %(line)s"),
                    params={"line": line},
                ) from None
        return tuple(found)

    def command(self) -> c.CreateAccessKey:
        data = self.cleaned_data
        days = int(data["life"] or 0)
        return c.CreateAccessKey(
            label=data["label"],
            grants=data["grants"],
            agent=data["agent"].name if data["agent"] else None,
            full_access=bool(data.get("full_access")),
            expires_at=clock.now() + timedelta(days=days) if days else None,
        )


@admin.register(AccessKey)
class AccessKeyAdmin(ConsoleAdmin):
    see, create, remove = "vault.read", "access_key.create", "access_key.delete"
    keyset = ("-created_at", "-id")
    row_testid = "key-row"
    add_form = AddKeyForm
    first_words = _("Applications sign their calls with an access key. Make one with exactly the permissions it needs.")
    remove_words = _("Calls signed with it are refused from the next one on. This cannot be undone.")

    list_display = ("key_id", "label", "state", "reach", "agent", "ends", "made")
    list_select_related = ("agent",)
    list_filter = (
        one_of("status", _("status"), AccessKey.Status.choices),
        row_is("agent", _("agent id"), "agent_id"),
    )
    search_fields = ("key_id__exact", "label__icontains")
    search_help_text = _("Key id, or part of the label")
    actions_detail = ("disable", "enable")

    add_fieldsets = (
        (None, {"fields": ("label", "life", "agent")}),
        (_("Permissions"), {"fields": ("grants", "full_access")}),
    )
    show_fieldsets = (
        (None, {"fields": ("key", "label", "state", "agent", "ends", "made")}),
        (_("Permissions"), {"fields": ("reach", "grant_list")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None and not may_give_all(request):
            return (
                (None, {"fields": ("label", "life", "agent")}),
                (_("Permissions"), {"fields": ("grants",)}),
            )
        return super().get_fieldsets(request, obj)

    @display(description=_("key id"))
    def key(self, obj: AccessKey) -> SafeString:
        return cells.copyable(obj.key_id, "key-id")

    @display(description=_("status"))
    def state(self, obj: AccessKey) -> SafeString:
        if obj.expires_at is not None and obj.expires_at <= clock.now():
            return cells.pill("expired", _("expired"), "key-status")
        return cells.pill(obj.status, obj.get_status_display(), "key-status")

    @display(description=_("may"))
    def reach(self, obj: AccessKey) -> str:
        return str(_("everything in this tenant")) if obj.full_access else str(_("what its permissions say"))

    @display(description=_("ends"))
    def ends(self, obj: AccessKey) -> SafeString | str:
        return cells.when(obj.expires_at) if obj.expires_at else str(_("no end"))

    @display(description=_("made"))
    def made(self, obj: AccessKey) -> SafeString:
        return cells.when(obj.created_at)

    @display(description=_("permissions"))
    def grant_list(self, obj: AccessKey) -> SafeString:
        rows = obj.grants.order_by("action", "resource", "id").values_list("action", "resource", "conditions")
        return cells.lines([Grant(a, r, conditions.read(limits)).words() for a, r, limits in rows])

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("agent")

    def saved(self, request: HttpRequest, target: Any, form: CommandForm, outcome: Any) -> HttpResponse:
        made: c.NewAccessKey = outcome
        return shown_once.page(request, made, title=_("Access key made"), back=self.list_url(), opts=self.opts)

    @dialog(
        right="access_key.disable",
        applies=lambda key: key.status == AccessKey.Status.ACTIVE,
        label=_("Disable"),
        title=_("Disable this access key?"),
        description=_("Calls signed with it are refused from the next one on. It can be enabled again."),
        submit=_("Disable"),
        done=_("The access key is disabled."),
        form=DialogForm,
        icon="key_off",
        variant=ActionVariant.DANGER,
        testid="key-disable",
    )
    def disable(self, request: HttpRequest, key: AccessKey, form: forms.Form) -> c.DisableAccessKey:
        return c.DisableAccessKey(access_key_id=key.key_id)

    @dialog(
        right="access_key.enable",
        applies=lambda key: key.status == AccessKey.Status.DISABLED,
        label=_("Enable"),
        title=_("Enable this access key?"),
        description=_("Calls signed with it are accepted again, with the permissions it had."),
        submit=_("Enable"),
        done=_("The access key is enabled."),
        form=DialogForm,
        icon="key",
        variant=ActionVariant.SUCCESS,
        testid="key-enable",
    )
    def enable(self, request: HttpRequest, key: AccessKey, form: forms.Form) -> EnableAccessKey:
        return EnableAccessKey(access_key_id=key.key_id)

    def removal(self, request: HttpRequest, target: AccessKey) -> c.DeleteAccessKey:
        return c.DeleteAccessKey(access_key_id=target.key_id)


def may_give_all(request: HttpRequest) -> bool:
    here = desk(request)
    return here is not None and here.role in _MAY_GIVE_ALL


@admin.register(AccessKeyGrant)
class AccessKeyGrantAdmin(ConsoleAdmin):
    singular, plural = _("permission"), _("permissions of access keys")
    see = "vault.read"
    keyset = ("action", "id")
    list_display = ("action", "resource", "limits", "access_key")
    list_select_related = ("access_key",)
    list_filter = (text_is("key", _("key id"), "access_key__key_id"), text_is("action", _("action"), "action"))
    show_fieldsets = ((None, {"fields": ("access_key", "action", "resource", "limits")}),)

    @display(description=_("conditions"))
    def limits(self, obj: AccessKeyGrant) -> SafeString:
        return cells.lines([one.words() for one in conditions.read(obj.conditions)])

    def name_of(self, obj: AccessKeyGrant) -> str:
        return f"{obj.action} {obj.resource}"


@admin.register(WorkloadToken)
class WorkloadTokenAdmin(ConsoleAdmin):
    see = "vault.read"
    keyset = ("-issued_at", "-id")
    first_words = _("A workload token says which agent acts for whom. Only its digest is kept, and not shown.")
    list_display = ("agent", "principal", "proof", "state", "issued", "ends")
    list_select_related = ("agent", "principal", "tenant")
    list_filter = (
        one_of("proof", _("proof"), (("jwt", _("a token")), ("uid", _("a user id")), ("self", _("the agent itself")))),
        row_is("agent", _("agent id"), "agent_id"),
    )
    show_fieldsets = ((None, {"fields": ("agent", "principal", "proof", "state", "issued", "ends")}),)

    def name_of(self, obj: WorkloadToken) -> str:
        return f"{obj.agent} → {obj.principal}"

    @display(description=_("status"))
    def state(self, obj: WorkloadToken) -> SafeString:
        if obj.expires_at <= clock.now():
            return cells.pill("expired", _("expired"))
        now = (obj.tenant.epoch, obj.agent.epoch, obj.principal.epoch)
        if now != (obj.tenant_epoch, obj.agent_epoch, obj.principal_epoch):
            return cells.pill("ended", _("ended"))
        return cells.pill("active", _("active"))

    @display(description=_("issued"))
    def issued(self, obj: WorkloadToken) -> SafeString:
        return cells.when(obj.issued_at)

    @display(description=_("ends"))
    def ends(self, obj: WorkloadToken) -> SafeString:
        return cells.when(obj.expires_at)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("agent", "principal", "tenant")


@admin.register(AnsweredRequest)
class AnsweredRequestAdmin(ConsoleAdmin):
    see = "vault.read"
    keyset = ("-created_at", "-id")
    first_words = _("Answers to changes are kept for a while, so that a client's retry has no second effect.")
    list_display = ("id", "status", "error", "made")
    list_filter = ()
    show_fieldsets = ((None, {"fields": ("id", "status", "error", "made")}),)

    def name_of(self, obj: AnsweredRequest) -> str:
        return str(obj.pk)

    @display(description=_("received"))
    def made(self, obj: AnsweredRequest) -> SafeString:
        return cells.when(obj.created_at)
