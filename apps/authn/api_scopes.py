"""The scopes of the portal's own access tokens: the REST API's permissions, as words and as broker actions.

A scope is `<resource>:read` or `<resource>:write`; writing includes no reading. One token permission stands alone:
`tokens:act_for_user_id`, naming a person without proof, which nobody gets by asking for the rest.
This list is the only one: metadata documents, clients, consent pages and the REST API all read it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiScope:
    """One scope. `words` complete "It will be able to …" and are translatable; `level` is `read` or `change`."""

    name: str
    words: str
    level: str
    actions: frozenset[str]


def _scope(name: str, words: str, *actions: str) -> ApiScope:
    level = "read" if name.endswith(":read") else "change"
    return ApiScope(name=name, words=words, level=level, actions=frozenset(actions))


_ALL = (
    _scope("agents:read", "See the agents", "agent.read", "agent.list"),
    _scope(
        "agents:write",
        "Add, change, suspend and remove agents",
        "agent.create",
        "agent.update",
        "agent.delete",
        "agent.suspend",
        "agent.resume",
    ),
    _scope("issuers:read", "See which sign-in services are trusted", "issuer.list", "issuer.read"),
    _scope("issuers:write", "Change which sign-in services are trusted", "issuer.trust", "issuer.distrust"),
    _scope(
        "providers:read",
        "See the credential providers, never their secrets",
        "oauth_provider.read",
        "oauth_provider.list",
        "api_key_provider.read",
        "api_key_provider.list",
        "vault.read",
        "tags.read",
    ),
    _scope(
        "providers:write",
        "Add, change, suspend and remove credential providers",
        "oauth_provider.create",
        "oauth_provider.update",
        "oauth_provider.delete",
        "api_key_provider.create",
        "api_key_provider.update",
        "api_key_provider.delete",
        "provider.suspend",
        "provider.resume",
        "tags.write",
        "tags.delete",
    ),
    _scope(
        "bindings:read",
        "See which agent may use which provider",
        "binding.list",
        "binding.read",
        "binding.survey",
        "policy.explain",
    ),
    _scope("bindings:write", "Change which agent may use which provider", "binding.set", "binding.delete"),
    _scope("connections:read", "See connections, never their tokens", "connection.list", "connection.read"),
    _scope("connections:write", "End connections", "connection.revoke"),
    _scope("tokens:read", "Follow consent requests", "consent.read"),
    _scope(
        "tokens:write",
        "Get workload tokens and credentials as an agent",
        "workload_token.issue",
        "workload_token.issue_for_jwt",
        "credential.fetch_oauth",
        "credential.fetch_api_key",
        "consent.complete",
    ),
    _scope(
        "tokens:act_for_user_id",
        "Act for people by a user id, without proof of who they are",
        "workload_token.issue_for_user_id",
    ),
    _scope("audit:read", "Read the audit trail", "audit.read"),
    _scope(
        "keys:read",
        "See access keys and API clients, never their secrets",
        "access_key.list",
        "access_key.read",
        "api_client.list",
    ),
    _scope(
        "keys:write",
        "Make and disable access keys and API clients",
        "access_key.create",
        "access_key.disable",
        "access_key.enable",
        "access_key.delete",
        "api_client.create",
        "api_client.rotate",
        "api_client.disable",
        "api_client.enable",
        "api_client.delete",
    ),
    _scope("members:read", "See who belongs to the tenant", "member.list", "principal.list"),
    _scope(
        "members:write",
        "Add and remove people of the tenant",
        "member.add",
        "member.remove",
        "principal.link",
        "principal.suspend",
        "principal.resume",
    ),
)

SCOPES: Mapping[str, ApiScope] = MappingProxyType({scope.name: scope for scope in _ALL})


def unknown(names: Iterable[str]) -> list[str]:
    """Those that are no scope of ours, in order."""
    return [name for name in names if name not in SCOPES]


def actions_of(names: Iterable[str]) -> frozenset[str]:
    """Every broker action these scopes allow. Raises KeyError for a scope that is not in the list."""
    return frozenset().union(*(SCOPES[name].actions for name in names))
