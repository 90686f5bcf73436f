"""A decision is a row of clauses; the first that does not hold is the answer. Pure.

Decisions are written as generators of clauses. Whoever acts asks for the first refusal, and the clauses behind it are
never looked at; whoever explains listens to the same generator. So there is one implementation, and no explanation can
say anything else than the decision did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One sentence of a decision.

    `rule` names it for ever (`binding.scopes`); `reason` is the audit trail's word for it when it does not hold.
    `told` is what was compared: identifiers, scopes and times as plain data, never secrets, never the values an
    application sends in custom parameters.
    """

    rule: str
    holds: bool
    reason: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"rule": self.rule, "holds": self.holds, "reason": self.reason, "told": dict(self.told)}


Clauses = Iterator[Clause]


@dataclass(frozen=True, slots=True)
class Allow:
    pass


@dataclass(frozen=True, slots=True)
class Deny:
    """`clause` is the one that said no."""

    reason: str
    clause: Clause | None = None


Decision = Allow | Deny


def decide(clauses: Iterable[Clause]) -> Decision:
    """Deny by the first clause that does not hold; nothing behind it is evaluated."""
    for clause in clauses:
        if not clause.holds:
            return Deny(clause.reason, clause)
    return Allow()


def heard(clauses: Iterable[Clause]) -> tuple[Clause, ...]:
    """The clauses a decision looks at, the refusing one last."""
    found = []
    for clause in clauses:
        found.append(clause)
        if not clause.holds:
            break
    return tuple(found)
