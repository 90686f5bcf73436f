"""One story, told by clients of different years, with the same end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from .clients import REGION, OldClients

STORY = Path(__file__).with_name("story.py")

EXPECTED = {
    "create agent": (201, ["allowedResourceOauth2ReturnUrls", "name", "workloadIdentityArn"]),
    "get agent": (
        200,
        ["allowedResourceOauth2ReturnUrls", "createdTime", "lastUpdatedTime", "name", "workloadIdentityArn"],
    ),
    "tag": (204, []),
    "tags": (200, ["tags"]),
    "untag": (204, []),
    "consent": (200, ["authorizationUrl", "sessionStatus", "sessionUri"]),
    "poll": (200, ["authorizationUrl", "sessionStatus", "sessionUri"]),
    "token": (200, ["workloadAccessToken"]),
    "key": (200, ["apiKey"]),
    "delete agent": (204, []),
}
REFUSED = {
    "create it again": (409, "ConflictException"),
    "absent": (404, "ResourceNotFoundException"),
    "bad name": (400, "ValidationException"),
    "bad return url": (400, "ValidationException"),
    "bad token": (401, "UnauthorizedException"),
    "ended token": (401, "UnauthorizedException"),
}


def environment(portal: Any, tenant: Any, aws_home: dict[str, str]) -> dict[str, str]:
    return {
        **aws_home,
        "ENDPOINT": portal.url,
        "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE": portal.url,
        "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE_CONTROL": portal.url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": tenant.access_key_id,
        "AWS_SECRET_ACCESS_KEY": tenant.secret_access_key,
        "AWS_MAX_ATTEMPTS": "1",
    }


def told_right(seen: dict[str, Any]) -> None:
    for name, (status, members) in EXPECTED.items():
        assert (seen[name]["status"], seen[name]["members"]) == (status, members), name
    for name, (status, code) in REFUSED.items():
        assert seen[name] == {"status": status, "code": code, "typed": code, "message": True}, name
    assert seen["agents"] == ["old-agent"]


def test_the_story_with_the_current_boto3(portal: Any, tenant: Any, aws_home: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, str(STORY)],
        env=environment(portal, tenant, aws_home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["boto3"] == "1.44.5"
    told_right(seen)


def test_the_story_with_a_boto3_of_an_earlier_year(
    portal: Any, tenant: Any, aws_home: dict[str, str], old_clients: OldClients
) -> None:
    seen = old_clients.python(STORY, environment(portal, tenant, aws_home))
    assert seen["boto3"] == "1.41.0"
    told_right(seen)


def test_the_aws_command_line(portal: Any, tenant: Any, aws_home: dict[str, str], old_clients: OldClients) -> None:
    settings = environment(portal, tenant, aws_home)

    def aws(service: str, command: str, *arguments: str, fails: str = "") -> Any:
        done = old_clients.cli(service, command, *arguments, environment=settings)
        if fails:
            assert done.returncode != 0 and f"An error occurred ({fails})" in done.stderr, done.stderr
            return None
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    control, data = "bedrock-agentcore-control", "bedrock-agentcore"
    url = "http://127.0.0.1:8081/oauth2/callback"
    for name in ("cli-1", "cli-2", "cli-3"):
        # CLI v1 fetches an argument that is an address, also as the only one of a list; in JSON it stays text.
        listed = ("--allowed-resource-oauth2-return-urls", json.dumps([url]))
        made = aws(control, "create-workload-identity", "--name", name, *listed)
        assert made["workloadIdentityArn"].endswith(f"/workload-identity/{name}")
        assert made["allowedResourceOauth2ReturnUrls"] == [url]
    got = aws(control, "get-workload-identity", "--name", "cli-1")
    assert isinstance(got["createdTime"], float | int | str)
    first = aws(control, "list-workload-identities", "--max-items", "2", "--page-size", "1")
    assert [item["name"] for item in first["workloadIdentities"]] == ["cli-1", "cli-2"]
    rest = aws(control, "list-workload-identities", "--starting-token", first["NextToken"])
    assert [item["name"] for item in rest["workloadIdentities"]] == ["cli-3"]
    aws(control, "create-api-key-credential-provider", "--name", "k1", "--api-key", "sk-cli")
    minted = aws(data, "get-workload-access-token-for-user-id", "--workload-name", "cli-1", "--user-id", "u1")
    key = aws(
        data,
        "get-resource-api-key",
        *("--workload-identity-token", minted["workloadAccessToken"]),
        *("--resource-credential-provider-name", "k1"),
    )
    assert key == {"apiKey": "sk-cli"}
    arn = got["workloadIdentityArn"]
    aws(control, "tag-resource", "--resource-arn", arn, "--tags", "a=b")
    assert aws(control, "list-tags-for-resource", "--resource-arn", arn) == {"tags": {"a": "b"}}
    aws(control, "untag-resource", "--resource-arn", arn, "--tag-keys", "a")
    assert aws(control, "list-tags-for-resource", "--resource-arn", arn) == {"tags": {}}
    aws(control, "delete-workload-identity", "--name", "cli-1")
    aws(control, "get-workload-identity", "--name", "cli-1", fails="ResourceNotFoundException")
    aws(control, "create-workload-identity", "--name", "cli-2", fails="ConflictException")
    aws(
        control,
        "create-workload-identity",
        *("--cli-input-json", json.dumps({"name": "x y", "allowedResourceOauth2ReturnUrls": [url]})),
        fails="ValidationException",
    )
