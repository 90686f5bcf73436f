"""What happened in the tenant. Read-only for everybody, the platform included."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.audit.catalogue import ACTIONS
from apps.audit.models import AuditRecord
from apps.entrypoints.console import cells
from apps.entrypoints.console.base import ConsoleAdmin
from apps.entrypoints.console.events import event_key, read_event_key
from apps.entrypoints.console.filters import SinceFilter, one_of, row_is, text_is
from apps.tenants.models import User


@admin.register(AuditRecord)
class AuditRecordAdmin(ConsoleAdmin):
    see = "agent.list"
    keyset = ("-at", "-id")
    row_testid = "audit-row"
    filter_testid = "audit-filter"
    first_words = _("Every call leaves exactly one event here, refusals included.")

    list_display = ("moment", "action", "result", "who", "agent_name", "behalf", "provider_name", "reason")
    list_display_links = ("moment", "action")
    list_filter = (
        SinceFilter,
        one_of("outcome", _("outcome"), AuditRecord.Outcome.choices),
        one_of("action", _("action"), tuple((name, name) for name in sorted(ACTIONS)), folded=True),
        text_is("agent", _("agent"), "agent_name"),
        row_is("agent_id", _("agent id"), "agent_id"),
        text_is("actor", _("actor: key id or person's id"), "actor"),
        text_is("for", _("on behalf of (pseudonym)"), "on_behalf_of"),
        row_is("connection", _("connection id"), "connection_id"),
    )
    search_fields = ("request_id__exact",)
    search_help_text = _("Request id, exactly")

    show_fieldsets = (
        (None, {"fields": ("exact_moment", "action", "meaning", "result", "reason")}),
        (_("Who"), {"fields": ("actor_kind", "who", "actor", "proof", "source_ip")}),
        (_("About"), {"fields": ("agent_name", "agent_id", "on_behalf_of", "provider_name", "connection_id")}),
        (_("More"), {"fields": ("request_ref", "related", "data", "fingerprint")}),
    )

    def key_of(self, obj: Any) -> str:
        return event_key(obj)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> AuditRecord | None:
        """The event by its whole key: by its id alone every month of the tenant's trail would be read."""
        found = read_event_key(object_id)
        if found is None:
            return None
        at, row_id = found
        row: AuditRecord | None = self.get_queryset(request).filter(at=at, id=row_id).first()
        return row

    def prepare_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        """Names of the people who acted, in one look-up."""
        names = _names(rows)
        for row in rows:
            row.actor_words = names.get(row.actor, "")

    @display(description=_("time"))
    def moment(self, obj: AuditRecord) -> SafeString:
        return cells.when(obj.at)

    @display(description=_("time"))
    def exact_moment(self, obj: AuditRecord) -> str:
        return cells.exactly(obj.at)

    @display(description=_("meaning"))
    def meaning(self, obj: AuditRecord) -> str:
        return ACTIONS.get(obj.action, "")

    @display(description=_("outcome"))
    def result(self, obj: AuditRecord) -> SafeString:
        return cells.pill(obj.outcome, obj.get_outcome_display())

    @display(description=_("who"))
    def who(self, obj: AuditRecord) -> SafeString | str:
        words = getattr(obj, "actor_words", None)
        if words is None:  # on the event's own page
            words = _names([obj]).get(obj.actor, "")
        return words or cells.mono(obj.actor)

    @display(description=_("on behalf of"))
    def behalf(self, obj: AuditRecord) -> SafeString:
        return cells.mono(obj.on_behalf_of[:12] if obj.on_behalf_of else "")

    @display(description=_("request id"))
    def request_ref(self, obj: AuditRecord) -> SafeString:
        return cells.copyable(obj.request_id, "request-id")

    @display(description=_("same request"))
    def related(self, obj: AuditRecord) -> SafeString:
        url = reverse("admin:audit_auditrecord_changelist", query={"q": obj.request_id})
        return cells.link(url, _("All events of this request"))

    @display(description=_("details"))
    def data(self, obj: AuditRecord) -> SafeString:
        return cells.plain_json(obj.details)

    @display(description=_("content digest"))
    def fingerprint(self, obj: AuditRecord) -> SafeString:
        return cells.mono(bytes(obj.digest).hex() if obj.digest else "")


def _names(rows: list[Any]) -> dict[str, str]:
    """Who the people among the actors are."""
    ids = {row.actor for row in rows if row.actor_kind == "person" and _is_id(row.actor)}
    return {str(user.id): str(user) for user in User.objects.filter(id__in=ids)} if ids else {}


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
