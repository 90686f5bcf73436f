"""May this agent use this provider so? Pure.

Three parties limit a call: the person, by what they consented to; the administrators, by the binding between agent and
provider; the task, by what it asks for. What a call gets is what all three allow, looked at anew at every use. Open
tenants need no binding; a binding's limits hold in both modes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from apps.policy.clauses import Clause, Clauses, Decision, decide

API_KEY, FOR_PERSON = "api_key", "user_federation"
FLOWS = (FOR_PERSON, "m2m", "on_behalf_of", API_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingFacts:
    """The agent's ceiling at a provider. None everywhere means no limit of this kind; `flows` empty: every flow.

    `custom` maps the names a request may add to the values allowed, None: any value. `people` are ids of principals,
    the agent's own among them if it may act for itself. `life` and `uses` limit what one consent is good for.
    """

    flows: frozenset[str]
    ceiling: frozenset[str] | None
    resources: frozenset[str] | None = None
    audiences: frozenset[str] | None = None
    custom: Mapping[str, frozenset[str] | None] | None = None
    people: frozenset[UUID] | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    life: timedelta | None = None
    uses: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What the task asks for. `principal` is on whose behalf, None where nobody is known."""

    flow: str
    scopes: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()
    custom: Mapping[str, str] = field(default_factory=dict)
    principal: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentFacts:
    """A stored connection as it is now: what was asked of the person, and what the provider granted."""

    status: str
    held: bool
    current: bool
    requested: frozenset[str]
    granted: frozenset[str]
    consented_at: datetime | None
    expires_at: datetime | None
    uses_left: int | None


def provider_clauses(status: str | None) -> Clauses:
    """`status` None: there is no such provider."""
    yield Clause(rule="provider.exists", holds=status is not None, reason="provider_not_found")
    yield Clause(rule="provider.active", holds=status == "active", reason="provider_suspended")


def flow_clauses(flow: str) -> Clauses:
    yield Clause(rule="flow.offered", holds=flow != "on_behalf_of", reason="obo_unsupported", told={"flow": flow})


def person_clauses(flow: str, *, for_itself: bool) -> Clauses:
    """Consent is a person's: the agent acting for itself has nobody to ask."""
    yield Clause(rule="flow.person", holds=flow != FOR_PERSON or not for_itself, reason="no_person")


def named_clauses(scopes: Iterable[str], binding: BindingFacts | None) -> Clauses:
    """A request without scopes gets the provider's own choice (RFC 6749 section 3.3), which a ceiling cannot see."""
    holds = binding is None or binding.ceiling is None or bool(frozenset(scopes))
    yield Clause(rule="binding.scopes_named", holds=holds, reason="scopes_unnamed")


def binding_clauses(*, closed: bool, binding: BindingFacts | None, use: Use, now: datetime) -> Clauses:
    """The agent's ceiling against the task's request."""
    if binding is None:
        yield Clause(rule="tenant.open", holds=not closed, reason="no_binding", told={"closed": closed})
        return
    begun = binding.valid_from is None or binding.valid_from <= now
    yield Clause(rule="binding.valid_from", holds=begun, reason="binding_not_yet", told=_time(binding.valid_from))
    lives = binding.valid_until is None or binding.valid_until > now
    yield Clause(rule="binding.valid_until", holds=lives, reason="binding_over", told=_time(binding.valid_until))
    flow = not binding.flows or use.flow in binding.flows
    told = {"asked": use.flow, "allowed": sorted(binding.flows) or None}
    yield Clause(rule="binding.flow", holds=flow, reason="flow_not_bound", told=told)
    listed = binding.people is None or use.principal in binding.people
    yield Clause(rule="binding.people", holds=listed, reason="person_not_bound")
    yield _below("scopes", use.scopes, binding.ceiling, "scope_above_ceiling")
    if use.flow == API_KEY:
        return  # a stored key has no resources, audiences or parameters
    yield _named("resources", use.resources, binding.resources, "resource_not_bound")
    yield _named("audiences", use.audiences, binding.audiences, "audience_not_bound")
    yield _custom(use.custom, binding.custom)


def consent_clauses(
    consent: ConsentFacts | None, *, binding: BindingFacts | None, scopes: frozenset[str], now: datetime
) -> Clauses:
    """Does a stored consent answer this request? Where a clause does not hold the person has to be asked."""
    stored = consent is not None and consent.held
    yield Clause(rule="consent.given", holds=stored, reason="no_consent")
    if consent is None:
        return
    told = {"status": consent.status}
    yield Clause(rule="consent.active", holds=consent.status == "active", reason="consent_ended", told=told)
    yield Clause(rule="consent.same_provider", holds=consent.current, reason="provider_changed")
    yield _below("scopes", scopes, consent.requested, "scope_not_consented", rule="consent.scopes")
    lives = consent.expires_at is None or consent.expires_at > now
    yield Clause(rule="consent.not_over", holds=lives, reason="consent_over", told=_time(consent.expires_at))
    cap = binding.life if binding else None
    young = cap is None or (consent.consented_at is not None and consent.consented_at + cap > now)
    told_life = {"longest_s": int(cap.total_seconds()) if cap else None, **_time(consent.consented_at)}
    yield Clause(rule="consent.within_life", holds=young, reason="consent_over", told=told_life)
    left = {"left": consent.uses_left}
    yield Clause(rule="consent.uses_left", holds=consent.uses_left != 0, reason="uses_used_up", told=left)


def granted_clauses(granted: Iterable[str], binding: BindingFacts | None) -> Clauses:
    """A token may be wider than what was asked; the ceiling looks at what it can do. Where the provider does not say
    what that is, nobody knows, and a ceiling says no."""
    can = frozenset(granted)
    if binding is None or binding.ceiling is None:
        yield Clause(rule="grant.below_ceiling", holds=True, told={"granted": sorted(can), "allowed": None})
        return
    told = {"granted": sorted(can), "allowed": sorted(binding.ceiling)}
    holds = bool(can) and can <= binding.ceiling
    yield Clause(rule="grant.below_ceiling", holds=holds, reason="granted_above_ceiling", told=told)


def may_use(*, closed: bool, binding: BindingFacts | None, use: Use, now: datetime) -> Decision:
    return decide(binding_clauses(closed=closed, binding=binding, use=use, now=now))


def effective(asked: frozenset[str], *, ceiling: frozenset[str] | None, consented: frozenset[str]) -> frozenset[str]:
    """The scopes a call may count on: asked by the task, below the agent's ceiling, consented to by the person."""
    rights = asked & consented
    return rights if ceiling is None else rights & ceiling


def to_ask(asked: frozenset[str], *, ceiling: frozenset[str] | None, earlier: frozenset[str]) -> frozenset[str]:
    """What a person is asked for: what the task needs, and what they gave before as far as the ceiling still allows."""
    return asked | (earlier if ceiling is None else earlier & ceiling)


def shorter(*lives: int | None) -> int | None:
    """The shortest of several lifetimes in seconds; None is no end."""
    return min((life for life in lives if life is not None), default=None)


def _below(
    what: str, asked: frozenset[str], allowed: frozenset[str] | None, reason: str, rule: str | None = None
) -> Clause:
    told = {"asked": sorted(asked), "allowed": None if allowed is None else sorted(allowed)}
    return Clause(rule=rule or f"binding.{what}", holds=allowed is None or asked <= allowed, reason=reason, told=told)


def _named(what: str, asked: frozenset[str], allowed: frozenset[str] | None, reason: str) -> Clause:
    """A token that names no resource (RFC 8707) or audience is good for all of them, so a limit wants one named."""
    told = {"asked": sorted(asked), "allowed": None if allowed is None else sorted(allowed)}
    holds = allowed is None or (bool(asked) and asked <= allowed)
    return Clause(rule=f"binding.{what}", holds=holds, reason=reason, told=told)


def _custom(asked: Mapping[str, str], allowed: Mapping[str, frozenset[str] | None] | None) -> Clause:
    """Values are the application's own and not repeated: `refused` has the names only."""
    refused = (
        []
        if allowed is None
        else sorted(
            name for name, value in asked.items() if name not in allowed or not _one_of(value, allowed.get(name))
        )
    )
    told = {"refused": refused, "allowed": None if allowed is None else sorted(allowed)}
    return Clause(rule="binding.custom_parameters", holds=not refused, reason="parameter_not_bound", told=told)


def _one_of(value: str, values: frozenset[str] | None) -> bool:
    return values is None or value in values


def _time(moment: datetime | None) -> dict[str, str | None]:
    return {"at": moment.isoformat() if moment else None}
