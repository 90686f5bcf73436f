"""Members of the chosen tenant: who has which role."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.broker import contracts as c
from apps.entrypoints.console import cells
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.desk import desk, tenant_of
from apps.entrypoints.console.filters import one_of
from apps.entrypoints.console.forms import CommandForm, SecretField, choice, text
from apps.policy.permissions import ROLE_ACTIONS
from apps.tenants.models import Membership


def above(request: HttpRequest, role: str) -> bool:
    """May this role do anything that the person asking may not?"""
    here = desk(request)
    return not ROLE_ACTIONS[role] <= ROLE_ACTIONS.get(here.role if here else "", frozenset())


class _RoleForm(CommandForm):
    role = choice(Membership.Role.choices, label=_("Role"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Nobody gives a role above their own. The broker proves it again.
        self.fields["role"].choices = [  # type: ignore[attr-defined]
            (role, words) for role, words in Membership.Role.choices if not above(self.request, role)
        ]


class AddMemberForm(_RoleForm):
    email = text(label=_("E-mail"), max_length=254)
    name = text(label=_("Name"), max_length=200, required=False)
    password = SecretField(
        label=_("First password"),
        required=False,
        max_length=200,
        help_text=_(
            "Only for a new account, at least 12 characters. Empty: the person cannot sign in with a password."
        ),
    )

    def command(self) -> c.AddMember:
        data = self.cleaned_data
        return c.AddMember(email=data["email"], role=data["role"], name=data["name"], password=data["password"])


class ChangeMemberForm(_RoleForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["role"] = self.instance.role

    def command(self) -> c.AddMember:
        return c.AddMember(email=self.instance.user.email, role=self.cleaned_data["role"])


@admin.register(Membership)
class MemberAdmin(ConsoleAdmin):
    singular, plural = _("member"), _("members")
    see, create, alter, remove = "agent.list", "member.add", "member.add", "member.remove"
    keyset = ("-created_at", "-id")
    row_testid = "member-row"
    add_form, change_form = AddMemberForm, ChangeMemberForm
    first_words = _("People who work in this tenant, or consent in it.")
    remove_words = _("The person can no longer work in this tenant. Their account and other memberships stay.")

    # The e-mail address is what the tenant typed. The account's name is not: it would tell an old account from a new.
    list_display = ("email", "role", "made")
    list_filter = (one_of("role", _("role"), Membership.Role.choices),)
    search_fields = ("user__email__icontains",)
    search_help_text = _("E-mail")

    add_fieldsets = ((None, {"fields": ("email", "name", "role", "password")}),)
    change_fieldsets = ((None, {"fields": ("email", "role", "made")}),)
    show_fieldsets = ((None, {"fields": ("email", "role", "made")}),)

    def name_of(self, obj: Membership) -> str:
        return str(obj.user.email)

    @display(description=_("e-mail"))
    def email(self, obj: Membership) -> str:
        return obj.user.email

    @display(description=_("member since"))
    def made(self, obj: Membership) -> SafeString:
        return cells.when(obj.created_at)

    def get_queryset(self, request: HttpRequest) -> Any:
        # A platform table: no row security here, this line is the wall.
        return Membership.objects.filter(tenant_id=tenant_of(request).id).select_related("user")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nor does anybody take such a role away."""
        return super().has_change_permission(request) and (obj is None or not above(request, obj.role))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request) and (obj is None or not above(request, obj.role))

    def removal(self, request: HttpRequest, target: Membership) -> c.RemoveMember:
        return c.RemoveMember(user_id=target.user_id)
