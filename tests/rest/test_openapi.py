"""The OpenAPI document is what the code does: compared, rendered, and sent at a running portal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

import pytest
import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from apps.entrypoints.rest.pages import DOCUMENT
from tests.conftest import make_tenant
from tests.rest.api import HOST
from tests.rest.routes import ROUTES

ROOT = Path(__file__).resolve().parents[2]
TEXT = DOCUMENT.read_text(encoding="utf-8")
SPEC = json.loads(TEXT)
SCHEMA = schemathesis.openapi.from_dict(SPEC)
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
]


def test_the_committed_document_is_what_the_code_says():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_openapi.py"), "--check"],
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr


def test_it_names_every_operation_with_an_example_for_every_body():
    assert SPEC["openapi"].startswith("3.1")
    named = {
        (method.upper(), path): spec for path, methods in SPEC["paths"].items() for method, spec in methods.items()
    }
    assert set(named) == {(route.method, route.path) for route in ROUTES}
    without = [
        spec["operationId"]
        for spec in named.values()
        if "requestBody" in spec and not spec["requestBody"]["content"]["application/json"].get("examples")
    ]
    assert without == []


def test_requests_are_closed():
    """A member nobody offers is refused, and the document says so."""
    bodies = {
        spec["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        for methods in SPEC["paths"].values()
        for spec in methods.values()
        if "requestBody" in spec
    }
    assert [
        name for name in bodies if SPEC["components"]["schemas"][name].get("additionalProperties") is not False
    ] == []


def test_it_is_served_as_it_is():
    answer = Client().get("/api/v1/openapi.json", headers={"host": HOST})
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.content.decode() == TEXT


def test_the_reference_page_shows_every_operation_and_loads_nothing_from_elsewhere():
    page = Client().get("/api/docs/", headers={"host": HOST})
    html = page.content.decode()
    assert page.status_code == 200
    for route in ROUTES:
        assert f'id="{route.operation.id}"' in html
        assert route.operation.summary in html.replace("&#x27;", "'")
    assert re.findall(r'(?:src|href|action)="(?:https?:)?//', html) == []
    assert "<script" not in html and "style=" not in html
    assert page["Content-Security-Policy"].count("'none'") >= 3


# --- sent at a running portal -----------------------------------------------------------------------------------


class Signed(requests.auth.AuthBase):
    """Signs like an AWS client; addresses are encoded as the signature demands."""

    def __init__(self, tenant) -> None:
        self.keys = Credentials(tenant.access_key_id, tenant.secret_access_key)

    def __call__(self, request):
        parts = urlsplit(request.url)
        query = "&".join(
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
        )
        path = quote(requests.utils.unquote(parts.path), safe="/-_.~")
        request.url = urlunsplit(parts._replace(path=path, query=query))
        lines = {"Host": parts.netloc}
        if "Content-Type" in request.headers:
            lines["Content-Type"] = request.headers["Content-Type"]
        aws = AWSRequest(request.method, request.url, headers=lines, data=request.body or b"")
        SigV4Auth(self.keys, "bedrock-agentcore", "us-east-1").add_auth(aws)
        request.headers.update(dict(aws.headers.items()))
        return request


@lru_cache(maxsize=1)
def auth() -> Signed:
    return Signed(make_tenant())


def send(case, url: str) -> int:
    """Send and judge one request. Returns the status."""
    case.headers.pop("Authorization", None)
    answer = case.call(base_url=url, auth=auth(), timeout=60)
    assert answer.status_code != 500, answer.text
    if answer.status_code in (401, 404) and "problem" in answer.headers["content-type"][0]:
        return answer.status_code  # an address that cannot be signed, or is none: refused before it was read
    # The check that bad requests are refused does not know 413.
    checks = [check for check in CHECKS if answer.status_code != 413 or check is not negative_data_rejection]
    case.validate_response(answer, checks=checks)
    return answer.status_code


OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
every_operation = pytest.mark.parametrize(
    "operation", OPERATIONS, ids=[operation.definition.raw["operationId"] for operation in OPERATIONS]
)
QUIET = list(HealthCheck)


def fuzz(operation, url: str, *, examples: int) -> None:
    raw = operation.definition.raw
    modes = [schemathesis.GenerationMode.POSITIVE]
    if raw.get("parameters") or raw.get("requestBody"):
        modes.append(schemathesis.GenerationMode.NEGATIVE)
    seen: list[int] = []
    for mode in modes:

        @settings(
            max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=QUIET,
            phases=[Phase.generate],
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def sent(case) -> None:
            seen.append(send(case, url))

        sent()
    # The check itself must be able to see something: not everything may end at the signature.
    if raw["operationId"] not in ("fetchOAuthToken", "fetchApiKey"):
        assert set(seen) - {401}, seen


@pytest.mark.case("T112")
@every_operation
def test_T112_what_the_document_allows_and_what_it_does_not_is_answered_as_it_says(portal, operation):
    fuzz(operation, portal.url, examples=4)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.case("T112")
@every_operation
def test_T112_the_same_for_long(portal, operation):
    fuzz(operation, portal.url, examples=150)
