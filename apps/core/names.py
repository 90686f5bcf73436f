"""Resource names. The account is the tenant's synthetic one; the region is whatever the caller said, echoed."""

from __future__ import annotations

import re
from dataclasses import dataclass

DIRECTORY = "workload-identity-directory/default"
VAULT = "token-vault/default"
_ARN = re.compile(r"arn:aws:bedrock-agentcore:([A-Za-z0-9-]{1,64}):([0-9]{12}):(.+)", re.ASCII)
_TYPES = {
    f"{DIRECTORY}/workload-identity": "agent",
    "runtime": "runtime",
    f"{VAULT}/oauth2credentialprovider": "oauth_provider",
    f"{VAULT}/apikeycredentialprovider": "api_key_provider",
}


def prefix(region: str, account_id: str) -> str:
    return f"arn:aws:bedrock-agentcore:{region}:{account_id}:"


def agent(name: str) -> str:
    return f"{DIRECTORY}/workload-identity/{name}"


def runtime(agent_name: str) -> str:
    """The agent as something that is called. A runtime's id is the name of its workload identity."""
    return f"runtime/{agent_name}"


def oauth_provider(name: str) -> str:
    return f"{VAULT}/oauth2credentialprovider/{name}"


def api_key_provider(name: str) -> str:
    return f"{VAULT}/apikeycredentialprovider/{name}"


def managed_secret(region: str, account_id: str, kind: str, name: str, suffix: str) -> str:
    """The synthetic name of a stored secret. `kind` is `oauth2` or `apikey`, `suffix` six characters."""
    return (
        f"arn:aws:secretsmanager:{region}:{account_id}:secret:bedrock-agentcore-identity!default/{kind}/{name}-{suffix}"
    )


@dataclass(frozen=True, slots=True)
class ResourceName:
    """A parsed name. `kind` is agent, runtime, oauth_provider, api_key_provider or vault.

    `name` is empty for the vault; that of a runtime is its agent's.
    """

    account_id: str
    kind: str
    name: str


def parse(arn: str) -> ResourceName | None:
    """Read a resource name; None when it is not one of ours."""
    match = _ARN.fullmatch(arn)
    if match is None:
        return None
    _, account_id, path = match.groups()
    if path == VAULT:
        return ResourceName(account_id, "vault", "")
    head, _, name = path.rpartition("/")
    kind = _TYPES.get(head)
    return ResourceName(account_id, kind, name) if kind and name else None
