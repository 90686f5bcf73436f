"""The first page: what there is, what happened today, what is still to be set up. Every number links to its list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.agents.models import Agent
from apps.audit.models import AuditRecord
from apps.authn.models import AccessKey, TrustedIssuer
from apps.connections.models import Connection, PrincipalLink
from apps.core import clock
from apps.entrypoints.console import cells
from apps.entrypoints.console.desk import may, tenant_of
from apps.entrypoints.console.events import event_key
from apps.providers.models import Provider

# Counting stops here: an exact number of millions is not worth a scan.
MOST = 10_000
_RELEASES = ("credential.fetch_oauth", "credential.fetch_api_key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    testid: str
    words: str
    icon: str
    value: int
    url: str

    @property
    def shown(self) -> str:
        return f"{MOST:,}+" if self.value > MOST else f"{self.value:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Done when it is seen to be done. `url` is None for a role that cannot do it."""

    words: str
    help: str
    done: bool
    url: str | None


def index(request: HttpRequest) -> HttpResponse:
    steps = checklist(request)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Overview"),
        "subtitle": None,
        "numbers": numbers(),
        "steps": steps,
        "steps_done": sum(step.done for step in steps),
        "attention": attention(request),
        "recent": recent(),
    }
    request.current_app = admin.site.name  # type: ignore[attr-defined]
    return TemplateResponse(request, "admin/index.html", context)


def numbers() -> list[Number]:
    """What the cards say. Each link opens a list with exactly these rows."""
    day = AuditRecord.objects.filter(at__gte=clock.now() - timedelta(hours=24))
    events = _list("audit.auditrecord")
    return [
        Number(
            testid="kpi-active-agents",
            words=_("Active agents"),
            icon="smart_toy",
            value=_count(Agent.objects.filter(status=Agent.Status.ACTIVE)),
            url=_list("agents.agent", status="active"),
        ),
        Number(
            testid="kpi-active-connections",
            words=_("Active connections"),
            icon="electrical_services",
            value=_count(Connection.objects.filter(status=Connection.Status.ACTIVE)),
            url=_list("connections.connection", status="active"),
        ),
        Number(
            testid="kpi-providers",
            words=_("Providers"),
            icon="hub",
            value=_count(Provider.objects.all()),
            url=_list("providers.provider"),
        ),
        Number(
            testid="kpi-keys",
            words=_("Access keys"),
            icon="key",
            value=_count(AccessKey.objects.filter(status=AccessKey.Status.ACTIVE)),
            url=_list("authn.accesskey", status="active"),
        ),
        Number(
            testid="kpi-events-24h",
            words=_("Events, last 24 hours"),
            icon="receipt_long",
            value=_count(day),
            url=f"{events}?time=24h",
        ),
        Number(
            testid="kpi-denied-24h",
            words=_("Refusals, last 24 hours"),
            icon="block",
            value=_count(day.filter(outcome=AuditRecord.Outcome.DENIED)),
            url=f"{events}?time=24h&outcome=denied",
        ),
    ]


def checklist(request: HttpRequest) -> list[Step]:
    """The way to the first token; empty once it has been given out."""
    if _first_token_given():
        return []
    return [
        Step(
            words=_("Add a provider"),
            help=_("Where the agent's credentials come from: GitHub, Google, your own server, or an API key."),
            done=Provider.objects.exists(),
            url=_add(request, "oauth_provider.create", "providers.provider"),
        ),
        Step(
            words=_("Add an agent"),
            help=_("Its name, and where people come back to after consent."),
            done=Agent.objects.exists(),
            url=_add(request, "agent.create", "agents.agent"),
        ),
        Step(
            words=_("Say who people are"),
            help=_("Trust the issuer of their tokens, or link a portal account to a user id."),
            done=TrustedIssuer.objects.exists() or PrincipalLink.objects.exists() or _claims(request),
            url=_add(request, "issuer.trust", "authn.trustedissuer"),
        ),
        Step(
            words=_("Make an access key"),
            help=_("The application signs its calls with it. Its secret is shown once."),
            done=AccessKey.objects.filter(status=AccessKey.Status.ACTIVE).exists(),
            url=_add(request, "access_key.create", "authn.accesskey"),
        ),
        Step(
            words=_("Ask for the first token"),
            help=_("Point the AWS SDK at this portal and call GetResourceOauth2Token. This list then goes away."),
            done=False,
            url=None,
        ),
    ]


def _first_token_given() -> bool:
    given = AuditRecord.objects.filter(outcome=AuditRecord.Outcome.ALLOWED)
    return bool(
        Connection.objects.exists()
        or given.filter(action="credential.fetch_api_key").exists()
        or given.filter(action="credential.fetch_oauth", connection_id__isnull=False).exists()
    )


def _claims(request: HttpRequest) -> bool:
    return tenant_of(request).claim_user_ids


def attention(request: HttpRequest) -> list[tuple[str, str]]:
    """What somebody should look at: (sentence, link)."""
    found = []
    waiting = _count(Connection.objects.filter(status=Connection.Status.NEEDS_RECONSENT))
    if waiting:
        words = _("Connections that need consent again: %(n)s") % {"n": waiting}
        found.append((words, _list("connections.connection", status="needs_reconsent")))
    suspended = _count(Agent.objects.filter(status=Agent.Status.SUSPENDED))
    if suspended:
        words = _("Suspended agents: %(n)s") % {"n": suspended}
        found.append((words, _list("agents.agent", status="suspended")))
    if _claims(request):
        words = _("User ids are claimed by whoever approves first. Turn this off outside development.")
        found.append((words, reverse("admin:tenants_tenant_change", args=[tenant_of(request).pk])))
    return found


def recent() -> list[dict[str, Any]]:
    """The last few events, as cells."""
    return [
        {
            "url": reverse("admin:audit_auditrecord_change", args=[event_key(row)]),
            "action": row.action,
            "result": cells.pill(row.outcome, row.get_outcome_display()),
            "moment": cells.when(row.at),
            "about": row.agent_name or row.provider_name,
            "reason": row.reason,
        }
        for row in AuditRecord.objects.order_by("-at", "-id")[:8]
    ]


def _count(rows: QuerySet[Any]) -> int:
    return rows.order_by()[: MOST + 1].count()


def _list(label: str, **query: str) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_changelist", query=query or None)


def _add(request: HttpRequest, right: str, label: str) -> str | None:
    return reverse(f"admin:{label.replace('.', '_')}_add") if may(request, right) else None
