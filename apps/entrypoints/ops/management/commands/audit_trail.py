"""Read the end of a tenant's audit trail."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from apps.audit.catalogue import ACTIONS
from apps.audit.models import AuditRecord
from apps.connections.models import Principal, PrincipalLink
from apps.entrypoints.ops.management.base import OperatorCommand, tenant_by_slug
from apps.tenants.models import User
from apps.tenants.scope import tenant_scope

_MOST = 10_000


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST):
        raise ArgumentTypeError(f"a number from 1 to {_MOST}")
    return int(text)


class Command(OperatorCommand):
    help = "Show the latest records of a tenant's audit trail, newest first. Times are UTC."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("tenant")
        parser.add_argument("--last", type=_count, default=20, metavar="N", help="how many (default 20)")

    def act(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_by_slug(options["tenant"])
        with tenant_scope(tenant.id):
            rows = list(AuditRecord.objects.order_by("-at", "-id")[: options["last"]])
            people = _people({row.on_behalf_of for row in rows})
        accounts = _accounts(rows)
        records = [_shown(row, people, accounts) for row in rows]
        if options["json"]:
            return {"tenant": tenant.slug, "records": records}
        return {"tenant": tenant.slug, "records": "\n".join(["", *map(_line, records)])}


def _people(pseudonyms: set[str]) -> dict[str, str]:
    """Readable names for pseudonyms, as far as the tenant still knows who they are. Inside a scope."""
    principals = list(Principal.objects.filter(pseudonym__in=pseudonyms))
    links = PrincipalLink.objects.filter(principal__in=principals).values_list("principal_id", "user__email")
    emails = dict(links)
    return {who.pseudonym: emails.get(who.id) or _called(who) for who in principals}


def _called(who: Principal) -> str:
    if who.kind == Principal.Kind.SELF:
        return "the agent itself"
    return f"{who.subject} of {who.issuer}" if who.issuer else f"user id {who.subject}"


def _accounts(rows: list[AuditRecord]) -> dict[str, str]:
    """E-mail addresses of the portal accounts that acted."""
    ids = set()
    for row in rows:
        if row.actor_kind == "person" and len(row.actor) == 36:
            ids.add(uuid.UUID(row.actor))
    return {str(key): email for key, email in User.objects.filter(id__in=ids).values_list("id", "email")}


def _shown(row: AuditRecord, people: dict[str, str], accounts: dict[str, str]) -> dict[str, Any]:
    return {
        "at": row.at.isoformat(),
        "action": row.action,
        "words": ACTIONS.get(row.action, row.action),
        "outcome": row.outcome,
        "reason": row.reason,
        "actor_kind": row.actor_kind,
        "actor": row.actor,
        "account": accounts.get(row.actor),
        "proof": row.proof,
        "agent": row.agent_name,
        "on_behalf_of": row.on_behalf_of,
        "person": people.get(row.on_behalf_of),
        "provider": row.provider_name,
        "connection": str(row.connection_id) if row.connection_id else None,
        "details": row.details,
        "request_id": row.request_id,
        "source_ip": row.source_ip,
    }


def _line(record: dict[str, Any]) -> str:
    outcome = record["outcome"] + (f" ({record['reason']})" if record["reason"] else "")
    parts = [record["at"][:23], f"{outcome:<9}", record["action"], f"by {record['account'] or record['actor']}"]
    for word, name in (("agent", "agent"), ("for", "person"), ("at", "provider")):
        if record[name]:
            parts.append(f"{word} {record[name]}")
    return "  ".join(parts)
