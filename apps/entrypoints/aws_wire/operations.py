"""Operation to broker command, outcome to members of the answer: one line each. AWS words end here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.broker import contracts as c
from apps.broker.inbound import contracts as inbound
from apps.core.errors import FieldProblem, Invalid, PortalError
from apps.core.secret import Secret
from apps.entrypoints.aws_wire import providers, runtimes
from apps.entrypoints.aws_wire.contract import CONTRACT

Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Binding:
    """How one operation meets the broker.

    Attributes:
        command: checked members of the request -> command.
        answer: the command's outcome -> members of the answer.
        changes: a repetition of the same request must have no second effect.
    """

    command: Callable[[Members], c.Command]
    answer: Callable[[Any], dict[str, Any]]
    changes: bool = False


def bind(operation: str) -> Binding:
    """The binding of an operation; one outside the product is bound to a refusal in plain words."""
    binding = _BINDINGS.get(operation)
    return binding if binding is not None else _refused(operation)


def in_wire_words(refused: PortalError, operation: str) -> None:
    """Rename the members of a refusal by the broker, which has words of its own, to what the caller sent."""
    if refused.fields:
        words = _WIRE_WORDS | _WIRE_WORDS_OF.get(operation, {})
        refused.fields = tuple(FieldProblem(words.get(f.name) or _camel(f.name), f.message) for f in refused.fields)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def _refused(operation: str) -> Binding:
    sentence = next((text for part, text in _OUTSIDE.items() if part in operation), _NOT_YET)
    return Binding(
        lambda members: c.RefuseUnsupported(operation=operation, sentence=sentence.format(operation=operation)),
        _nothing,
    )


_OUTSIDE = {
    "Payment": "Payment credentials are not part of this portal; {operation} does nothing here.",
    "ConsentPortal": "This portal is itself where people give consent; {operation} does nothing here.",
    "ResourcePolicy": "Resource policies are not supported by this portal. "
    "Use the permissions of access keys and the bindings between agents and providers.",
    "SetTokenVaultCMK": "A key of another key service cannot be set through this API. "
    "The operator chooses the key ring of this portal.",
    "ResetTokenVaultKeyMaterial": "The vault's key cannot be reset through this API. "
    "The operator manages the key ring of this portal.",
}
_NOT_YET = "{operation} is not supported by this portal yet. It serves the identity operations."

# Where the broker's word is not merely the same one in another case.
_WIRE_WORDS = {
    "return_urls": "allowedResourceOauth2ReturnUrls",
    "return_url": "resourceOauth2ReturnUrl",
    "cursor": "nextToken",
    "jwt": "userToken",
    "provider": "resourceCredentialProviderName",
    "flow": "oauth2Flow",
    "vendor": "credentialProviderVendor",
}
_WIRE_WORDS_OF = {
    "CreateAgentRuntime": runtimes.WIRE_WORDS,
    "UpdateAgentRuntime": runtimes.WIRE_WORDS,
    "CompleteResourceTokenAuth": {"user_id": "userIdentifier.userId", "jwt": "userIdentifier.userToken"},
}

_FLOWS = {
    "USER_FEDERATION": c.Flow.USER_FEDERATION,
    "M2M": c.Flow.M2M,
    "ON_BEHALF_OF_TOKEN_EXCHANGE": c.Flow.ON_BEHALF_OF,
}


def _nothing(outcome: None) -> dict[str, Any]:
    return {}


def _page(
    kind: type[c.ListAgents] | type[c.ListOAuthProviders] | type[c.ListApiKeyProviders] | type[inbound.ListRuntimes],
) -> Any:
    def command(members: Members) -> c.Command:
        limit = {"limit": members["maxResults"]} if "maxResults" in members else {}
        return kind(cursor=members.get("nextToken"), **limit)

    return command


def _listed(name: str, item: Callable[[Any], dict[str, Any]]) -> Callable[[c.Page], dict[str, Any]]:
    return lambda page: {name: [item(view) for view in page.items], "nextToken": page.cursor}


def _agent(view: c.AgentView) -> dict[str, Any]:
    return {
        "name": view.name,
        "workloadIdentityArn": view.arn,
        "allowedResourceOauth2ReturnUrls": list(view.return_urls),
    }


def _agent_with_times(view: c.AgentView) -> dict[str, Any]:
    return {**_agent(view), "createdTime": view.created_at, "lastUpdatedTime": view.updated_at}


def _update_agent(members: Members) -> c.Command:
    urls = members.get("allowedResourceOauth2ReturnUrls")
    return c.UpdateAgent(name=members["name"], return_urls=None if urls is None else tuple(urls))


def _create_api_key(members: Members) -> c.Command:
    providers.refuse_external_secret(members, "apiKey", family="apiKeySecret")
    key = providers.secret_of(members, "apiKey")
    if key is None:
        raise Invalid.field("apiKey", "An API key is required.", reason="api_key_missing")
    return c.CreateApiKeyProvider(name=members["name"], api_key=key, tags=members.get("tags", {}))


def _update_api_key(members: Members) -> c.Command:
    providers.refuse_external_secret(members, "apiKey", family="apiKeySecret")
    return c.UpdateApiKeyProvider(name=members["name"], api_key=providers.secret_of(members, "apiKey"))


def _key_provider(view: c.ApiKeyProviderView) -> dict[str, Any]:
    return {
        "name": view.name,
        "credentialProviderArn": view.arn,
        "apiKeySecretArn": {"secretArn": view.secret_arn},
        "apiKeySecretSource": "MANAGED",
    }


def _key_provider_with_times(view: c.ApiKeyProviderView) -> dict[str, Any]:
    return {**_key_provider(view), "createdTime": view.created_at, "lastUpdatedTime": view.updated_at}


def _key_provider_listed(view: c.ApiKeyProviderView) -> dict[str, Any]:
    return {
        "name": view.name,
        "credentialProviderArn": view.arn,
        "createdTime": view.created_at,
        "lastUpdatedTime": view.updated_at,
    }


def _vault(view: c.VaultView) -> dict[str, Any]:
    key = view.customer_key
    return {
        "tokenVaultId": view.vault_id,
        "kmsConfiguration": {"keyType": "CustomerManagedKey" if key else "ServiceManagedKey", "kmsKeyArn": key},
        "lastModifiedDate": view.updated_at,
    }


def _fetch_oauth(members: Members) -> c.Command:
    state = members.get("customState")
    return c.FetchOAuthToken(
        workload_token=Secret(members["workloadIdentityToken"]),
        provider=members["resourceCredentialProviderName"],
        scopes=tuple(members["scopes"]),
        flow=_FLOWS[members["oauth2Flow"]],
        session_uri=members.get("sessionUri"),
        return_url=members.get("resourceOauth2ReturnUrl"),
        force=members.get("forceAuthentication", False),
        custom_parameters=members.get("customParameters", {}),
        custom_state=None if state is None else Secret(state),
        resources=tuple(members.get("resources", ())),
        audiences=tuple(members.get("audiences", ())),
    )


def _oauth_outcome(outcome: c.TokenReleased | c.ConsentNeeded | c.ConsentFailed) -> dict[str, Any]:
    match outcome:
        case c.TokenReleased():
            return {"accessToken": outcome.access_token}
        case c.ConsentNeeded():
            return {
                "authorizationUrl": outcome.authorization_url,
                "sessionUri": outcome.session_uri,
                "sessionStatus": "IN_PROGRESS",
            }
        case c.ConsentFailed():
            return {"sessionUri": outcome.session_uri, "sessionStatus": "FAILED"}


def _complete(members: Members) -> c.Command:
    who = members["userIdentifier"]
    return c.CompleteConsent(
        session_uri=members["sessionUri"],
        jwt=Secret(who["userToken"]) if "userToken" in who else None,
        user_id=who.get("userId"),
    )


def _workload_token(token: Secret) -> dict[str, Any]:
    return {"workloadAccessToken": token}


_BINDINGS: dict[str, Binding] = {
    # the directory
    "CreateWorkloadIdentity": Binding(
        lambda m: c.CreateAgent(
            name=m["name"],
            return_urls=tuple(m.get("allowedResourceOauth2ReturnUrls", ())),
            tags=m.get("tags", {}),
        ),
        _agent,
        changes=True,
    ),
    "GetWorkloadIdentity": Binding(lambda m: c.GetAgent(name=m["name"]), _agent_with_times),
    "UpdateWorkloadIdentity": Binding(_update_agent, _agent_with_times, changes=True),
    "DeleteWorkloadIdentity": Binding(lambda m: c.DeleteAgent(name=m["name"]), _nothing, changes=True),
    "ListWorkloadIdentities": Binding(
        _page(c.ListAgents),
        _listed("workloadIdentities", lambda view: {"name": view.name, "workloadIdentityArn": view.arn}),
    ),
    # OAuth credential providers
    "CreateOauth2CredentialProvider": Binding(
        lambda m: c.CreateOAuthProvider(name=m["name"], settings=providers.settings_of(m), tags=m.get("tags", {})),
        providers.created,
        changes=True,
    ),
    "GetOauth2CredentialProvider": Binding(lambda m: c.GetOAuthProvider(name=m["name"]), providers.described),
    "UpdateOauth2CredentialProvider": Binding(
        lambda m: c.UpdateOAuthProvider(name=m["name"], settings=providers.settings_of(m)),
        providers.described,
        changes=True,
    ),
    "DeleteOauth2CredentialProvider": Binding(lambda m: c.DeleteOAuthProvider(name=m["name"]), _nothing, changes=True),
    "ListOauth2CredentialProviders": Binding(
        _page(c.ListOAuthProviders), _listed("credentialProviders", providers.listed)
    ),
    # API-key credential providers
    "CreateApiKeyCredentialProvider": Binding(_create_api_key, _key_provider, changes=True),
    "GetApiKeyCredentialProvider": Binding(lambda m: c.GetApiKeyProvider(name=m["name"]), _key_provider_with_times),
    "UpdateApiKeyCredentialProvider": Binding(_update_api_key, _key_provider_with_times, changes=True),
    "DeleteApiKeyCredentialProvider": Binding(lambda m: c.DeleteApiKeyProvider(name=m["name"]), _nothing, changes=True),
    "ListApiKeyCredentialProviders": Binding(
        _page(c.ListApiKeyProviders), _listed("credentialProviders", _key_provider_listed)
    ),
    # runtimes: agents that run elsewhere
    "CreateAgentRuntime": Binding(
        lambda m: inbound.CreateRuntime(
            name=m["agentRuntimeName"], settings=runtimes.settings_of(m), tags=m.get("tags", {})
        ),
        runtimes.created,
        changes=True,
    ),
    "GetAgentRuntime": Binding(
        lambda m: inbound.GetRuntime(runtime_id=m["agentRuntimeId"], version=m.get("agentRuntimeVersion")),
        runtimes.described,
    ),
    "UpdateAgentRuntime": Binding(
        lambda m: inbound.UpdateRuntime(runtime_id=m["agentRuntimeId"], settings=runtimes.settings_of(m)),
        runtimes.updated,
        changes=True,
    ),
    "DeleteAgentRuntime": Binding(
        lambda m: inbound.DeleteRuntime(runtime_id=m["agentRuntimeId"], version=m.get("agentRuntimeVersion")),
        runtimes.deleted,
        changes=True,
    ),
    "ListAgentRuntimes": Binding(_page(inbound.ListRuntimes), _listed("agentRuntimes", runtimes.listed)),
    # vault and tags
    "GetTokenVault": Binding(lambda m: c.GetVault(vault_id=m.get("tokenVaultId", "default")), _vault),
    "TagResource": Binding(lambda m: c.TagResource(arn=m["resourceArn"], tags=m["tags"]), _nothing, changes=True),
    "UntagResource": Binding(
        lambda m: c.UntagResource(arn=m["resourceArn"], keys=tuple(m["tagKeys"])), _nothing, changes=True
    ),
    "ListTagsForResource": Binding(lambda m: c.ListTags(arn=m["resourceArn"]), lambda tags: {"tags": tags}),
    # data plane
    "GetWorkloadAccessToken": Binding(lambda m: c.IssueWorkloadToken(agent=m["workloadName"]), _workload_token),
    "GetWorkloadAccessTokenForJWT": Binding(
        lambda m: c.IssueWorkloadTokenForJwt(agent=m["workloadName"], jwt=Secret(m["userToken"])), _workload_token
    ),
    "GetWorkloadAccessTokenForUserId": Binding(
        lambda m: c.IssueWorkloadTokenForUserId(agent=m["workloadName"], user_id=m["userId"]), _workload_token
    ),
    "GetResourceOauth2Token": Binding(_fetch_oauth, _oauth_outcome),
    "GetResourceApiKey": Binding(
        lambda m: c.FetchApiKey(
            workload_token=Secret(m["workloadIdentityToken"]), provider=m["resourceCredentialProviderName"]
        ),
        lambda key: {"apiKey": key},
    ),
    "CompleteResourceTokenAuth": Binding(_complete, _nothing, changes=True),
}

SUPPORTED = frozenset(_BINDINGS)
UNSUPPORTED = frozenset(CONTRACT.operations) - SUPPORTED
