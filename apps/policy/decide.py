"""May this caller do this? Pure functions over facts; the default is no, and every no is a clause with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.authn.api_scopes import SCOPES, actions_of
from apps.policy.clauses import Allow, Clause, Clauses, Decision, Deny, decide
from apps.policy.conditions import NOTHING_KNOWN, Context
from apps.policy.globs import matches
from apps.policy.grants import Grant
from apps.policy.permissions import PERMISSION, ROLE_ACTIONS

__all__ = ["Allow", "Decision", "Deny", "KeyFacts", "key_clauses", "key_may", "matches", "role_clauses", "role_may"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """An access key as it is now. `agent_id`: it serves this agent only."""

    status: str
    tenant_status: str
    expires_at: datetime | None
    full_access: bool
    grants: tuple[Grant, ...]
    agent_id: UUID | None = None


def key_clauses(
    facts: KeyFacts,
    *,
    action: str,
    arns: tuple[str, ...],
    now: datetime,
    context: Context = NOTHING_KNOWN,
    before_proof: bool = False,
) -> Clauses:
    """The key is one, and every resource of the call has a grant whose conditions the request meets."""
    yield from key_alive_clauses(facts, now=now)
    yield from key_grant_clauses(facts, action=action, arns=arns, context=context, before_proof=before_proof)


def key_alive_clauses(facts: KeyFacts, *, now: datetime) -> Clauses:
    """A key for which one of these does not hold is none any more."""
    yield Clause(rule="tenant.active", holds=facts.tenant_status == "active", reason="tenant_suspended")
    yield Clause(rule="key.active", holds=facts.status == "active", reason="access_key_disabled")
    lives = facts.expires_at is None or facts.expires_at > now
    ends = facts.expires_at.isoformat() if facts.expires_at else None
    yield Clause(rule="key.not_expired", holds=lives, reason="access_key_expired", told={"expires_at": ends})


def key_grant_clauses(
    facts: KeyFacts, *, action: str, arns: tuple[str, ...], context: Context, before_proof: bool = False
) -> Clauses:
    """Every resource of the call needs a grant of its own, whose conditions the request meets.

    `before_proof` leaves conditions for later: it says whether the call could be allowed at all, before it is proven
    for whom it is. A decision made so must be made again, without it.
    """
    if facts.full_access:
        yield Clause(rule="key.full_access", holds=True)
        return
    permission = PERMISSION.get(action, "")
    known = bool(permission and arns)
    yield Clause(rule="key.operation", holds=known, reason="no_permission", told={"operation": permission or action})
    for arn in arns if known else ():
        told = {"operation": permission, "resource": arn}
        found = [grant for grant in facts.grants if grant.is_for(permission, arn)]
        yield Clause(rule="key.permission", holds=bool(found), reason="no_permission", told=told)
        if before_proof:
            continue
        met = next((grant for grant in found if grant.met(context, arn)), None)
        words = [met.words()] if met else [grant.words() for grant in found]
        told_grant = {**told, "permissions": words}
        yield Clause(rule="key.condition", holds=met is not None, reason="condition_not_met", told=told_grant)


def key_may(
    facts: KeyFacts, *, action: str, arns: tuple[str, ...], now: datetime, context: Context = NOTHING_KNOWN
) -> Decision:
    return decide(key_clauses(facts, action=action, arns=arns, now=now, context=context))


def key_agent_clauses(bound_to: UUID | None, agent_id: UUID) -> Clauses:
    """A key made for one agent serves that agent only."""
    yield Clause(rule="key.agent", holds=bound_to is None or bound_to == agent_id, reason="agent_mismatch")


def role_clauses(role: str | None, *, action: str) -> Clauses:
    """People act by role."""
    holds = role is not None and action in ROLE_ACTIONS.get(role, frozenset())
    yield Clause(rule="role.action", holds=holds, reason="role_lacks_action", told={"role": role, "action": action})


def role_may(role: str | None, *, action: str) -> Decision:
    return decide(role_clauses(role, action=action))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFacts:
    """A client of the portal's own authorization server as it is now. `agent_path`: it serves this agent only."""

    status: str
    tenant_status: str
    allowed_scopes: frozenset[str]
    agent_path: str | None = None


_AGENT_PATH = "/workload-identity/"


def scope_actions(scopes: frozenset[str]) -> frozenset[str]:
    """The actions scopes allow; a word that is no scope of ours allows nothing."""
    return actions_of(scope for scope in scopes if scope in SCOPES)


def scope_clauses(scopes: frozenset[str] | None, *, action: str) -> Clauses:
    """What the access token allows. None: the caller came without one, so nothing is taken away."""
    holds = scopes is None or action in scope_actions(scopes)
    told = {"scopes": None if scopes is None else sorted(scopes), "action": action}
    yield Clause(rule="token.scopes", holds=holds, reason="insufficient_scope", told=told)


def client_clauses(facts: ClientFacts, *, scopes: frozenset[str] | None, action: str, arns: tuple[str, ...]) -> Clauses:
    """Clients act by the scopes of their token, as far as the client still has them."""
    yield Clause(rule="tenant.active", holds=facts.tenant_status == "active", reason="tenant_suspended")
    yield Clause(rule="client.active", holds=facts.status == "active", reason="api_client_disabled")
    yield Clause(rule="client.token", holds=scopes is not None, reason="insufficient_scope")
    agents = [arn for arn in arns if _AGENT_PATH in arn]
    own = facts.agent_path is None or all(arn.endswith(f":{facts.agent_path}") for arn in agents)
    yield Clause(rule="client.agent", holds=own, reason="agent_not_of_client")
    yield from scope_clauses((scopes or frozenset()) & facts.allowed_scopes, action=action)
