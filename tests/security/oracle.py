"""What must not have happened: every tenant's tables by checksum, every call to a provider, every audit record.

Looked at as the owner, past row security, so that a write into the wrong tenant is seen too.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import psycopg
from psycopg import sql

# The trail and the kept answers grow with every call; everything else must stand still when a call is refused.
_MOVES_ALWAYS = frozenset({"audit.AuditRecord", "authn.AnsweredRequest"})
# Rows of the platform that belong to a tenant or a person: (table, column that names the tenant).
_PLATFORM = (("tenants_tenant", "id"), ("tenants_membership", "tenant_id"), ("tenants_dueitem", "tenant_id"))
# What programs call at Demo Hub. Its pages are called by a person's browser.
_BY_A_PROGRAM = frozenset(
    {"openid_configuration", "authorization_server", "jwks", "userinfo", "token", "revoke", "introspect", "unknown"}
)


@cache
def owner() -> psycopg.Connection[tuple[Any, ...]]:
    """The owner's connection: sees all tenants, belongs to the tests only."""
    return psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True)


def execute(query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement as the owner and return its rows, none for a statement without any."""
    cursor = owner().execute(query, values or None)  # type: ignore[arg-type]
    return cursor.fetchall() if cursor.description else []


@cache
def _statement() -> sql.Composed:
    from apps.tenants import registry

    parts = [(m._meta.db_table, "tenant_id") for m in registry.tenant_models() if m._meta.label not in _MOVES_ALWAYS]
    one = sql.SQL(
        "SELECT {name}, {column}::text, count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) "
        "FROM {table} t WHERE {column} = ANY(%(tenants)s) GROUP BY 2"
    )
    return sql.SQL(" UNION ALL ").join(
        one.format(name=sql.Literal(table), column=sql.Identifier(column), table=sql.Identifier(table))
        for table, column in [*parts, *_PLATFORM]
    )


Snapshot = dict[tuple[str, str], tuple[int, str]]


def snapshot(*tenants: Any) -> Snapshot:
    """(table, tenant) -> (rows, checksum over every column) of everything these tenants own."""
    rows = owner().execute(_statement(), {"tenants": [tenant.id for tenant in tenants]}).fetchall()
    return {(table, tenant): (count, digest) for table, tenant, count, digest in rows}


def changed(before: Snapshot, after: Snapshot) -> set[str]:
    """The tables whose content differs."""
    return {key[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


@dataclass(frozen=True)
class Record:
    """One record of a tenant's trail, or of the operators' stream (then `tenant` is None)."""

    tenant: Any
    action: str
    outcome: str
    reason: str
    request_id: str
    details: dict[str, Any]
    actor: str = ""


def _trail(tenants: Iterable[Any]) -> dict[Any, Record]:
    found = execute(
        "SELECT id, tenant_id, action, outcome, reason, request_id, details, actor FROM audit_auditrecord "
        "WHERE tenant_id = ANY(%s)",
        [tenant.id for tenant in tenants],
    )
    stream = execute("SELECT id, action, reason, request_id, details FROM audit_operatorrecord")
    return {row[0]: Record(*row[1:]) for row in found} | {
        key: Record(None, action, "denied", reason, request_id, details)
        for key, action, reason, request_id, details in stream
    }


@dataclass
class Watch:
    """What happened inside a `watching` block. Filled when it ends."""

    records: list[Record] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    def reasons(self) -> Counter[str]:
        return Counter(record.reason for record in self.records if record.outcome in ("denied", "failed"))


_mark: dict[str, int] = {}


def calls_to(hub: Any) -> list[str]:
    """What the portal asked Demo Hub since this was last asked."""
    seen = hub.requests_seen(after=_mark.get(hub.url, 0))
    _mark[hub.url] = max((entry["seq"] for entry in seen), default=_mark.get(hub.url, 0))
    return [entry["endpoint"] for entry in seen if entry["endpoint"] in _BY_A_PROGRAM]


@contextmanager
def watching(*tenants: Any, hub: Any = None) -> Iterator[Watch]:
    """Compare before and after. Nothing is asserted; `nothing_but` and the test do that."""
    watch = Watch()
    if hub is not None:
        calls_to(hub)
    before, known = snapshot(*tenants), _trail(tenants).keys()
    yield watch
    watch.changed = changed(before, snapshot(*tenants))
    watch.records = [record for key, record in _trail(tenants).items() if key not in known]
    if hub is not None:
        watch.calls = calls_to(hub)


@contextmanager
def refused(
    *tenants: Any, reason: str | set[str] | None, action: str = "", hub: Any = None, may_change: Iterable[str] = ()
) -> Iterator[Watch]:
    """The block is one refused attempt: nothing stored, no provider called, exactly one record with this reason.

    Args:
        tenants: the attacked tenant and its neighbours; all must stand still.
        reason: the audit record's, or those of which one is right; None where no record is due.
        action: narrows the record, where one refusal has two.
        may_change: tables that count attempts or close the attempt itself.
    """
    with watching(*tenants, hub=hub) as watch:
        yield watch
    assert watch.changed <= set(may_change), f"stored although refused: {sorted(watch.changed - set(may_change))}"
    assert watch.calls == [], "a provider was called although refused"
    reasons = reason if isinstance(reason, set) else {reason}
    found = [r for r in watch.records if r.reason in reasons and action in ("", r.action)]
    assert len(found) == (0 if reason is None else 1), [(r.action, r.outcome, r.reason) for r in watch.records]
    assert all(record.outcome in ("denied", "failed") for record in found)
    wrongly = [r.action for r in watch.records if r.outcome == "allowed" and r.action.startswith(_GIVES)]
    assert wrongly == [], f"recorded as allowed: {wrongly}"


_GIVES = ("credential.", "workload_token.", "connection.store", "connection.renew", "consent.complete")
