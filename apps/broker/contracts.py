"""What entrypoints and broker exchange: frozen commands going down, frozen outcomes coming up.

Each command names its `action`: the word in the audit trail, and the key to its permission in `policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from apps.core.secret import Secret
from apps.policy.grants import Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    action: ClassVar[str]


# --- agents -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    id: UUID
    name: str
    arn: str
    return_urls: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    status: str
    description: str = ""
    owner: str | None = None  # e-mail of a member, for people
    native: bool = False
    trusted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProfile:
    """What people say about an agent. `owner` is a member's e-mail, empty for nobody; None leaves a part as it is.

    `native`: it runs on the person's own machine, so any loopback port may return.
    """

    description: str | None = None
    owner: str | None = None
    native: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAgent(Command):
    action = "agent.create"
    name: str
    return_urls: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    profile: AgentProfile = field(default_factory=AgentProfile)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAgent(Command):
    action = "agent.read"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAgent(Command):
    """Replaces the whole list of return URLs; None leaves it as it is. `expect` is the version it was read in."""

    action = "agent.update"
    name: str
    return_urls: tuple[str, ...] | None
    profile: AgentProfile = field(default_factory=AgentProfile)
    expect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAgent(Command):
    action = "agent.delete"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`cursor` is the opaque word that continues the list, None at its end."""

    items: tuple[Any, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAgents(Command):
    action = "agent.list"
    cursor: str | None = None
    limit: int = 20


# --- credential providers ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMetadata:
    """An authorization server described by hand (RFC 8414 subset)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    response_types: tuple[str, ...] = ()
    token_endpoint_auth_methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthSettings:
    """How to be a client of one authorization server.

    Exactly one of `discovery_url` and `metadata` for vendor `CustomOauth2`, neither for the others, which take
    their addresses from the catalogue and `vendor_options` (`tenantId`, `issuer`, `authorizationEndpoint`,
    `tokenEndpoint`). `client_secret` None: on update the stored one stays, if nothing it is bound to changes.
    `client_authentication_method`: client_secret_basic, client_secret_post or None for the default.
    """

    vendor: str
    client_id: str
    client_secret: Secret | None
    discovery_url: str | None = None
    metadata: ServerMetadata | None = None
    vendor_options: Mapping[str, str] = field(default_factory=dict)
    client_authentication_method: str | None = None
    on_behalf_of: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthProviderView:
    """`discovery_url` or `metadata`: whichever describes the server (catalogue vendors have metadata).

    `config` is what was given, without secrets: `clientAuthenticationMethod`, `onBehalfOfTokenExchangeConfig`.
    """

    id: UUID
    name: str
    vendor: str
    arn: str
    secret_arn: str
    callback_url: str
    client_id: str
    discovery_url: str | None
    metadata: ServerMetadata | None
    client_authentication_method: str | None
    on_behalf_of: Mapping[str, Any] | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOAuthProvider(Command):
    action = "oauth_provider.create"
    name: str
    settings: OAuthSettings
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOAuthProvider(Command):
    action = "oauth_provider.read"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateOAuthProvider(Command):
    """Replaces the whole configuration, but for the token exchange's part if `keep_exchange`."""

    action = "oauth_provider.update"
    name: str
    settings: OAuthSettings
    keep_exchange: bool = False
    expect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOAuthProvider(Command):
    action = "oauth_provider.delete"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOAuthProviders(Command):
    action = "oauth_provider.list"
    cursor: str | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyProviderView:
    id: UUID
    name: str
    arn: str
    secret_arn: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateApiKeyProvider(Command):
    action = "api_key_provider.create"
    name: str
    api_key: Secret
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetApiKeyProvider(Command):
    action = "api_key_provider.read"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateApiKeyProvider(Command):
    action = "api_key_provider.update"
    name: str
    api_key: Secret | None
    expect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteApiKeyProvider(Command):
    action = "api_key_provider.delete"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListApiKeyProviders(Command):
    action = "api_key_provider.list"
    cursor: str | None = None
    limit: int = 100


# --- vault and tags ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultView:
    """`customer_key` is None while the portal's own key ring seals the vault."""

    vault_id: str
    customer_key: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GetVault(Command):
    action = "vault.read"
    vault_id: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagResource(Command):
    action = "tags.write"
    arn: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UntagResource(Command):
    action = "tags.delete"
    arn: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTags(Command):
    """Answers a `dict[str, str]`."""

    action = "tags.read"
    arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseUnsupported(Command):
    """An operation outside the product, or not built yet: always refused, with `sentence`, and recorded."""

    action = "operation.unsupported"
    operation: str
    sentence: str


# --- data plane -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueWorkloadToken(Command):
    """The agent acts for itself. Answers a Secret."""

    action = "workload_token.issue"
    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueWorkloadTokenForJwt(Command):
    """The agent acts for the person this JWT proves. Answers a Secret."""

    action = "workload_token.issue_for_jwt"
    agent: str
    jwt: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueWorkloadTokenForUserId(Command):
    """The agent acts for whom the application says. Answers a Secret."""

    action = "workload_token.issue_for_user_id"
    agent: str
    user_id: str


class Flow(StrEnum):
    USER_FEDERATION = "user_federation"
    M2M = "m2m"
    ON_BEHALF_OF = "on_behalf_of"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOAuthToken(Command):
    """Answers TokenReleased, ConsentNeeded or (strict AWS mode) ConsentFailed."""

    action = "credential.fetch_oauth"
    workload_token: Secret
    provider: str
    scopes: tuple[str, ...]
    flow: Flow
    session_uri: str | None = None
    return_url: str | None = None
    force: bool = False
    custom_parameters: Mapping[str, str] = field(default_factory=dict)
    custom_state: Secret | None = None
    resources: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReleased:
    access_token: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentNeeded:
    """`session_id` names the session without opening it: it may stand in addresses and logs."""

    authorization_url: str
    session_uri: str
    session_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentFailed:
    session_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchApiKey(Command):
    """Answers a Secret."""

    action = "credential.fetch_api_key"
    workload_token: Secret
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteConsent(Command):
    """The application says who came back: exactly one of a JWT and a user id. Answers None."""

    action = "consent.complete"
    session_uri: str
    jwt: Secret | None = None
    user_id: str | None = None


# --- consent pages ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeLine:
    """One scope for a person: `words` say what it allows, `level` is `read`, `change` or `other`."""

    raw: str
    words: str
    level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentPage:
    """What the consent page shows. `needs_sign_in`: the portal has to know the person first."""

    agent_name: str
    agent_description: str
    owner_name: str
    tenant_name: str
    provider_name: str
    provider_title: str
    provider_host: str
    scopes: tuple[ScopeLine, ...]
    already_granted: tuple[str, ...]
    return_host: str | None
    expires_at: datetime
    reference: str
    needs_sign_in: bool
    claims_user_id: bool
    max_life_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowConsent(Command):
    """Answers a ConsentPage. `user_id` is the portal account signed in, if any."""

    action = "consent.view"
    ticket: Secret
    user_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideConsent(Command):
    """Answers Approved or Declined."""

    action = "consent.decide"
    ticket: Secret
    user_id: UUID | None
    approve: bool
    life_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """Send the browser to `authorization_url`, with `browser` in the consent cookie."""

    authorization_url: str
    provider_title: str
    provider_host: str
    browser: Secret
    lives_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """Send the browser back to the application, if it named a place."""

    return_to: str | None
    agent_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandleCallback(Command):
    """The provider sent the browser back. `query` keeps repeated parameters. Answers SentBack or Connected."""

    action = "oauth.callback"
    callback_id: str
    query: tuple[tuple[str, str], ...]
    browser: Secret | None
    user_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBack:
    """Application-verified: on to the application, which has to vouch for the person."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """Portal-verified: done."""

    agent_name: str
    provider_title: str
    reduced: bool
    missing_scopes: tuple[str, ...]


# --- administration ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendAgent(Command):
    """No further token within the second, and every workload token already out ends. `why` goes to the record."""

    action = "agent.suspend"
    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeAgent(Command):
    action = "agent.resume"
    name: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendProvider(Command):
    action = "provider.suspend"
    provider_id: UUID
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeProvider(Command):
    action = "provider.resume"
    provider_id: UUID
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeConnection(Command):
    """End a connection and forget its tokens. The provider's own revocation is not called yet."""

    action = "connection.revoke"
    connection_id: UUID
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAccessKey(Command):
    """Answers NewAccessKey. A grant without conditions may be a pair (action pattern, ARN pattern). Without any grant
    the key may do nothing."""

    action = "access_key.create"
    label: str = ""
    grants: tuple[Grant | tuple[str, str], ...] = ()
    agent: str | None = None
    full_access: bool = False
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccessKey:
    """The secret is here once and never again."""

    row_id: UUID
    access_key_id: str
    secret_access_key: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableAccessKey(Command):
    action = "access_key.disable"
    access_key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAccessKey(Command):
    action = "access_key.delete"
    access_key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustIssuer(Command):
    """Trust tokens of the OpenID provider behind `discovery_url`, for the tenant or for one agent only.

    Discovery is read now and kept. Trusting the same issuer again replaces what was set. Answers the issuer.
    """

    action = "issuer.trust"
    discovery_url: str
    audiences: tuple[str, ...]
    clients: tuple[str, ...] = ()
    client_claims: tuple[str, ...] = ()
    agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DistrustIssuer(Command):
    action = "issuer.distrust"
    issuer_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A principal by name. `kind` is `uid` (an application's user id), `jwt` (issuer and subject of a token) or `self`
    (the agent acting for itself; the rest is empty)."""

    kind: str
    subject: str = ""
    issuer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBinding(Command):
    """Make the binding between agent and provider, or replace all of it. Answers a BindingView.

    `flows` empty: every flow. None everywhere else: no limit of this kind. `custom_parameters` maps names to the values
    allowed, None for any. `connection_life_s` (seconds) and `connection_uses` limit what one consent is good for; a
    consent given before is held to them from now on.
    """

    action = "binding.set"
    agent: str
    provider_id: UUID
    flows: tuple[str, ...] = ()
    scope_ceiling: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    audiences: tuple[str, ...] | None = None
    custom_parameters: Mapping[str, tuple[str, ...] | None] | None = None
    people: tuple[Who, ...] | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    connection_life_s: int | None = None
    connection_uses: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingView:
    """A binding as `SetBinding` takes it; `provider_kind` is `oauth2` or `api_key`."""

    id: UUID
    agent: str
    provider_id: UUID
    provider: str
    provider_kind: str
    flows: tuple[str, ...]
    scope_ceiling: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    audiences: tuple[str, ...] | None
    custom_parameters: Mapping[str, tuple[str, ...] | None] | None
    people: tuple[Who, ...] | None
    valid_from: datetime | None
    valid_until: datetime | None
    connection_life_s: int | None
    connection_uses: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GetBinding(Command):
    """Answers a BindingView."""

    action = "binding.read"
    binding_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBindings(Command):
    """Answers a Page of BindingView, in order of their making; of one agent or one provider if named."""

    action = "binding.list"
    agent: str | None = None
    provider_id: UUID | None = None
    cursor: str | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBinding(Command):
    action = "binding.delete"
    binding_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AddMember(Command):
    """Give a person a role in the tenant, replacing an earlier one. Nobody gives a role above their own."""

    action = "member.add"
    email: str
    role: str
    name: str = ""
    password: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveMember(Command):
    """The last owner cannot be removed."""

    action = "member.remove"
    user_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPrincipal(Command):
    """Say that a portal account is the person known to applications by this user id, or by this token subject."""

    action = "principal.link"
    email: str
    user_id: str | None = None
    issuer: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateTenant(Command):
    """None leaves a setting as it is. Switching to closed needs bindings first for whatever should go on working."""

    action = "tenant.update"
    name: str | None = None
    binding_mode: str | None = None
    claim_user_ids: bool | None = None
    workload_token_life_s: int | None = None
    consent_session_life_s: int | None = None
    stale_issuer_keys_s: int | None = None
    expect: str | None = None
