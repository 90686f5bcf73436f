"""Refusals out: complete, modelled, and silent about what nobody outside may know."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.parsers import create_parser

from apps.core import errors as domain
from apps.core.errors import Code, FieldProblem, PortalError
from apps.entrypoints.aws_wire import errors
from apps.entrypoints.aws_wire.contract import CONTRACT

ALL = sorted(CONTRACT.operations)
MODEL = botocore.session.get_session().get_service_model("bedrock-agentcore-control")


def render(error: BaseException, operation: str | None = "CreateOauth2CredentialProvider") -> errors.WireResponse:
    return errors.render(error, operation=CONTRACT.operations[operation] if operation else None, request_id="r-1")


def test_every_code_has_exactly_one_row() -> None:
    assert set(errors.TABLE) == set(Code)
    for first, otherwise in errors.TABLE.values():
        for wire in (first, otherwise):
            assert CONTRACT.error_status[wire.name] == wire.status
            assert bool(wire.reason) == (wire.name == "ValidationException")


@pytest.mark.parametrize("operation", ALL)
@pytest.mark.parametrize("code", list(Code))
def test_every_answer_is_one_the_operation_models(operation: str, code: Code) -> None:
    spec = CONTRACT.operations[operation]
    wire = errors.wire_error(code, spec)
    if code is Code.UNAUTHENTICATED:
        assert (wire.name, wire.status) == ("UnauthorizedException", 401), "everywhere the same"
    else:
        # The model of this one operation names no exception for bad input; clients take it as an unmodelled error,
        # which is truer than "access denied".
        modelled = spec.errors | ({"ValidationException"} if operation == "DeleteAgentRuntime" else set())
        assert wire.name in modelled


@pytest.mark.parametrize("reason", sorted({w.reason for pair in errors.TABLE.values() for w in pair if w.reason}))
def test_reasons_are_those_of_the_model(reason: str) -> None:
    assert reason in CONTRACT.shapes["control"]["ValidationExceptionReason"].enum


@pytest.mark.parametrize(
    ("code", "operation", "name", "status"),
    [
        (Code.UNREADABLE, "CreateWorkloadIdentity", "ValidationException", 400),
        (Code.INVALID, "CreateWorkloadIdentity", "ValidationException", 400),
        (Code.NOT_ALLOWED, "CreateWorkloadIdentity", "AccessDeniedException", 403),
        (Code.NOT_FOUND, "GetWorkloadIdentity", "ResourceNotFoundException", 404),
        (Code.CONFLICT, "CreateWorkloadIdentity", "ConflictException", 409),
        (Code.CONFLICT, "CompleteResourceTokenAuth", "AccessDeniedException", 403),
        (Code.GONE, "CompleteResourceTokenAuth", "AccessDeniedException", 403),
        (Code.GONE, "GetResourceOauth2Token", "AccessDeniedException", 403),
        (Code.CONFLICT, "GetWorkloadIdentity", "ValidationException", 400),
        (Code.QUOTA, "CreateApiKeyCredentialProvider", "ServiceQuotaExceededException", 402),
        (Code.QUOTA, "CreateWorkloadIdentity", "ValidationException", 400),
        (Code.SEAL_BROKEN, "GetOauth2CredentialProvider", "DecryptionFailure", 400),
        (Code.SEAL_BROKEN, "GetResourceOauth2Token", "InternalServerException", 500),
        (Code.NOT_SUPPORTED, "PutResourcePolicy", "ValidationException", 400),
        (Code.UNAVAILABLE, "GetResourceApiKey", "InternalServerException", 500),
        (Code.UPSTREAM_UNAVAILABLE, "GetResourceOauth2Token", "InternalServerException", 500),
        (Code.UPSTREAM_REFUSED, "GetResourceOauth2Token", "ValidationException", 400),
    ],
)
def test_the_rows_that_matter(code: Code, operation: str, name: str, status: int) -> None:
    wire = errors.wire_error(code, CONTRACT.operations[operation])
    assert (wire.name, wire.status) == (name, status)
    assert "ConflictException" not in CONTRACT.operations["CompleteResourceTokenAuth"].errors


def test_boto3_understands_the_answer() -> None:
    fields = (FieldProblem("name", "is required"), FieldProblem("tags.a", "must be text"))
    wire = render(domain.Invalid("Two members are wrong.", reason="field_invalid", fields=fields))
    answer = {
        "status_code": wire.status,
        "headers": {name.lower(): value for name, value in wire.headers.items()},
        "body": wire.body,
    }
    output = MODEL.operation_model("CreateWorkloadIdentity").output_shape
    parsed: dict[str, Any] = create_parser("rest-json").parse(answer, output)
    modelled = create_parser("rest-json").parse(answer, MODEL.shape_for("ValidationException"))
    assert modelled["reason"] == "FieldValidationFailed" and len(modelled["fieldList"]) == 2
    assert parsed["Error"] == {"Code": "ValidationException", "Message": "Two members are wrong."}
    assert parsed["ResponseMetadata"]["RequestId"] == "r-1"
    body = json.loads(wire.body)
    assert body["reason"] == "FieldValidationFailed"
    assert body["fieldList"] == [
        {"name": "name", "message": "is required"},
        {"name": "tags.a", "message": "must be text"},
    ]


def test_a_bad_proof_gets_one_and_the_same_answer() -> None:
    answers = {
        (wire.status, tuple(wire.headers.items()), wire.body)
        for reason in ("signature_mismatch", "clock_skew", "access_key_unknown")
        for wire in [render(domain.Unauthenticated(reason=reason, private=f"because of {reason}"))]
    }
    ((status, headers, body),) = answers
    assert status == 401 and dict(headers)["x-amzn-ErrorType"] == "UnauthorizedException"
    assert dict(headers)["WWW-Authenticate"].startswith("AWS4-HMAC-SHA256")
    assert json.loads(body) == {"message": domain.Unauthenticated.SENTENCE}


@pytest.mark.parametrize(
    ("given", "seconds", "milliseconds"), [(None, "1", "1000"), (2.25, "3", "2250"), (1e9, "3600", "3600000")]
)
def test_throttling_says_when_to_come_back(given: float | None, seconds: str, milliseconds: str) -> None:
    wire = render(domain.Throttled("Slow down.", reason="rate", retry_after_s=given))
    assert (wire.status, wire.headers["x-amzn-ErrorType"]) == (429, "ThrottlingException")
    assert (wire.headers["Retry-After"], wire.headers["x-amz-retry-after"]) == (seconds, milliseconds)


@pytest.mark.case("T116")
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("password=hunter2"),
        KeyError("hunter2"),
        PortalError("hunter2", reason="x"),
        PortalError("fine", reason="hunter2", private="hunter2", code=Code.BROKEN),
    ],
)
@pytest.mark.parametrize("operation", [None, "GetWorkloadIdentity"])
def test_T116_a_fault_of_ours_says_nothing_but_the_request_id(error: Exception, operation: str | None) -> None:
    wire = render(error, operation)
    assert wire.status == 500 and wire.headers["x-amzn-ErrorType"] == "InternalServerException"
    assert wire.headers["x-amzn-RequestId"] == "r-1"
    assert b"hunter2" not in wire.body and json.loads(wire.body) == {"message": errors.OPAQUE}


def test_private_text_and_reason_words_stay_inside() -> None:
    wire = render(domain.NotFound("No such agent.", reason="agent_foreign", private="belongs to tenant b"))
    assert json.loads(wire.body) == {"message": "No such agent."}
    assert "agent_foreign" not in str(wire.headers)
