"""Write apps/entrypoints/rest/openapi.json from the operations the REST API states.

    python scripts/make_openapi.py            write the document
    python scripts/make_openapi.py --check    exit with 1 if the document is not what would be written

The service only serves the file, so what writes it is a dependency of the tests alone. Needs the settings, no database.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_portal.settings")

import django  # noqa: E402

django.setup()

from drf_spectacular.generators import SchemaGenerator  # noqa: E402
from drf_spectacular.openapi import AutoSchema  # noqa: E402
from drf_spectacular.settings import patched_settings  # noqa: E402
from drf_spectacular.utils import OpenApiExample, OpenApiParameter  # noqa: E402

from apps.entrypoints.rest import problems, urls  # noqa: E402
from apps.entrypoints.rest.endpoint import Endpoint  # noqa: E402
from apps.entrypoints.rest.fields import Strict  # noqa: E402
from apps.entrypoints.rest.operation import Operation  # noqa: E402
from apps.entrypoints.rest.pages import DOCUMENT  # noqa: E402
from apps.entrypoints.rest.problem_texts import TEXTS  # noqa: E402

_ALWAYS = (400, 401, 403, 429, 500, 503)
_LABELS = {"name": "The name.", "access_key_id": "The id of the key."}

_PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457). `type` is the address of a page with cause and fix.",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "description": "Leads an administrator to the record in the audit trail."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "description": "A member of the body (RFC 6901)."},
                    "parameter": {"type": "string", "description": "A parameter of the query."},
                    "header": {"type": "string"},
                    "detail": {"type": "string"},
                },
                "required": ["detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "request_id"],
}


class Schema(AutoSchema):
    """Reads what `@operation` states."""

    @property
    def operation(self) -> Operation:
        found: Operation = getattr(self.view, self.method.lower()).operation
        return found

    def get_operation_id(self) -> str:
        return self.operation.id

    def get_summary(self) -> str:
        return self.operation.summary

    def get_description(self) -> str:
        return self.operation.notes

    def get_tags(self) -> list[str]:
        return [self.operation.tag]

    def get_auth(self) -> list[dict[str, list[str]]]:
        return [{"accessKey": []}, {"bearer": []}, {"session": [], **({} if self.method == "GET" else {"csrf": []})}]

    def get_request_serializer(self) -> Any:
        return self.operation.body

    def get_response_serializers(self) -> Any:
        return {self.operation.status: self.operation.answer}

    def get_filter_backends(self) -> list[Any]:
        return []

    def _get_paginator(self) -> None:
        return None

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False

    def map_parsers(self) -> list[str]:
        return ["application/json"]

    def map_renderers(self, attribute: str) -> list[str]:
        return ["application/json"]

    def get_override_parameters(self) -> list[Any]:
        found: list[Any] = [self.operation.query] if self.operation.query is not None else []
        if self.method == "POST" and not self.operation.repeats:
            found.append(
                OpenApiParameter(
                    "Idempotency-Key",
                    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
                    OpenApiParameter.HEADER,
                    description="The same request repeated within 24 hours: the first answer, and no second effect.",
                )
            )
        if self.operation.conditional:
            found.append(
                OpenApiParameter(
                    "If-Match",
                    {"type": "string", "pattern": '^(\\*|"[!#-~]{1,200}")$'},
                    OpenApiParameter.HEADER,
                    description="The ETag the change is meant for.",
                )
            )
        return found

    def get_examples(self) -> list[Any]:
        if self.operation.example is None:
            return []
        return [OpenApiExample("example", value=self.operation.example, request_only=True)]

    def get_operation(self, *args: Any, **options: Any) -> Any:
        found = super().get_operation(*args, **options)
        answers: dict[str, Any] = dict(found["responses"])
        success = answers[str(self.operation.status)]
        success["description"] = "Done." if self.operation.answer is None else "The answer."
        headers: dict[str, Any] = {"X-Request-Id": {"schema": {"type": "string"}}}
        if self.operation.versioned:
            headers["ETag"] = {"schema": {"type": "string"}}
        if self.operation.located is not None:
            headers["Location"] = {"schema": {"type": "string", "format": "uri"}}
        success["headers"] = headers
        for status in sorted({*_ALWAYS, *self.operation.refusals, *self._more()}):
            answers[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
        found["responses"] = dict(sorted(answers.items()))
        return found

    def _more(self) -> set[int]:
        """Statuses that follow from the shape of the operation."""
        found: set[int] = {404} if "{" in self.path or self.operation.body is not None else set()
        found |= {413, 415} if self.operation.body is not None else {413}
        found |= {412} if self.operation.conditional else set()
        # What is answered once may meet itself; and 422 is for limits and for a key used twice.
        return found | (set() if self.operation.repeats else {409, 422})


def _answers() -> dict[str, Any]:
    """One response per status, naming the kinds of problems it can be."""
    found: dict[str, Any] = {}
    kinds = {kind.name: kind.status for kind in (*problems.TABLE.values(), *problems.BY_REASON.values())}
    for status in sorted(set(kinds.values())):
        names = sorted(name for name, its in kinds.items() if its == status)
        found[f"Problem{status}"] = {
            "description": "; ".join(f"{TEXTS[name].title} ({name})" for name in names) + ".",
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return found


def _closed(document: dict[str, Any]) -> None:
    """Requests take no member they do not know, and say so."""
    strict = {cls.__name__ for cls in _subclasses(Strict)}
    for name, schema in document["components"]["schemas"].items():
        if name in strict or name.removesuffix("Request") in strict or name.removeprefix("Patched") in strict:
            schema["additionalProperties"] = False


def _without(part: Any, name: str) -> None:
    """Remove a mark that the generator leaves for itself."""
    if isinstance(part, dict):
        part.pop(name, None)
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _without(inner, name)


def _subclasses(cls: type) -> set[type]:
    return {sub for direct in cls.__subclasses__() for sub in {direct, *_subclasses(direct)}}


def make() -> str:
    """The document as JSON text."""
    Endpoint.schema = Schema()
    settings = {
        "OAS_VERSION": "3.1.0",
        "TITLE": "Identity Portal",
        "VERSION": "1",
        "DESCRIPTION": "Identities, consent and credentials for AI agents. Every refusal is a problem document whose "
        "type is the address of a page with cause and fix.",
        "COMPONENT_SPLIT_REQUEST": False,
        "COMPONENT_SPLIT_PATCH": False,
        "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
        "SCHEMA_PATH_PREFIX": "/api/v1",
        "PREPROCESSING_HOOKS": [],
        "POSTPROCESSING_HOOKS": [],
        "SORT_OPERATIONS": False,
    }
    with patched_settings(settings):
        document = SchemaGenerator(patterns=urls.endpoints).get_schema(request=None, public=True)
    document["components"]["schemas"]["Problem"] = _PROBLEM
    document["components"]["responses"] = _answers()
    document["components"]["securitySchemes"] = {
        "accessKey": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "AWS Signature Version 4 with an access key of the tenant, service bedrock-agentcore, any "
            "region, in the header form.",
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token of the portal's own authorization server, limited to its scopes.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "portal_session",
            "description": "A person's session at the portal.",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRFToken",
            "description": "With a session, for everything that changes something.",
        },
    }
    _closed(document)
    document["servers"] = [{"url": "/"}]
    _without(document, "x-spec-enum-id")
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    text = make()
    if "--check" in sys.argv[1:]:
        if DOCUMENT.read_text(encoding="utf-8") == text:
            return 0
        print("the OpenAPI document is not up to date: run python scripts/make_openapi.py", file=sys.stderr)
        return 1
    DOCUMENT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
