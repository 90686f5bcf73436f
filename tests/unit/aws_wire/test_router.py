"""Method and raw path to operation."""

from __future__ import annotations

import re

import pytest

from apps.core.errors import Invalid, NotFound
from apps.entrypoints.aws_wire.contract import CONTRACT
from apps.entrypoints.aws_wire.router import route

LABEL = "arn%3Aaws%3Abedrock-agentcore%3Alocal%3A123456789012%3Atoken-vault%2Fdefault"
ARN = "arn:aws:bedrock-agentcore:local:123456789012:token-vault/default"


@pytest.mark.parametrize("name", sorted(CONTRACT.operations))
@pytest.mark.parametrize(("prefix", "slug"), [("", None), ("/t/acme", "acme"), ("/t/a-1", "a-1")])
def test_every_operation_is_found_with_and_without_the_tenant_prefix(name: str, prefix: str, slug: str | None) -> None:
    operation = CONTRACT.operations[name]
    labels = re.findall(r"\{(\w+)\}", operation.path)
    found = route(operation.method, prefix + re.sub(r"\{\w+\}", LABEL, operation.path))
    assert (found.name, found.operation, found.slug) == (name, operation, slug)
    assert found.path_params == dict.fromkeys(labels, ARN)


def test_operations_known_by_name_are_named() -> None:
    assert route("PUT", "/runtimes/rt-1/runtime-endpoints/").name == "CreateAgentRuntimeEndpoint"
    assert route("GET", "/t/acme/runtimes/rt-1/runtime-endpoints/DEFAULT/").operation is None
    found = route("POST", f"/runtimes/{LABEL}/invocations")
    assert (found.name, found.operation, found.path_params) == ("InvokeAgentRuntime", None, {"agentRuntimeArn": ARN})


@pytest.mark.case("T114")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("TRACE", "/identities/api-key"),
        ("PUT", "/identities/api-key"),
        ("GET", "/identities/api-key"),
        ("HEAD", "/tags/" + LABEL),
        ("OPTIONS", "/identities/api-key"),
        ("post", "/identities/api-key"),
        ("POST", "/identities/api-key/"),
        ("POST", "//identities/api-key"),
        ("POST", "/identities/./api-key"),
        ("POST", "/identities/api%2Dkey"),
        ("POST", "/identities%2Fapi-key"),
        ("POST", "/identities/API-KEY"),
        ("POST", "/identities/api-key;x=1"),
        ("POST", "/identities/api-key%00"),
        ("POST", "/t/acme"),
        ("POST", "/t//identities/api-key"),
        ("POST", "/t/ACME/identities/api-key"),
        ("POST", "/t/acme/t/acme/identities/api-key"),
        ("POST", "/t/%61cme/identities/api-key"),
        ("GET", "/tags/"),
        ("GET", "/tags/a/b"),
        ("GET", "/tags/" + LABEL + "/"),
        ("GET", "/" + "a" * 8192),
        ("GET", ""),
    ],
)
def test_T114_anything_else_is_no_operation(method: str, path: str) -> None:
    with pytest.raises(NotFound) as refused:
        route(method, path)
    assert refused.value.reason == "unknown_operation"
    assert path == "" or path not in refused.value.public


def test_a_label_is_decoded_once_and_must_be_text() -> None:
    assert route("GET", "/tags/a%2520b").path_params == {"resourceArn": "a%20b"}
    assert route("GET", "/tags/%C3%A9").path_params == {"resourceArn": "é"}
    with pytest.raises(Invalid):
        route("GET", "/tags/%FF")
