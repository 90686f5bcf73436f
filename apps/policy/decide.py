"""May this caller do this? A pure function over facts; the default is no, and every no has its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from apps.authn.api_scopes import SCOPES, actions_of
from apps.policy.permissions import PERMISSION, ROLE_ACTIONS, SERVICE


@dataclass(frozen=True, slots=True)
class Allow:
    pass


@dataclass(frozen=True, slots=True)
class Deny:
    reason: str


Decision = Allow | Deny


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """An access key as it is now. `grants` are (action pattern, resource pattern)."""

    status: str
    tenant_status: str
    expires_at: datetime | None
    full_access: bool
    grants: tuple[tuple[str, str], ...]


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob)
    return re.compile("".join(parts), re.DOTALL)


def matches(glob: str, text: str) -> bool:
    """Whole-text match; `*` stands for any run of characters, `?` for one."""
    return _pattern(glob).fullmatch(text) is not None


def key_may(facts: KeyFacts, *, action: str, arns: tuple[str, ...], now: datetime) -> Decision:
    """Every resource of the call needs a grant of its own."""
    if facts.tenant_status != "active":
        return Deny("tenant_suspended")
    if facts.status != "active":
        return Deny("access_key_disabled")
    if facts.expires_at is not None and facts.expires_at <= now:
        return Deny("access_key_expired")
    if facts.full_access:
        return Allow()
    permission = PERMISSION.get(action)
    if permission is None or not arns:
        return Deny("no_permission")
    wanted = f"{SERVICE}:{permission}"
    for arn in arns:
        if not any(matches(a, wanted) and matches(r, arn) for a, r in facts.grants):
            return Deny("no_permission")
    return Allow()


def role_may(role: str | None, *, action: str) -> Decision:
    """People act by role."""
    return Allow() if role is not None and action in ROLE_ACTIONS.get(role, frozenset()) else Deny("role_lacks_action")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFacts:
    """A client of the portal's own authorization server as it is now. `agent_path`: it serves this agent only."""

    status: str
    tenant_status: str
    allowed_scopes: frozenset[str]
    agent_path: str | None = None


_AGENT_PATH = "/workload-identity/"


def scopes_may(scopes: frozenset[str] | None, *, action: str) -> Decision:
    """What the access token allows. None: the caller came without one, so nothing is taken away."""
    if scopes is None or action in actions_of(scope for scope in scopes if scope in SCOPES):
        return Allow()
    return Deny("insufficient_scope")


def client_may(facts: ClientFacts, *, scopes: frozenset[str] | None, action: str, arns: tuple[str, ...]) -> Decision:
    """Clients act by the scopes of their token, as far as the client still has them."""
    if facts.tenant_status != "active":
        return Deny("tenant_suspended")
    if facts.status != "active":
        return Deny("api_client_disabled")
    if scopes is None:
        return Deny("insufficient_scope")
    if facts.agent_path is not None:
        agents = [arn for arn in arns if _AGENT_PATH in arn]
        if not all(arn.endswith(f":{facts.agent_path}") for arn in agents):
            return Deny("agent_not_of_client")
    return scopes_may(scopes & facts.allowed_scopes, action=action)
