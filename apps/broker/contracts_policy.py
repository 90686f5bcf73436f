"""Questions about policy: why a call was, or would be, allowed or denied; what closing a tenant would deny."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.broker.contracts import Command, Who
from apps.policy.clauses import Clause


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainUse(Command):
    """Would this agent get this credential now? Nothing is asked of anybody and nothing is released.

    `flow` is one of `policy.bindings.FLOWS`. `who` None: the agent acts for itself. `access_key_id` None: whoever
    calls, keys are not looked at. `region` as the caller would say it, for the ARNs. Answers an Explanation.
    """

    action = "policy.explain"
    agent: str
    provider: str
    flow: str
    who: Who | None = None
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    custom_parameters: Mapping[str, str] = field(default_factory=dict)
    access_key_id: str | None = None
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`outcome` is `allowed`, `denied` or `consent_needed`; `reason` as the audit trail would have it.

    `clauses` are those the decision looked at, in its order; `decided_by` is the one that settled it.
    """

    outcome: str
    reason: str
    decided_by: Clause
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainRequest(Command):
    """Why a past call ended as it did, from its audit records. Answers a PastDecision."""

    action = "policy.explain"
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDecision:
    """What the trail says of a call, and what the same call would meet now.

    `clause` is the one that refused, as it was recorded; None for what was allowed or refused for another cause than
    policy. `now` is None for calls that fetched no credential, or whose parts are gone; `not_recorded` names what the
    record does not keep (values of custom parameters), which `now` then leaves out.
    """

    request_id: str
    action: str
    outcome: str
    reason: str
    at: datetime
    agent: str
    provider: str
    clause: Mapping[str, Any] | None
    now: Explanation | None
    not_recorded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyUnbound(Command):
    """Which agents use which providers without a binding: what closing the tenant would deny. Answers a tuple of
    UnboundUse, in order of name."""

    action = "binding.survey"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnboundUse:
    """`flows` and `scopes` are those in use: of stored connections, and of API keys fetched in the last 30 days."""

    agent: str
    provider_id: UUID
    provider: str
    provider_kind: str
    flows: tuple[str, ...]
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BindWhatIsInUse(Command):
    """Make a binding, for the flows in use, wherever an agent uses a provider without one. `ceilings`: with the scopes
    in use as the highest ones. Answers what was bound, as SurveyUnbound would have."""

    action = "binding.set"
    ceilings: bool = False
