"""One story through the API, for any version of boto3: run as a script it prints what happened as JSON.

Reads ENDPOINT and the usual AWS_* variables. Imports nothing of the portal.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import boto3
from botocore.exceptions import ClientError


def main() -> dict[str, Any]:
    data = boto3.client("bedrock-agentcore", endpoint_url=os.environ["ENDPOINT"])
    control = boto3.client("bedrock-agentcore-control", endpoint_url=os.environ["ENDPOINT"])
    seen: dict[str, Any] = {}

    def did(name: str, answer: Any) -> Any:
        meta = answer.pop("ResponseMetadata")
        assert meta["RequestId"], "every answer has a request id"
        seen[name] = {"status": meta["HTTPStatusCode"], "members": sorted(answer)}
        return answer

    def refused(name: str, call: Any, /, **arguments: Any) -> None:
        try:
            call(**arguments)
        except ClientError as error:
            assert error.response["ResponseMetadata"]["RequestId"]
            seen[name] = {
                "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
                "code": error.response["Error"]["Code"],
                "typed": type(error).__name__,
                "message": bool(error.response["Error"]["Message"]),
            }
        else:
            raise AssertionError(f"{name} was not refused")

    url = "https://app.example/callback"
    did("create agent", control.create_workload_identity(name="old-agent", allowedResourceOauth2ReturnUrls=[url]))
    refused("create it again", control.create_workload_identity, name="old-agent")
    agent = did("get agent", control.get_workload_identity(name="old-agent"))
    assert agent["createdTime"].tzinfo is not None
    arn = agent["workloadIdentityArn"]
    did("tag", control.tag_resource(resourceArn=arn, tags={"team a": "x/y:z"}))
    tags = did("tags", control.list_tags_for_resource(resourceArn=arn))
    assert tags == {"tags": {"team a": "x/y:z"}}
    did("untag", control.untag_resource(resourceArn=arn, tagKeys=["team a", "a+b/c"]))
    assert did("tags after", control.list_tags_for_resource(resourceArn=arn)) == {"tags": {}}
    did("store key", control.create_api_key_credential_provider(name="k1", apiKey="sk-story"))
    provider = did(
        "create provider",
        control.create_oauth2_credential_provider(
            name="g_h",
            credentialProviderVendor="GithubOauth2",
            oauth2ProviderConfigInput={"githubOauth2ProviderConfig": {"clientId": "cid", "clientSecret": "csec"}},
        ),
    )
    assert provider["callbackUrl"].startswith("http"), "people have to register this address at the provider"
    assert "csec" not in json.dumps(provider)
    token = did("token", data.get_workload_access_token_for_user_id(workloadName="old-agent", userId="u1"))
    token = token["workloadAccessToken"]
    key = did("key", data.get_resource_api_key(workloadIdentityToken=token, resourceCredentialProviderName="k1"))
    assert key == {"apiKey": "sk-story"}
    request = {
        "workloadIdentityToken": token,
        "resourceCredentialProviderName": "g_h",
        "scopes": ["repo"],
        "oauth2Flow": "USER_FEDERATION",
        "resourceOauth2ReturnUrl": url,
    }
    asked = did("consent", data.get_resource_oauth2_token(**request))
    assert asked["sessionUri"].startswith("urn:ietf:params:oauth:request_uri:")
    polled = did("poll", data.get_resource_oauth2_token(**request, sessionUri=asked["sessionUri"]))
    assert polled["sessionUri"] == asked["sessionUri"]
    refused(
        "bad return url",
        data.get_resource_oauth2_token,
        **{**request, "resourceOauth2ReturnUrl": "https://evil.example/callback"},
    )
    refused("bad token", data.get_resource_api_key, workloadIdentityToken="x", resourceCredentialProviderName="k1")
    refused("absent", control.get_workload_identity, name="nobody-here")
    refused("bad name", control.create_workload_identity, name="no spaces")
    pages = control.get_paginator("list_workload_identities").paginate(PaginationConfig={"PageSize": 1})
    seen["agents"] = sorted(item["name"] for page in pages for item in page["workloadIdentities"])
    did("delete provider", control.delete_oauth2_credential_provider(name="g_h"))
    did("delete key", control.delete_api_key_credential_provider(name="k1"))
    did("delete agent", control.delete_workload_identity(name="old-agent"))
    refused("ended token", data.get_resource_api_key, workloadIdentityToken=token, resourceCredentialProviderName="k1")
    seen["boto3"] = boto3.__version__
    return seen


if __name__ == "__main__":
    json.dump(main(), sys.stdout)
