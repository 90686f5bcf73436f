"""The audit trail as the walkthrough prints it: who, what, when, on whose behalf, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from walkthrough_tools import manage

_MOST = 500
_PROMISED = {
    "acme": {
        "agent.create allowed",
        "issuer.trust allowed",
        "workload_token.issue_for_jwt allowed",
        "workload_token.issue_for_jwt denied",
        "consent.open allowed",
        "consent.decide allowed",
        "consent.complete allowed",
        "connection.store allowed",
        "connection.renew allowed",
        "principal.link allowed",
        "credential.fetch_oauth allowed",
        "credential.fetch_api_key allowed",
    },
    "globex": {"credential.fetch_oauth denied", "agent.read denied"},
}


def records_since(tenant: str, began: datetime) -> list[dict[str, Any]]:
    """What happened in a tenant since a moment (UTC), oldest first, read as an operator reads it."""
    newest_first = manage("audit_trail", tenant, "--last", str(_MOST))["records"]
    return [record for record in reversed(newest_first) if datetime.fromisoformat(record["at"]) >= began]


def missing_in(tenant: str, records: list[dict[str, Any]]) -> list[str]:
    """What these records should tell of and do not."""
    return sorted(_PROMISED[tenant] - {f"{record['action']} {record['outcome']}" for record in records})


def told(records: list[dict[str, Any]], steps: list[datetime], names: Mapping[str, str]) -> Iterator[str]:
    """One line per record, with a heading where a step begins.

    Args:
        steps: when each step began.
        names: readable names for access keys and for subjects of tokens.
    """
    step = 0
    for record in records:
        at = datetime.fromisoformat(record["at"])
        reached = sum(began <= at for began in steps)
        if reached != step:
            step = reached
            yield f"step {step}"
        yield f"  {_line(record, names)}"


def _line(record: dict[str, Any], names: Mapping[str, str]) -> str:
    actor = record["account"] or names.get(record["actor"], record["actor"])
    outcome = record["outcome"] + (f" ({record['reason']})" if record["reason"] else "")
    line = f"{record['at'][11:19]}  {actor:<17}  {record['action']:<32}  {outcome}"
    person = record["person"] or ""
    person = names.get(person.partition(" of ")[0], person)
    for word, value in (("agent", record["agent"]), ("provider", record["provider"]), ("for", person)):
        line += f"  {word} {value}" if value else ""
    return line
