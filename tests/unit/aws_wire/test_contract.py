"""The checked-in contract is what the installed service models give, and it can be used as it stands."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from apps.core import names
from apps.entrypoints.aws_wire.contract import CONTRACT
from apps.entrypoints.aws_wire.shapes import checker, full_match

ROOT = Path(__file__).resolve().parents[3]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_wire_contract", ROOT / "scripts" / "make_wire_contract.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_checked_in_contract_is_what_the_installed_models_give() -> None:
    script = _script()
    assert json.loads(script.TARGET.read_text()) == script.build(), "run scripts/make_wire_contract.py"
    assert script.TARGET.read_text() == script.render()
    assert script.main(["--check"]) == 0


def test_every_identity_operation_is_there_and_paths_do_not_collide() -> None:
    assert len(CONTRACT.operations) == 46
    places = [(operation.method, operation.path) for operation in CONTRACT.operations.values()]
    places += [(named.method, named.path) for named in CONTRACT.named_only]
    assert len(set(places)) == len(places)
    assert {operation.status for operation in CONTRACT.operations.values()} == {200, 201, 202, 204}
    assert any(named.name == "InvokeAgentRuntime" for named in CONTRACT.named_only)


def test_every_shape_that_can_be_received_has_a_working_check() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a pattern that Python reads in another way than Java warns
        for shapes in CONTRACT.shapes.values():
            for shape in shapes.values():
                if shape.pattern is not None:
                    full_match(shape.pattern)
        for operation in CONTRACT.operations.values():
            for member in operation.input.members.values() if operation.input else ():
                checker(operation.plane, member.shape)


@pytest.mark.parametrize("name", ["a", "my_provider-1", "x" * 128])
def test_our_resource_names_satisfy_the_corrected_patterns(name: str) -> None:
    shapes = CONTRACT.shapes["control"]
    for region in ("local", "us-east-1", "Self-Hosted-1"):
        start = names.prefix(region, "123456789012")
        for kind, shape in (
            (names.oauth_provider, "CredentialProviderArnType"),
            (names.api_key_provider, "ApiKeyCredentialProviderArnType"),
        ):
            assert full_match(shapes[shape].pattern or "")(start + kind(name))
            assert full_match(shapes["TaggableResourcesArn"].pattern or "")(start + kind(name))
        assert full_match(shapes["TaggableResourcesArn"].pattern or "")(start + names.agent(name))
        secret = names.managed_secret(region, "123456789012", "oauth2", name, "AbC123")
        assert full_match(shapes["SecretArn"].pattern or "")(secret)


def test_no_text_can_reach_a_pattern_without_a_length_limit() -> None:
    """A backtracking pattern over a quarter of a megabyte is a way to stop a worker."""
    reachable: set[tuple[str, str]] = set()
    queue = [(operation.plane, operation.input.name) for operation in CONTRACT.operations.values() if operation.input]
    while queue:
        plane, name = queue.pop()
        if (plane, name) in reachable:
            continue
        reachable.add((plane, name))
        shape = CONTRACT.shapes[plane][name]
        inner = [shape.element, shape.key, shape.value, *(member.shape for member in shape.members.values())]
        queue += [(plane, found) for found in inner if found]
    repeats = ("*", "+", "{1,")
    open_ended = {
        shape.name
        for plane, name in reachable
        if (shape := CONTRACT.shapes[plane][name]).pattern
        and shape.maximum is None
        and any(sign in shape.pattern for sign in repeats)
    }
    # Of operations that are refused before their members are read.
    assert open_ended <= {
        "ConsentPortalIdentifier",
        "ConsentPortalSourceIdentifierType",
        "ExecutionRoleArnType",
        "OAuth2CredentialProviderArn",
        "CertificateS3Uri",
        "NonBlankString",
    }


def test_botocore_is_not_needed_at_run_time() -> None:
    code = (
        "import sys; import apps.entrypoints.aws_wire.codec, apps.entrypoints.aws_wire.router, "
        "apps.entrypoints.aws_wire.raw_target, apps.entrypoints.aws_wire.errors; "
        "assert not {'botocore', 'boto3', 'django'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
