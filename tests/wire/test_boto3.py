"""What the boto3 of the lock file sees, operation by operation and refusal by refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from .clients import Boto3

Connect = Callable[..., Boto3]
URN = "urn:ietf:params:oauth:request_uri:"
GITHUB = {"githubOauth2ProviderConfig": {"clientId": "cid", "clientSecret": "csec"}}


def refused(call: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response: dict[str, Any] = error.value.response
    assert response["ResponseMetadata"]["RequestId"]
    return response


def code(call: Callable[..., Any], **arguments: Any) -> str:
    return str(refused(call, **arguments)["Error"]["Code"])


def test_workload_identities_from_cradle_to_grave(connect: Connect, tenant: Any) -> None:
    control = connect(tenant).control
    made = control.create_workload_identity(name="agent-1", allowedResourceOauth2ReturnUrls=["https://a.example/cb"])
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert f":{tenant.account_id}:" in made["workloadIdentityArn"] and ":self-hosted-1:" in made["workloadIdentityArn"]
    assert code(control.create_workload_identity, name="agent-1") == "ConflictException"
    changed = control.update_workload_identity(name="agent-1", allowedResourceOauth2ReturnUrls=[])
    assert changed["allowedResourceOauth2ReturnUrls"] == []
    got = control.get_workload_identity(name="agent-1")
    assert got["lastUpdatedTime"] >= got["createdTime"] == changed["createdTime"]
    assert control.delete_workload_identity(name="agent-1")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert code(control.get_workload_identity, name="agent-1") == "ResourceNotFoundException"


def test_lists_are_paged_without_repeating_or_losing_anything(connect: Connect, tenant: Any) -> None:
    control = connect(tenant).control
    names = [f"agent-{n:02}" for n in range(7)]
    for name in names:
        control.create_workload_identity(name=name)
    pages = list(control.get_paginator("list_workload_identities").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["workloadIdentities"]) for page in pages] == [3, 3, 1]
    assert sorted(item["name"] for page in pages for item in page["workloadIdentities"]) == names
    assert code(control.list_workload_identities, nextToken="made-up") == "ValidationException"
    assert code(control.list_workload_identities, maxResults=21) == "ValidationException"


def test_credential_providers_never_show_their_secrets(connect: Connect, tenant: Any) -> None:
    control = connect(tenant).control
    answers = [
        control.create_oauth2_credential_provider(
            name="gh", credentialProviderVendor="GithubOauth2", oauth2ProviderConfigInput=GITHUB
        ),
        control.get_oauth2_credential_provider(name="gh"),
        control.update_oauth2_credential_provider(
            name="gh", credentialProviderVendor="GithubOauth2", oauth2ProviderConfigInput=GITHUB
        ),
        control.list_oauth2_credential_providers(),
        control.create_api_key_credential_provider(name="k1", apiKey="sk-canary"),
        control.get_api_key_credential_provider(name="k1"),
        control.update_api_key_credential_provider(name="k1", apiKey="sk-canary"),
        control.list_api_key_credential_providers(),
    ]
    assert [answer["ResponseMetadata"]["HTTPStatusCode"] for answer in answers] == [201, 200, 200, 200] * 2
    text = json.dumps(answers, default=str)
    assert "csec" not in text and "sk-canary" not in text
    config = answers[1]["oauth2ProviderConfigOutput"]["githubOauth2ProviderConfig"]
    assert config["clientId"] == "cid" and len(config["oauthDiscovery"]) == 1
    assert answers[0]["callbackUrl"] == answers[1]["callbackUrl"]
    assert code(
        control.create_oauth2_credential_provider,
        name="bad",
        credentialProviderVendor="SlackOauth2",
        oauth2ProviderConfigInput=GITHUB,
    ) == "ValidationException"  # fmt: skip


def test_the_vault_and_tags(connect: Connect, tenant: Any) -> None:
    control = connect(tenant).control
    vault = control.get_token_vault()
    assert (vault["tokenVaultId"], vault["kmsConfiguration"]["keyType"]) == ("default", "ServiceManagedKey")
    key = control.create_api_key_credential_provider(name="k_1", apiKey="sk", tags={"a": "b"})
    arn = key["credentialProviderArn"]
    assert control.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "b"}
    odd = {"a b": "c/d", "x:y=z@+-_.": ""}
    assert control.tag_resource(resourceArn=arn, tags=odd)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert control.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "b", **odd}
    control.untag_resource(resourceArn=arn, tagKeys=["a b", "x:y=z@+-_."])
    assert control.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "b"}
    foreign = arn.replace(tenant.account_id, "000000000001")
    assert code(control.list_tags_for_resource, resourceArn=foreign) in (
        "ResourceNotFoundException",
        "AccessDeniedException",
    )


def test_api_keys_are_released_to_who_holds_a_workload_token(connect: Connect, tenant: Any) -> None:
    both = connect(tenant)
    both.control.create_workload_identity(name="agent-1")
    both.control.create_api_key_credential_provider(name="k1", apiKey="sk-1")
    for answer in (
        both.data.get_workload_access_token(workloadName="agent-1"),
        both.data.get_workload_access_token_for_user_id(workloadName="agent-1", userId="u1"),
    ):
        token = answer["workloadAccessToken"]
        got = both.data.get_resource_api_key(workloadIdentityToken=token, resourceCredentialProviderName="k1")
        assert got["apiKey"] == "sk-1"
        assert got["ResponseMetadata"]["HTTPHeaders"]["cache-control"] == "no-store"
        assert (
            code(both.data.get_resource_api_key, workloadIdentityToken=token, resourceCredentialProviderName="k2")
            == "ResourceNotFoundException"
        )
    assert code(both.data.get_workload_access_token, workloadName="nobody") == "ResourceNotFoundException"
    forged = refused(both.data.get_resource_api_key, workloadIdentityToken="x", resourceCredentialProviderName="k1")
    assert (forged["Error"]["Code"], forged["ResponseMetadata"]["HTTPStatusCode"]) == ("UnauthorizedException", 401)


def test_validation_names_every_member(connect: Connect, tenant: Any) -> None:
    data = connect(tenant).data
    answer = refused(
        data.get_resource_oauth2_token,
        workloadIdentityToken="x",
        resourceCredentialProviderName="no spaces",
        scopes=["s" * 129],
        oauth2Flow="M2M",
        sessionUri="http://not-a-urn",
    )
    assert answer["reason"] == "FieldValidationFailed"
    assert {field["name"] for field in answer["fieldList"]} == {
        "resourceCredentialProviderName",
        "scopes[0]",
        "sessionUri",
    }


@pytest.mark.parametrize("region", ["local", "us-east-1", "self-hosted-1", "x"])
def test_any_region_will_do_and_is_echoed(connect: Connect, tenant: Any, region: str) -> None:
    arn = connect(tenant, region=region).control.create_workload_identity(name="agent-1")["workloadIdentityArn"]
    assert arn.split(":")[3] == region


def test_the_tenant_prefix_must_agree_with_the_credential(portal: Any, tenant: Any) -> None:
    other = portal.new_tenant()
    assert Boto3(f"{portal.url}/t/{tenant.slug}", tenant).control.create_workload_identity(name="agent-1")
    assert Boto3(f"{portal.url}/t/{tenant.slug}/", tenant).control.get_workload_identity(name="agent-1")
    wrong = Boto3(f"{portal.url}/t/{other.slug}", tenant)
    assert code(wrong.control.get_workload_identity, name="agent-1") == "UnauthorizedException"


def test_tenants_do_not_meet(portal: Any, connect: Connect, tenant: Any) -> None:
    mine, theirs = connect(tenant), connect(portal.new_tenant())
    mine.control.create_workload_identity(name="agent-1")
    mine.control.create_api_key_credential_provider(name="k1", apiKey="sk-1")
    assert theirs.control.list_workload_identities()["workloadIdentities"] == []
    foreign = refused(theirs.control.get_workload_identity, name="agent-1")
    absent = refused(theirs.control.get_workload_identity, name="agent-2")
    assert foreign["Error"]["Code"] == absent["Error"]["Code"] == "ResourceNotFoundException"
    assert foreign["Error"]["Message"].replace("agent-1", "") == absent["Error"]["Message"].replace("agent-2", "")
    token = mine.data.get_workload_access_token(workloadName="agent-1")["workloadAccessToken"]
    arguments = {"workloadIdentityToken": token, "resourceCredentialProviderName": "k1"}
    assert code(theirs.data.get_resource_api_key, **arguments) == "UnauthorizedException"
    assert mine.data.get_resource_api_key(**arguments)["apiKey"] == "sk-1"


@pytest.mark.case("T035")
def test_T035_whatever_is_wrong_with_the_key_the_answer_is_one_and_the_same(connect: Connect, tenant: Any) -> None:
    unknown = tenant.access_key_id[:-1] + ("A" if tenant.access_key_id[-1] != "A" else "B")
    answers = [
        refused(connect(tenant, **wrong).control.list_workload_identities)
        for wrong in (
            {"secret": "wrong"},
            {"key_id": unknown},
            {"key_id": "AKIDEXAMPLE"},
            {"session_token": "a-session-token"},
            {"config": Config(signature_version=UNSIGNED)},
        )
    ]
    assert {(a["Error"]["Code"], a["Error"]["Message"], a["ResponseMetadata"]["HTTPStatusCode"]) for a in answers} == {
        ("UnauthorizedException", answers[0]["Error"]["Message"], 401)
    }
    assert all("AWS4" in a["ResponseMetadata"]["HTTPHeaders"]["www-authenticate"] for a in answers)
    assert connect(tenant).control.list_workload_identities()


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("list_payment_credential_providers", {}),
        ("list_consent_portals", {}),
        ("reset_token_vault_key_material", {"tokenVaultId": "default"}),
        ("get_resource_policy", {"resourceArn": "arn:aws:bedrock-agentcore:local:123456789012:token-vault/default"}),
        ("list_agent_runtime_versions", {"agentRuntimeId": "bot-0123456789"}),
    ],
)
def test_what_lies_outside_the_product_is_refused_in_words(
    connect: Connect, tenant: Any, operation: str, arguments: dict[str, Any]
) -> None:
    answer = refused(getattr(connect(tenant).control, operation), **arguments)
    assert answer["Error"]["Code"] == "ValidationException"
    assert "portal" in answer["Error"]["Message"]
