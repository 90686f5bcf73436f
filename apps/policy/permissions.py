"""Which permission each action needs, on which resources, and which role holds which actions."""

from __future__ import annotations

SERVICE = "bedrock-agentcore"

# The permission's name is the operation's name on the wire, so that existing policies can be copied over.
PERMISSION: dict[str, str] = {
    "agent.create": "CreateWorkloadIdentity",
    "agent.read": "GetWorkloadIdentity",
    "agent.update": "UpdateWorkloadIdentity",
    "agent.delete": "DeleteWorkloadIdentity",
    "agent.list": "ListWorkloadIdentities",
    # An agent's authorizer is part of its runtime on the wire, so the same permissions cover it.
    "authorizer.set": "UpdateAgentRuntime",
    "authorizer.switch": "UpdateAgentRuntime",
    "authorizer.read": "GetAgentRuntime",
    "gateway_key.create": "CreateGatewayKey",
    "gateway_key.delete": "DeleteGatewayKey",
    "runtime.create": "CreateAgentRuntime",
    "runtime.read": "GetAgentRuntime",
    "runtime.update": "UpdateAgentRuntime",
    "runtime.delete": "DeleteAgentRuntime",
    "runtime.list": "ListAgentRuntimes",
    "invocation.invoke": "InvokeAgentRuntime",
    "invocation.invoke_for_user": "InvokeAgentRuntimeForUser",
    "oauth_provider.create": "CreateOauth2CredentialProvider",
    "oauth_provider.read": "GetOauth2CredentialProvider",
    "oauth_provider.update": "UpdateOauth2CredentialProvider",
    "oauth_provider.delete": "DeleteOauth2CredentialProvider",
    "oauth_provider.list": "ListOauth2CredentialProviders",
    "api_key_provider.create": "CreateApiKeyCredentialProvider",
    "api_key_provider.read": "GetApiKeyCredentialProvider",
    "api_key_provider.update": "UpdateApiKeyCredentialProvider",
    "api_key_provider.delete": "DeleteApiKeyCredentialProvider",
    "api_key_provider.list": "ListApiKeyCredentialProviders",
    "vault.read": "GetTokenVault",
    "tags.read": "ListTagsForResource",
    "tags.write": "TagResource",
    "tags.delete": "UntagResource",
    "workload_token.issue": "GetWorkloadAccessToken",
    "workload_token.issue_for_jwt": "GetWorkloadAccessTokenForJWT",
    "workload_token.issue_for_user_id": "GetWorkloadAccessTokenForUserId",
    "credential.fetch_oauth": "GetResourceOauth2Token",
    "credential.fetch_api_key": "GetResourceApiKey",
    "consent.complete": "CompleteResourceTokenAuth",
    "web_identity_token.issue": "GetWebIdentityToken",
    # Asking how a consent stands is a part of getting its token.
    "consent.read": "GetResourceOauth2Token",
}

_READ = {
    "authorizer.read",
    "runtime.read",
    "runtime.list",
    "agent.read",
    "agent.list",
    "oauth_provider.read",
    "oauth_provider.list",
    "api_key_provider.read",
    "api_key_provider.list",
    "vault.read",
    "tags.read",
    "binding.read",
    "binding.list",
    "binding.survey",
    "policy.explain",
    # What the console shows everybody with an operating role.
    "connection.list",
    "connection.read",
    "consent.read",
    "access_key.list",
    "access_key.read",
    "issuer.list",
    "member.list",
    "principal.list",
    "audit.read",
    "tenant.read",
}
_DEVELOP = _READ | {"agent.create", "agent.update"}
_ADMIN = {
    "authorizer.set",
    "runtime.create",
    "runtime.update",
    "runtime.delete",
    "authorizer.switch",
    "gateway_key.create",
    "gateway_key.delete",
    "agent.delete",
    "agent.suspend",
    "agent.resume",
    "agent.trust",
    "oauth_provider.create",
    "oauth_provider.update",
    "oauth_provider.delete",
    "api_key_provider.create",
    "api_key_provider.update",
    "api_key_provider.delete",
    "provider.suspend",
    "provider.resume",
    "connection.revoke",
    "tags.write",
    "tags.delete",
    "access_key.create",
    "access_key.disable",
    "access_key.enable",
    "access_key.delete",
    "api_client.create",
    "api_client.rotate",
    "api_client.disable",
    "api_client.enable",
    "api_client.delete",
    "issuer.trust",
    "issuer.distrust",
    "binding.set",
    "binding.delete",
    "member.add",
    "member.remove",
    "principal.link",
    "principal.suspend",
    "principal.resume",
} | _DEVELOP
_OWNER = _ADMIN | {"tenant.update", "signing_key.rotate"}

# What a key may be given by a person of this role, as names on the wire. Agents' own calls can be given by whoever
# may make keys; naming unproven people (GetWorkloadAccessTokenForUserId) only by an owner.
_AGENT_CALLS = {
    "GetWorkloadAccessToken",
    "GetWorkloadAccessTokenForJWT",
    "GetResourceOauth2Token",
    "GetResourceApiKey",
    "CompleteResourceTokenAuth",
    "GetWebIdentityToken",
    "InvokeAgentRuntime",
}
GRANTABLE: dict[str, frozenset[str]] = {
    "tenant_owner": frozenset(PERMISSION.values()),
    "platform_admin": frozenset(PERMISSION.values()),
    "tenant_admin": frozenset({PERMISSION[a] for a in _ADMIN if a in PERMISSION} | _AGENT_CALLS),
}

# The roles of tenants.models.Membership.Role, as words: this module stays free of Django.
ROLE_ACTIONS: dict[str, frozenset[str]] = {
    "tenant_owner": frozenset(_OWNER),
    "tenant_admin": frozenset(_ADMIN),
    "agent_developer": frozenset(_DEVELOP),
    "security_auditor": frozenset(_READ),
    "approver": frozenset(_READ),
    "end_user": frozenset(),
    "platform_admin": frozenset(_OWNER | {"tenant.create", "tenant.enter"}),
}
