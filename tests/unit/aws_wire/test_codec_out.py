"""Answers out, read back by botocore's own parser; and requests made by botocore's own serializer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from apps.authn.sigv4_canonical import parse_query
from apps.core.secret import Secret
from apps.entrypoints.aws_wire import codec
from apps.entrypoints.aws_wire.contract import CONTRACT
from apps.entrypoints.aws_wire.router import route

NOW = datetime(2026, 11, 23, 18, 7, 32, 123_456, tzinfo=UTC)
ARN = "arn:aws:bedrock-agentcore:local:123456789012:"
SECRET_ARN = {"secretArn": "arn:aws:secretsmanager:local:123456789012:secret:bedrock-agentcore-identity!default/a"}
DISCOVERY = {"oauthDiscovery": {"discoveryUrl": "https://i.example/.well-known/openid-configuration"}, "clientId": "c"}
AGENT = {"name": "agent-1", "workloadIdentityArn": ARN + "w", "allowedResourceOauth2ReturnUrls": ["https://a/cb"]}
TIMES = {"createdTime": NOW, "lastUpdatedTime": NOW}
OAUTH = {
    "name": "gh",
    "clientSecretArn": SECRET_ARN,
    "credentialProviderArn": ARN + "p",
    "callbackUrl": "https://portal/connect/callback/x",
    "oauth2ProviderConfigOutput": {"customOauth2ProviderConfig": DISCOVERY},
    "status": "READY",
}
KEY = {"name": "k1", "apiKeySecretArn": SECRET_ARN, "credentialProviderArn": ARN + "k", **TIMES}
VAULT = {"tokenVaultId": "default", "kmsConfiguration": {"keyType": "ServiceManagedKey"}, "lastModifiedDate": NOW}

ANSWERS: dict[str, dict[str, Any]] = {
    "CreateWorkloadIdentity": AGENT,
    "GetWorkloadIdentity": AGENT | TIMES,
    "UpdateWorkloadIdentity": AGENT | TIMES,
    "DeleteWorkloadIdentity": {},
    "ListWorkloadIdentities": {
        "workloadIdentities": [{"name": "agent-1", "workloadIdentityArn": ARN + "w"}],
        "nextToken": "n",
    },
    "CreateOauth2CredentialProvider": OAUTH,
    "GetOauth2CredentialProvider": OAUTH | TIMES | {"credentialProviderVendor": "CustomOauth2"},
    "ListApiKeyCredentialProviders": {"credentialProviders": []},
    "GetApiKeyCredentialProvider": KEY,
    "GetTokenVault": VAULT,
    "ListTagsForResource": {"tags": {"a": "b"}},
    "TagResource": {},
    "CompleteResourceTokenAuth": {},
    "GetWorkloadAccessToken": {"workloadAccessToken": "awt_1"},
    "GetResourceOauth2Token": {
        "authorizationUrl": "https://portal/connect/x",
        "sessionUri": "urn:ietf:params:oauth:request_uri:x",
        "sessionStatus": "IN_PROGRESS",
    },
    "GetResourceApiKey": {"apiKey": "sk-1"},
}
SESSION = botocore.session.get_session()
MODELS = {
    "data": SESSION.get_service_model("bedrock-agentcore"),
    "control": SESSION.get_service_model("bedrock-agentcore-control"),
}


def read_back(operation: str, status: int, body: bytes) -> dict[str, Any]:
    model = MODELS[CONTRACT.operations[operation].plane].operation_model(operation)
    answer = {"status_code": status, "headers": {"x-amzn-requestid": "r-1"}, "body": body}
    parsed = create_parser("rest-json").parse(answer, model.output_shape)
    assert parsed.pop("ResponseMetadata")["RequestId"] == "r-1"
    return dict(parsed)


@pytest.mark.parametrize("operation", sorted(ANSWERS))
def test_boto3_reads_what_was_meant(operation: str) -> None:
    status = CONTRACT.operations[operation].status
    body = codec.encode(operation, ANSWERS[operation])
    assert (body == b"") == (status == 204)
    expected = json.loads(json.dumps(ANSWERS[operation], default=lambda moment: moment.timestamp()))
    got = read_back(operation, status, body)
    for name, value in got.items():
        if isinstance(value, datetime):
            assert abs(value.timestamp() - expected[name]) < 0.001
        else:
            assert value == expected[name]
    assert got.keys() == expected.keys()


def test_timestamps_are_epoch_seconds_with_milliseconds_in_any_zone() -> None:
    body = json.loads(codec.encode("GetTokenVault", VAULT))
    assert body["lastModifiedDate"] == 1795457252.123
    other = NOW.astimezone(timezone(timedelta(hours=5)))
    assert json.loads(codec.encode("GetTokenVault", VAULT | {"lastModifiedDate": other})) == body
    with pytest.raises(codec.WrongAnswer):
        codec.encode("GetTokenVault", VAULT | {"lastModifiedDate": NOW.replace(tzinfo=None)})


def test_members_that_are_none_are_left_out() -> None:
    assert json.loads(codec.encode("ListTagsForResource", {"tags": None})) == {}
    assert codec.encode("ListApiKeyCredentialProviders", {"credentialProviders": [], "nextToken": None}) == (
        b'{"credentialProviders":[]}'
    )
    assert codec.encode("CompleteResourceTokenAuth", {}) == b"{}"


def test_a_secret_is_opened_only_where_the_contract_says_one_goes() -> None:
    assert codec.encode("GetResourceApiKey", {"apiKey": Secret("sk-1")}) == b'{"apiKey":"sk-1"}'
    with pytest.raises(codec.WrongAnswer) as wrong:
        codec.encode("CreateWorkloadIdentity", AGENT | {"name": Secret("sk-1")})
    assert "sk-1" not in str(wrong.value)


@pytest.mark.parametrize(
    ("operation", "output"),
    [
        ("CreateWorkloadIdentity", {"name": "agent-1"}),
        ("CreateWorkloadIdentity", AGENT | {"owner": "x"}),
        ("CreateWorkloadIdentity", AGENT | {"name": 7}),
        ("CreateOauth2CredentialProvider", OAUTH | {"oauth2ProviderConfigOutput": {}}),
        (
            "CreateOauth2CredentialProvider",
            OAUTH
            | {
                "oauth2ProviderConfigOutput": {
                    "customOauth2ProviderConfig": DISCOVERY,
                    "githubOauth2ProviderConfig": DISCOVERY,
                }
            },
        ),
        ("DeleteWorkloadIdentity", {"name": "x"}),
        ("ListTagsForResource", {"tags": ["a"]}),
        ("ListWorkloadIdentities", {"workloadIdentities": "x"}),
        ("GetResourceApiKey", {"apiKey": True}),
    ],
)
def test_an_answer_outside_the_contract_is_a_fault_of_ours(operation: str, output: dict[str, Any]) -> None:
    with pytest.raises(codec.WrongAnswer):
        codec.encode(operation, output)


GH = {"githubOauth2ProviderConfig": {"clientId": "c", "clientSecret": "s"}}
TAGGED = ARN + "token-vault/default/oauth2credentialprovider/g_h"
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    (
        "CreateWorkloadIdentity",
        {"name": "a-1", "allowedResourceOauth2ReturnUrls": ["https://x/é"], "tags": {"a b": "c/d"}},
    ),
    ("UpdateWorkloadIdentity", {"name": "a-1", "allowedResourceOauth2ReturnUrls": []}),
    ("ListWorkloadIdentities", {}),
    ("ListWorkloadIdentities", {"maxResults": 5, "nextToken": "tok"}),
    ("GetTokenVault", {}),
    (
        "CreateOauth2CredentialProvider",
        {"name": "gh", "credentialProviderVendor": "GithubOauth2", "oauth2ProviderConfigInput": GH},
    ),
    ("ListTagsForResource", {"resourceArn": TAGGED}),
    ("TagResource", {"resourceArn": TAGGED, "tags": {"k": "v"}}),
    ("UntagResource", {"resourceArn": TAGGED, "tagKeys": ["a b", "c:d", "e+f/g"]}),
    ("GetWorkloadAccessTokenForJWT", {"workloadName": "a-1", "userToken": "a.b.c"}),
    (
        "CompleteResourceTokenAuth",
        {"userIdentifier": {"userToken": "a.b.c"}, "sessionUri": "urn:ietf:params:oauth:request_uri:x"},
    ),
]


@pytest.mark.parametrize(("operation", "members"), REQUESTS)
def test_what_botocore_serialises_is_routed_and_read_back(operation: str, members: dict[str, Any]) -> None:
    model = MODELS[CONTRACT.operations[operation].plane].operation_model(operation)
    sent = create_serializer("rest-json").serialize_to_request(members, model)
    query = sent["query_string"]
    raw_query = botocore.utils.percent_encode_sequence(query) if query else ""
    found = route(sent["method"], urlsplit(sent["url_path"]).path)
    assert found.name == operation
    body = sent["body"] if isinstance(sent["body"], bytes) else sent["body"].encode()
    assert codec.decode(operation, body, found.path_params, parse_query(raw_query)) == members
