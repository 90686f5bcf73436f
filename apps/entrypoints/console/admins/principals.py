"""Principals, and which portal accounts they are."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.enums import ActionVariant

from apps.broker import contracts as c
from apps.broker.contracts_admin import ResumePrincipal, SuspendPrincipal
from apps.connections.models import Principal, PrincipalLink
from apps.entrypoints.console import cells
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.dialogs import dialog
from apps.entrypoints.console.filters import one_of
from apps.entrypoints.console.forms import CommandForm, OptionalReasonForm, ReasonForm, choice, text

_KINDS = (("uid", _("A user id, as the application names it")), ("jwt", _("The subject of a token")))


@admin.register(Principal)
class PrincipalAdmin(ConsoleAdmin):
    see = "vault.read"
    keyset = ("-created_at", "-id")
    row_testid = "principal-row"
    first_words = _("On whose behalf agents act. They appear when an agent first acts for somebody.")

    list_display = ("subject", "kind", "issuer", "state", "made")
    list_filter = (one_of("kind", _("kind"), Principal.Kind.choices),)
    search_fields = ("subject__exact", "pseudonym__exact")
    search_help_text = _("User id, subject or pseudonym, exactly")
    actions_detail = ("suspend", "resume")
    show_fieldsets = (
        (None, {"fields": ("subject", "kind", "issuer", "state", "made")}),
        (_("Elsewhere"), {"fields": ("account", "pseudonym", "elsewhere")}),
    )

    @display(description=_("status"))
    def state(self, obj: Principal) -> SafeString:
        return cells.pill(obj.status, obj.get_status_display())

    @display(description=_("portal account"))
    def account(self, obj: Principal) -> str:
        link = obj.links.select_related("user").first()
        return str(link.user.email) if link else "–"

    @display(description=_("lists"))
    def elsewhere(self, obj: Principal) -> SafeString:
        connections = reverse("admin:connections_connection_changelist", query={"q": obj.subject})
        events = reverse("admin:audit_auditrecord_changelist", query={"for": obj.pseudonym})
        return format_html(
            "{} · {}", cells.link(connections, _("Connections")), cells.link(events, _("Events on their behalf"))
        )

    @display(description=_("first seen"))
    def made(self, obj: Principal) -> SafeString:
        return cells.when(obj.created_at)

    @dialog(
        right="principal.suspend",
        applies=lambda principal: principal.status == "active",
        label=_("Suspend"),
        title=_("Suspend this principal?"),
        description=_("No agent acts for them from the next call on, and their workload tokens end."),
        submit=_("Suspend"),
        done=_("The principal is suspended."),
        form=ReasonForm,
        icon="pause_circle",
        variant=ActionVariant.DANGER,
        testid="principal-suspend",
    )
    def suspend(self, request: HttpRequest, principal: Principal, form: forms.Form) -> SuspendPrincipal:
        return SuspendPrincipal(principal_id=principal.id, why=form.cleaned_data["why"])

    @dialog(
        right="principal.resume",
        applies=lambda principal: principal.status == "suspended",
        label=_("Resume"),
        title=_("Let agents act for this principal again?"),
        description=_("Workload tokens from before stay ended."),
        submit=_("Resume"),
        done=_("Agents may act for them again."),
        form=OptionalReasonForm,
        icon="play_circle",
        variant=ActionVariant.SUCCESS,
        testid="principal-resume",
    )
    def resume(self, request: HttpRequest, principal: Principal, form: forms.Form) -> ResumePrincipal:
        return ResumePrincipal(principal_id=principal.id, why=form.cleaned_data["why"])


class AddLinkForm(CommandForm):
    email = text(label=_("Portal account"), max_length=254, help_text=_("E-mail of a member of this tenant."))
    kind = choice(_KINDS, label=_("Known as"))
    user_id = text(label=_("User id"), max_length=512, required=False, help_text=_("For a user id."))
    issuer = text(label=_("Issuer"), max_length=2048, required=False, help_text=_("For the subject of a token."))
    subject = text(label=_("Subject"), max_length=512, required=False, help_text=_("For the subject of a token."))

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        needed = ("user_id",) if data.get("kind") == "uid" else ("issuer", "subject")
        for name in needed:
            if not data.get(name) and name not in self.errors:
                self.add_error(name, ValidationError(_("This is needed here.")))
        return data

    def command(self) -> c.LinkPrincipal:
        data = self.cleaned_data
        if data["kind"] == "uid":
            return c.LinkPrincipal(email=data["email"], user_id=data["user_id"])
        return c.LinkPrincipal(email=data["email"], issuer=data["issuer"], subject=data["subject"])


@admin.register(PrincipalLink)
class PrincipalLinkAdmin(ConsoleAdmin):
    singular, plural = _("linked account"), _("linked accounts")
    see, create = "vault.read", "principal.link"
    keyset = ("-created_at", "-id")
    add_form = AddLinkForm
    first_words = _("A linked account may give consent on the portal as that person.")
    list_display = ("principal", "email", "made")
    list_select_related = ("principal", "user")
    list_filter = ()
    search_fields = ("user__email__icontains", "principal__subject__exact")
    search_help_text = _("E-mail, or the exact user id")
    add_fieldsets = ((None, {"fields": ("email", "kind", "user_id", "issuer", "subject")}),)
    show_fieldsets = ((None, {"fields": ("principal", "email", "made")}),)

    def name_of(self, obj: PrincipalLink) -> str:
        return f"{obj.principal} = {obj.user.email}"

    @display(description=_("e-mail"))
    def email(self, obj: PrincipalLink) -> str:
        return str(obj.user.email)

    @display(description=_("linked"))
    def made(self, obj: PrincipalLink) -> SafeString:
        return cells.when(obj.created_at)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("principal", "user")
