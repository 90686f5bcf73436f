"""Commands and outcomes about who may reach an agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from apps.authn.sigv4 import RawRequest
from apps.broker.contracts import Command
from apps.core.secret import Secret

# --- the authorizer ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomClaim:
    """One custom claim as it was given: `several` says that the values came as a list, not as one text."""

    claim: str
    value_type: str
    operator: str
    values: tuple[str, ...]
    several: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """How to ask the issuer about opaque tokens (RFC 7662). `endpoint` None: as its metadata says.

    `client_secret` None keeps the sealed one, if neither endpoint nor client changes.
    """

    client_id: str
    client_secret: Secret | None
    endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSettings:
    """One issuer and what its tokens must say. `client_claims`: azp, appid, cid, besides client_id."""

    discovery_url: str
    audiences: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    client_claims: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    custom_claims: tuple[CustomClaim, ...] = ()
    algorithms: tuple[str, ...] = ()
    introspection: Introspection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizerSettings:
    """The whole authorizer. `kind` is AWS_IAM (no issuers) or CUSTOM_JWT (at least one).

    `endpoint_url` is where the agent listens; `resource_url` where callers find it, when a proxy of its own stands
    in front; `request_headers` the caller's headers that reach it besides the usual ones.
    """

    kind: str
    issuers: tuple[IssuerSettings, ...] = ()
    scope_match: str = "any"
    advertised_scopes: Mapping[str, str] = field(default_factory=dict)
    request_headers: tuple[str, ...] = ()
    endpoint_url: str = ""
    resource_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerView:
    """An issuer as it is stored; never its secret."""

    issuer: str
    discovery_url: str
    audiences: tuple[str, ...]
    clients: tuple[str, ...]
    client_claims: tuple[str, ...]
    scopes: tuple[str, ...]
    custom_claims: tuple[CustomClaim, ...]
    introspection_endpoint: str
    introspection_client_id: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizerView:
    """An agent without an authorizer of its own is shown as AWS_IAM, active."""

    agent: str
    arn: str
    kind: str
    status: str
    issuers: tuple[IssuerView, ...]
    scope_match: str
    advertised_scopes: Mapping[str, str]
    request_headers: tuple[str, ...]
    endpoint_url: str
    resource_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAuthorizer(Command):
    """Replace an agent's authorizer. Discovery documents are read now. Answers AuthorizerView."""

    action = "authorizer.set"
    agent: str
    settings: AuthorizerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAuthorizer(Command):
    """Answers AuthorizerView."""

    action = "authorizer.read"
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchAuthorizer(Command):
    """Turn an authorizer, or one issuer of it, off or on; from the next call on."""

    action = "authorizer.switch"
    agent: str
    active: bool
    issuer: str | None = None


# --- gateways ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateGatewayKey(Command):
    """A key for the proxy in front of one agent. Answers NewGatewayKey."""

    action = "gateway_key.create"
    agent: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGatewayKey:
    """The key is here once and never again."""

    row_id: UUID
    key: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteGatewayKey(Command):
    action = "gateway_key.delete"
    key_id: UUID


# --- invocations ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What a caller brought: the values of their Authorization header, or, where it is a signature, the request it
    signs; neither means nothing at all. `user_id` is whom a signed request says the agent shall act for."""

    authorization: tuple[Secret, ...] = ()
    signed: RawRequest | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizeInvocation(Command):
    """A gateway asks whether this caller may reach its agent. Answers Admitted or raises InvocationRefused.

    `agent` is a name or an ARN; None: the agent the gateway's key is for. `mint`: answer a workload token too.
    """

    action = "invocation.authorize"
    agent: str | None
    presented: Presented
    mint: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The caller may reach the agent. `clause` says why; `subject` is empty where the agent acts for itself."""

    agent: str
    agent_arn: str
    clause: str
    kind: str
    issuer: str
    subject: str
    client: str | None
    scopes: tuple[str, ...]
    workload_token: Secret | None
    workload_token_expires_at: datetime | None
    endpoint_url: str
    request_headers: tuple[str, ...]


# --- runtimes: agents that were registered over the AWS wire --------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """A runtime's description: what may be said about an agent that runs elsewhere."""

    role_arn: str
    authorizer: AuthorizerSettings
    description: str = ""
    protocol: str = "HTTP"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeView:
    """`runtime_id` is the name of the agent, `name` the one it was given."""

    runtime_id: str
    name: str
    arn: str
    workload_identity_arn: str
    version: int
    description: str
    role_arn: str
    protocol: str
    authorizer: AuthorizerView
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRuntime(Command):
    """Make an agent with an authorizer. Its workload identity is made with it. Answers RuntimeView."""

    action = "runtime.create"
    name: str
    settings: RuntimeSettings
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRuntime(Command):
    """`version` other than the present one is not found: earlier ones are not kept."""

    action = "runtime.read"
    runtime_id: str
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRuntime(Command):
    """Replace the whole description, the authorizer included."""

    action = "runtime.update"
    runtime_id: str
    settings: RuntimeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRuntime(Command):
    """The agent goes with it: its tokens, connections and open consents end. Answers the RuntimeView it had."""

    action = "runtime.delete"
    runtime_id: str
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRuntimes(Command):
    """Answers a Page of RuntimeView, in order of name."""

    action = "runtime.list"
    cursor: str | None = None
    limit: int = 100
