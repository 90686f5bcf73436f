"""Agents that run elsewhere, registered with the unmodified boto3 of the lock file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.issuer import AUDIENCE, Issuer

from .clients import Boto3
from .test_boto3 import code, refused

Connect = Callable[..., Boto3]


def described(issuer: Issuer, **changes: Any) -> dict[str, Any]:
    """The arguments of a create_agent_runtime call; a value of ... removes one."""
    usual = {
        "agentRuntimeName": "release_notes",
        "roleArn": "arn:aws:iam::123456789012:role/unused",
        "networkConfiguration": {"networkMode": "PUBLIC"},
        "agentRuntimeArtifact": {"containerConfiguration": {"containerUri": f"{issuer.url}/agent"}},
        "authorizerConfiguration": jwt(issuer),
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not ...}


def jwt(issuer: Issuer, **more: Any) -> dict[str, Any]:
    return {"customJWTAuthorizer": {"discoveryUrl": issuer.discovery_url, "allowedAudience": [AUDIENCE], **more}}


def test_a_runtime_from_cradle_to_grave(connect: Connect, tenant: Any, issuer: Issuer) -> None:
    control = connect(tenant).control
    made = control.create_agent_runtime(
        **described(issuer), requestHeaderConfiguration={"requestHeaderAllowlist": ["X-Team"]}, tags={"team": "red"}
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (made["agentRuntimeVersion"], made["status"]) == ("1", "READY")
    runtime_id = made["agentRuntimeId"]
    assert re.fullmatch(r"release_notes-[A-Za-z0-9]{10}", runtime_id)
    assert made["agentRuntimeArn"].endswith(f":{tenant.account_id}:runtime/{runtime_id}")
    # The workload identity was made with it, under the runtime's id, and is a real one.
    identity = control.get_workload_identity(name=runtime_id)
    assert identity["workloadIdentityArn"] == made["workloadIdentityDetails"]["workloadIdentityArn"]
    assert control.list_tags_for_resource(resourceArn=made["agentRuntimeArn"])["tags"] == {"team": "red"}

    got = control.get_agent_runtime(agentRuntimeId=runtime_id)
    assert got["agentRuntimeName"] == "release_notes"
    assert got["authorizerConfiguration"] == jwt(issuer)
    assert got["requestHeaderConfiguration"] == {"requestHeaderAllowlist": ["X-Team"]}
    assert got["agentRuntimeArtifact"]["containerConfiguration"]["containerUri"] == f"{issuer.url}/agent"
    assert got["createdAt"].tzinfo is not None

    claims = [
        {
            "inboundTokenClaimName": "groups",
            "inboundTokenClaimValueType": "STRING_ARRAY",
            "authorizingClaimMatchValue": {
                "claimMatchValue": {"matchValueStringList": ["staff", "ops"]},
                "claimMatchOperator": "CONTAINS_ANY",
            },
        }
    ]
    changed = control.update_agent_runtime(
        agentRuntimeId=runtime_id,
        **described(issuer, agentRuntimeName=..., authorizerConfiguration=jwt(issuer, customClaims=claims)),
    )
    assert changed["agentRuntimeVersion"] == "2"
    got = control.get_agent_runtime(agentRuntimeId=runtime_id)
    assert got["authorizerConfiguration"]["customJWTAuthorizer"]["customClaims"] == claims
    assert "requestHeaderConfiguration" not in got
    assert code(control.get_agent_runtime, agentRuntimeId=runtime_id, agentRuntimeVersion="1") == (
        "ResourceNotFoundException"
    )
    control.update_agent_runtime(
        agentRuntimeId=runtime_id, **described(issuer, agentRuntimeName=..., authorizerConfiguration=...)
    )
    assert "authorizerConfiguration" not in control.get_agent_runtime(agentRuntimeId=runtime_id)

    assert code(control.create_agent_runtime, **described(issuer)) == "ConflictException"
    assert control.delete_agent_runtime(agentRuntimeId=runtime_id)["agentRuntimeId"] == runtime_id
    assert code(control.get_agent_runtime, agentRuntimeId=runtime_id) == "ResourceNotFoundException"
    assert code(control.get_workload_identity, name=runtime_id) == "ResourceNotFoundException"


def test_the_authorizer_of_a_runtime_is_the_one_that_is_asked(connect: Connect, tenant: Any, issuer: Issuer) -> None:
    from apps.broker.inbound import contracts as c
    from apps.broker.run import run
    from tests.security.doors import Door

    made = connect(tenant).control.create_agent_runtime(**described(issuer))
    door = Door.__new__(Door)
    door.tenant, door.issuer, door.agent = tenant, issuer, made["agentRuntimeArn"]
    from django.test import Client

    door.http = Client()
    door.key = run(c.CreateGatewayKey(agent=made["agentRuntimeId"]), tenant.caller()).key.reveal()
    door.admits(issuer.token())
    assert door.ask(issuer.token(aud="other"))["clause"] == f"{issuer.url} allowedAudience"


def test_runtimes_are_listed_in_pages(connect: Connect, tenant: Any, issuer: Issuer) -> None:
    control = connect(tenant).control
    names = [f"agent_{number}" for number in range(3)]
    for name in names:
        control.create_agent_runtime(**described(issuer, agentRuntimeName=name, authorizerConfiguration=...))
    control.create_workload_identity(name="no-runtime")
    pages = list(control.get_paginator("list_agent_runtimes").paginate(PaginationConfig={"PageSize": 2}))
    assert [[one["agentRuntimeName"] for one in page["agentRuntimes"]] for page in pages] == [names[:2], names[2:]]


@pytest.mark.parametrize(
    "change",
    [
        {
            "agentRuntimeArtifact": {
                "containerConfiguration": {"containerUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/agent:1"}
            }
        },
        {
            "agentRuntimeArtifact": {
                "codeConfiguration": {
                    "code": {"s3": {"bucket": "bucket", "prefix": "p"}},
                    "runtime": "PYTHON_3_12",
                    "entryPoint": ["main.py"],
                }
            }
        },
        {
            "networkConfiguration": {
                "networkMode": "VPC",
                "networkModeConfig": {"securityGroups": ["sg-12345678"], "subnets": ["subnet-12345678"]},
            }
        },
        {"environmentVariables": {"A": "b"}},
        {"protocolConfiguration": {"serverProtocol": "HTTP", "port": 8080}},
    ],
    ids=["image", "code", "vpc", "environment", "port"],
)
def test_what_is_about_running_it_is_refused_with_where_the_endpoint_goes(
    connect: Connect, tenant: Any, issuer: Issuer, change: dict[str, Any]
) -> None:
    control = connect(tenant).control
    answer = refused(control.create_agent_runtime, **described(issuer, **change))
    assert answer["Error"]["Code"] == "ValidationException"
    assert "containerUri" in answer["Error"]["Message"]
    assert control.list_agent_runtimes()["agentRuntimes"] == []


def test_a_refusal_names_the_member_as_it_was_sent(connect: Connect, tenant: Any, issuer: Issuer) -> None:
    control = connect(tenant).control
    alone = {"customJWTAuthorizer": {"discoveryUrl": issuer.discovery_url, "allowedScopes": ["agent:invoke"]}}
    answer = refused(control.create_agent_runtime, **described(issuer, authorizerConfiguration=alone))
    assert answer["fieldList"][0]["name"] == "authorizerConfiguration.customJWTAuthorizer.allowedAudience"
    inside = {"containerConfiguration": {"containerUri": "https://169.254.169.254/latest"}}
    answer = refused(control.create_agent_runtime, **described(issuer, agentRuntimeArtifact=inside))
    assert answer["fieldList"][0]["name"] == "agentRuntimeArtifact.containerConfiguration.containerUri"


def test_a_neighbour_sees_none_of_it(connect: Connect, portal: Any, tenant: Any, issuer: Issuer) -> None:
    made = connect(tenant).control.create_agent_runtime(**described(issuer))
    other = connect(portal.new_tenant()).control
    assert code(other.get_agent_runtime, agentRuntimeId=made["agentRuntimeId"]) == "ResourceNotFoundException"
    assert code(other.delete_agent_runtime, agentRuntimeId=made["agentRuntimeId"]) == "ResourceNotFoundException"
    assert other.list_agent_runtimes()["agentRuntimes"] == []
    assert other.create_agent_runtime(**described(issuer))["status"] == "READY"
