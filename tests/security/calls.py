"""For every operation of the contract a request that succeeds, and the places in it where an identifier stands.

A new operation without an entry here fails the generated cases the day it appears.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from apps.entrypoints.aws_wire.operations import SUPPORTED, UNSUPPORTED
from tests.security.lab import RETURN, Lab, must

Members = dict[str, Any]
_numbers = itertools.count(1)


def _fresh() -> str:
    return f"thing-{next(_numbers)}"


def _agent(lab: Lab) -> str:
    name = _fresh()
    lab.add_agent(name)
    return name


def _key_provider(lab: Lab) -> str:
    name = _fresh()
    must(lab.wire.call("CreateApiKeyCredentialProvider", {"name": name, "apiKey": "k-1"}))
    return name


def _oauth_provider(lab: Lab) -> str:
    name = _fresh()
    must(lab.wire.call("CreateOauth2CredentialProvider", github(name)))
    return name


def github(name: str, **config: Any) -> Members:
    """A provider of the catalogue: creating one calls nobody."""
    return {
        "name": name,
        "credentialProviderVendor": "GithubOauth2",
        "oauth2ProviderConfigInput": {
            "githubOauth2ProviderConfig": {"clientId": "id-1", "clientSecret": "secret-1", **config}
        },
    }


def runtime(lab: Lab) -> Members:
    return {
        "agentRuntimeName": f"r{_fresh().replace('-', '_')}",
        "roleArn": "arn:aws:iam::123456789012:role/agent",
        "networkConfiguration": {"networkMode": "PUBLIC"},
        "agentRuntimeArtifact": {"containerConfiguration": {"containerUri": f"{lab.hub.url}/agent"}},
    }


def _runtime_id(lab: Lab) -> str:
    return must(lab.wire.call("CreateAgentRuntime", runtime(lab)))["agentRuntimeId"]


def _runtime_update(lab: Lab) -> Members:
    members = runtime(lab)
    del members["agentRuntimeName"]
    return {"agentRuntimeId": _runtime_id(lab), **members}


def _returned(lab: Lab) -> Members:
    flow = lab.start()
    lab.consent(flow)
    return {"sessionUri": flow.session_uri, "userIdentifier": {"userId": flow.user}}


def _jwt(lab: Lab) -> str:
    from apps.broker import contracts as c

    lab.run(
        c.TrustIssuer(
            discovery_url=f"{lab.hub.url}/.well-known/openid-configuration", audiences=(lab.client.client_id,)
        )
    )
    lab.hub.change_client(lab.client, redirect_uris=[lab.callback_url, "http://127.0.0.1:9/app"])
    from dataclasses import replace

    return lab.hub.person("dana").sign_in_and_get_jwt(replace(lab.client, redirect_uri="http://127.0.0.1:9/app"))


def _fetch(lab: Lab) -> Members:
    return {
        "workloadIdentityToken": lab.connect().wat,
        "resourceCredentialProviderName": "hub",
        "scopes": ["repo:read"],
        "oauth2Flow": "USER_FEDERATION",
    }


# Operation -> members of a request that succeeds in this tenant now. Makes what it needs.
SUCCEEDS: dict[str, Callable[[Lab], Members]] = {
    "CreateWorkloadIdentity": lambda lab: {"name": _fresh()},
    "GetWorkloadIdentity": lambda lab: {"name": "bot"},
    "UpdateWorkloadIdentity": lambda lab: {"name": "bot", "allowedResourceOauth2ReturnUrls": [RETURN]},
    "DeleteWorkloadIdentity": lambda lab: {"name": _agent(lab)},
    "ListWorkloadIdentities": lambda lab: {},
    "CreateOauth2CredentialProvider": lambda lab: github(_fresh()),
    "GetOauth2CredentialProvider": lambda lab: {"name": "hub"},
    "UpdateOauth2CredentialProvider": lambda lab: lab.provider_input(),
    "DeleteOauth2CredentialProvider": lambda lab: {"name": _oauth_provider(lab)},
    "ListOauth2CredentialProviders": lambda lab: {},
    "CreateApiKeyCredentialProvider": lambda lab: {"name": _fresh(), "apiKey": "k-1"},
    "GetApiKeyCredentialProvider": lambda lab: {"name": "weather"},
    "UpdateApiKeyCredentialProvider": lambda lab: {"name": "weather", "apiKey": lab.api_key},
    "DeleteApiKeyCredentialProvider": lambda lab: {"name": _key_provider(lab)},
    "ListApiKeyCredentialProviders": lambda lab: {},
    "CreateAgentRuntime": runtime,
    "GetAgentRuntime": lambda lab: {"agentRuntimeId": _runtime_id(lab)},
    "UpdateAgentRuntime": _runtime_update,
    "DeleteAgentRuntime": lambda lab: {"agentRuntimeId": _runtime_id(lab)},
    "ListAgentRuntimes": lambda lab: {},
    "GetTokenVault": lambda lab: {},
    "TagResource": lambda lab: {"resourceArn": agent_arn(lab, "bot"), "tags": {"team": "red"}},
    "UntagResource": lambda lab: {"resourceArn": agent_arn(lab, "bot"), "tagKeys": ["team"]},
    "ListTagsForResource": lambda lab: {"resourceArn": agent_arn(lab, "bot")},
    "GetWorkloadAccessToken": lambda lab: {"workloadName": "bot"},
    "GetWorkloadAccessTokenForUserId": lambda lab: {"workloadName": "bot", "userId": lab.new_user()},
    "GetWorkloadAccessTokenForJWT": lambda lab: {"workloadName": "bot", "userToken": _jwt(lab)},
    "GetResourceOauth2Token": _fetch,
    "GetResourceApiKey": lambda lab: {
        "workloadIdentityToken": lab.wat(),
        "resourceCredentialProviderName": "weather",
    },
    "CompleteResourceTokenAuth": _returned,
}
assert set(SUCCEEDS) == SUPPORTED, "an operation without a request that succeeds"


def agent_arn(lab: Lab, name: str) -> str:
    return lab.arn(f"workload-identity-directory/default/workload-identity/{name}")


def outside(operation: str) -> Members:
    """Members for an operation that the portal refuses in words: their content plays no part."""
    assert operation in UNSUPPORTED
    return {"resourceArn": "arn:aws:x"} if "ResourcePolicy" in operation else {}
