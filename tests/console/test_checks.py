"""The system check notices what must not come back."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.core.management import call_command
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action

from apps.agents.models import Agent
from apps.authn.models import AccessKey, OAuthAccessToken, OAuthGrant
from apps.connections.models import Connection
from apps.entrypoints.console.admins.agents import AgentAdmin
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.checks import check_console
from apps.tenants.models import Tenant
from apps.vault.models import SealedSecret


def found(page_class, model=Agent) -> list[str]:
    """The ids of what the check says about one page."""

    class Site:
        _registry = {model: page_class(model, admin.site)}

    return sorted({problem.id for problem in check_console(None, site=Site())})  # type: ignore[arg-type]


class Good(ConsoleAdmin):
    see = "agent.list"
    keyset = ("name", "id")
    list_display = ("name",)
    list_filter = ()
    show_fieldsets = ((None, {"fields": ("name",)}),)


def test_what_is_registered_passes():
    assert check_console(None) == []
    call_command("check")
    assert found(Good) == [] and found(AgentAdmin) == []


def test_an_action_without_a_dialog_is_refused():
    class Bad(Good):
        actions_detail = ("switch_off",)

        @action(description="off")
        def switch_off(self, request, object_id):
            """A GET would do it."""

    assert found(Bad) == ["console.E002"]
    for kind in ("actions_list", "actions_row", "actions_submit_line"):
        assert found(type("Bad", (Bad,), {"actions_detail": (), kind: ("switch_off",)})) == ["console.E002"]


def test_unfolds_own_dialog_is_refused_too_because_it_would_act_by_itself():
    class Bad(Good):
        actions_detail = ("switch_off",)

        @action(description="off", dialog={"title": "?", "description": "", "form_class": None, "form_submit_text": ""})
        def switch_off(self, request, form, object_id):
            """It would change the row inside the page's own transaction."""

    assert found(Bad) == ["console.E003"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"actions": ["delete_selected"]}, "console.E004"),
        ({"custom_urls": (("x/", "x", lambda request: None),)}, "console.E004"),
        ({"list_editable": ("name",)}, "console.E005"),
        ({"inlines": (type("Keys", (TabularInline,), {"model": AccessKey}),)}, "console.E005"),
        ({"see": ""}, "console.E006"),
        ({"keyset": ()}, "console.E007"),
        ({"keyset": ("name",)}, "console.E007"),
        ({"keyset": ("-name", "id")}, "console.E008"),
        ({"get_changelist": lambda self, request, **kw: object}, "console.E009"),
        ({"list_filter": ("status",)}, "console.E010"),
    ],
)
def test_each_rule_has_a_page_that_breaks_it(change, problem):
    assert found(type("Bad", (Good,), change)) == [problem]


@pytest.mark.parametrize(
    ("model", "column"),
    [
        (SealedSecret, "blob"), (OAuthAccessToken, "token"), (OAuthGrant, "code"), (Tenant, "pseudonym_key"),
        (Connection, "params_digest"),
    ],
)  # fmt: skip
def test_a_secret_column_on_a_page_is_refused_wherever_it_stands(model, column):
    base = {"see": "vault.read", "keyset": ("id",), "list_display": ("id",), "list_filter": ()}
    shown = ((None, {"fields": ("id",)}),)
    assert found(type("Fine", (ConsoleAdmin,), {**base, "show_fieldsets": shown}), model) == []
    secret = ((None, {"fields": ("id", column)}),)
    for place in (
        {"list_display": ("id", column), "show_fieldsets": shown},
        {"show_fieldsets": secret},
        {"show_fieldsets": shown, "change_fieldsets": secret},
        {"show_fieldsets": shown, "search_fields": (f"{column}__startswith",)},
    ):
        assert found(type("Bad", (ConsoleAdmin,), {**base, **place}), model) == ["console.E011"]


def test_somebody_elses_admin_is_refused():
    assert found(type("Plain", (ModelAdmin,), {})) == ["console.E001"]
