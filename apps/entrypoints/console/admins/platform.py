"""What belongs to no tenant: for platform staff, to be seen only."""

from __future__ import annotations

from axes.models import AccessAttempt, AccessFailureLog
from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.audit.models import OperatorRecord
from apps.entrypoints.console import cells
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.filters import SinceFilter, one_of
from apps.tenants.models import DueItem, User


class PlatformAdmin(ConsoleAdmin):
    see = "tenant.create"  # the action only platform staff hold


@admin.register(OperatorRecord)
class OperatorRecordAdmin(PlatformAdmin):
    keyset = ("-at", "-id")
    row_testid = "operator-row"
    first_words = _("Calls turned away before a tenant was known.")
    list_display = ("moment", "action", "reason", "source_ip", "request_id")
    list_filter = (SinceFilter,)
    search_fields = ("request_id__exact",)
    search_help_text = _("Request id, exactly")
    show_fieldsets = ((None, {"fields": ("exact_moment", "action", "reason", "source_ip", "request_id", "data")}),)

    @display(description=_("time"))
    def moment(self, obj: OperatorRecord) -> SafeString:
        return cells.when(obj.at)

    @display(description=_("time"))
    def exact_moment(self, obj: OperatorRecord) -> str:
        return cells.exactly(obj.at)

    @display(description=_("details"))
    def data(self, obj: OperatorRecord) -> SafeString:
        return cells.plain_json(obj.details)


@admin.register(User)
class UserAdmin(PlatformAdmin):
    keyset = ("email", "id")
    row_testid = "user-row"
    list_display = ("email", "name", "is_active", "is_platform_admin", "made")
    list_filter = (one_of("staff", _("kind"), (("True", _("platform staff")),), "is_platform_admin"),)
    search_fields = ("email__icontains", "name__icontains")
    show_fieldsets = ((None, {"fields": ("email", "name", "is_active", "is_platform_admin", "made", "seen")}),)

    @display(description=_("made"))
    def made(self, obj: User) -> SafeString:
        return cells.when(obj.created_at)

    @display(description=_("last sign-in"))
    def seen(self, obj: User) -> SafeString:
        return cells.when(obj.last_login)


@admin.register(DueItem)
class DueItemAdmin(PlatformAdmin):
    singular, plural = _("work item"), _("work queue")
    keyset = ("due_at", "id")
    first_words = _("Work that waits for its time.")
    list_display = ("kind", "due", "leased", "tenant_id", "item_id")
    list_filter = ()
    show_fieldsets = ((None, {"fields": ("kind", "due", "leased", "tenant_id", "item_id")}),)

    def name_of(self, obj: DueItem) -> str:
        return f"{obj.kind} {obj.item_id}"

    @display(description=_("due"))
    def due(self, obj: DueItem) -> SafeString:
        return cells.when(obj.due_at)

    @display(description=_("leased until"))
    def leased(self, obj: DueItem) -> SafeString:
        return cells.when(obj.lease_until)


class _SignIns(PlatformAdmin):
    """Neither what was typed as a name nor the form: people type passwords into the wrong field."""

    keyset = ("-attempt_time", "-id")
    list_filter = ()

    def name_of(self, obj: AccessAttempt | AccessFailureLog) -> str:
        return cells.exactly(obj.attempt_time)

    @display(description=_("time"))
    def moment(self, obj: AccessAttempt | AccessFailureLog) -> SafeString:
        return cells.when(obj.attempt_time)


@admin.register(AccessAttempt)
class AccessAttemptAdmin(_SignIns):
    singular, plural = _("failed sign-in"), _("failed sign-ins")
    first_words = _("Sign-ins that failed and have not succeeded since.")
    list_display = ("moment", "ip_address", "failures_since_start")
    show_fieldsets = ((None, {"fields": ("moment", "ip_address", "failures_since_start")}),)


@admin.register(AccessFailureLog)
class AccessFailureLogAdmin(_SignIns):
    singular, plural = _("sign-in failure"), _("sign-in failures")
    first_words = _("No sign-in has failed.")
    list_display = ("moment", "ip_address", "locked_out")
    show_fieldsets = ((None, {"fields": ("moment", "ip_address", "locked_out")}),)
