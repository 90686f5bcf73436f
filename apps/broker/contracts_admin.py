"""Commands and outcomes of administration beyond the wire: reading what is there, and a few changes.

Lists run backwards in time unless said otherwise, and answer a Page. No outcome here can hold a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.broker.contracts import Command
from apps.policy.grants import Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Command):
    """`cursor` continues the list of exactly these filters; `limit` is how many at most."""

    cursor: str | None = None
    limit: int = 50


# --- agents and keys --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkAgentTrusted(Command):
    """A trusted agent's repeated consent may be skipped: not the developer's to say. Answers AgentView."""

    action = "agent.trust"
    name: str
    trusted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableAccessKey(Command):
    """Raises NotAllowed for a key that may do more than the caller could give."""

    action = "access_key.enable"
    access_key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKeyView:
    id: UUID
    access_key_id: str
    label: str
    status: str
    full_access: bool
    agent: str | None
    grants: tuple[Grant, ...]
    expires_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAccessKeys(Listing):
    action = "access_key.list"


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAccessKey(Command):
    action = "access_key.read"
    access_key_id: str


# --- connections and consent ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionView:
    """`principal` is the pseudonym people carry in the audit trail. `custom_parameters` are names only."""

    id: UUID
    agent: str
    principal: str
    principal_id: UUID
    provider: str
    flow: str
    status: str
    status_reason: str
    requested_scopes: tuple[str, ...]
    granted_scopes: tuple[str, ...]
    reduced: bool
    renewable: bool
    resources: tuple[str, ...]
    audiences: tuple[str, ...]
    custom_parameters: tuple[str, ...]
    access_expires_at: datetime | None
    consented_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListConnections(Listing):
    action = "connection.list"
    agent: str | None = None
    provider: str | None = None
    status: str | None = None
    principal_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetConnection(Command):
    action = "connection.read"
    connection_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentSessionView:
    """`settled`: nothing will change any more. The link is not here: only who opened the session has it."""

    id: UUID
    agent: str
    provider: str
    status: str
    problem: str
    settled: bool
    scopes: tuple[str, ...]
    forced: bool
    connection_id: UUID | None
    expires_at: datetime
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GetConsentSession(Command):
    """How a consent stands. `wait_s`: answer when it changes, or after so many seconds (0 to 30)."""

    action = "consent.read"
    session_id: UUID
    wait_s: float = 0.0


# --- people -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalView:
    id: UUID
    kind: str
    issuer: str
    subject: str
    pseudonym: str
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPrincipals(Listing):
    action = "principal.list"
    kind: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendPrincipal(Command):
    """No agent acts for them from the next call on, and their workload tokens end."""

    action = "principal.suspend"
    principal_id: UUID
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePrincipal(Command):
    action = "principal.resume"
    principal_id: UUID
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    user_id: UUID
    email: str
    name: str
    role: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListMembers(Listing):
    action = "member.list"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerView:
    id: UUID
    issuer: str
    discovery_url: str
    audiences: tuple[str, ...]
    clients: tuple[str, ...]
    client_claims: tuple[str, ...]
    agent: str | None
    status: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListIssuers(Listing):
    """Optionally those of one agent only."""

    action = "issuer.list"
    agent: str | None = None


# --- the tenant -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEventView:
    """One record. People appear as pseudonyms."""

    id: UUID
    at: datetime
    action: str
    outcome: str
    reason: str
    actor_kind: str
    actor: str
    proof: str
    agent: str
    on_behalf_of: str
    provider: str
    connection_id: UUID | None
    details: Mapping[str, Any]
    request_id: str
    source_ip: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAuditEvents(Listing):
    """`since` is included, `until` is not. Reading the trail is itself a record."""

    action = "audit.read"
    event_action: str | None = None
    outcome: str | None = None
    agent: str | None = None
    provider: str | None = None
    actor: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantView:
    id: UUID
    slug: str
    name: str
    account_id: str
    status: str
    binding_mode: str
    claim_user_ids: bool
    workload_token_life_s: int
    consent_session_life_s: int
    stale_issuer_keys_s: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTenant(Command):
    action = "tenant.read"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerView:
    """`actions` are those of the role or of the `scopes`; `full_access` and `grants` those of an access key."""

    kind: str
    name: str
    proof: str
    tenant: str
    account_id: str
    role: str | None = None
    actions: tuple[str, ...] = ()
    full_access: bool = False
    grants: tuple[Grant, ...] = field(default=())
    scopes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCaller(Command):
    """Every proven caller may ask who it is."""

    action = "caller.read"
