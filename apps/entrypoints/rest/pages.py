"""What people read about the API: one page per kind of problem, one page of all operations, the OpenAPI document.

No script, no style but the portal's own, nothing loaded from elsewhere.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from apps.audit import operators
from apps.core.errors import NotFound
from apps.entrypoints.rest import problems
from apps.entrypoints.rest.authentication import request_id, source_ip
from apps.entrypoints.rest.problem_texts import TEXTS

DOCUMENT = Path(__file__).parent / "openapi.json"
_METHODS = ("get", "post", "put", "patch", "delete")


@require_safe
def problem(request: HttpRequest, name: str) -> HttpResponse:
    """Cause and fix of one kind of problem: where its `type` leads."""
    if name not in TEXTS:
        raise Http404
    return render(request, "rest/problem.html", {"text": TEXTS[name], "name": name, "status": _statuses()[name]})


@require_safe
def problem_list(request: HttpRequest) -> HttpResponse:
    """All kinds of problems."""
    rows = sorted(((name, _statuses()[name], text) for name, text in TEXTS.items()), key=lambda row: (row[1], row[0]))
    return render(request, "rest/problems.html", {"rows": rows})


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The OpenAPI 3.1 document, as committed: a test holds it to the code."""
    return HttpResponse(DOCUMENT.read_bytes(), content_type="application/json")


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """All operations on one page, made from the OpenAPI document."""
    return render(request, "rest/reference.html", {"tags": _by_tag(), "version": _document()["info"]["version"]})


@csrf_exempt
def nothing_here(request: HttpRequest) -> HttpResponse:
    """Any other address below /api/: a problem document, not a page."""
    operators.record(
        action="request.rejected", reason="unknown_route", request_id=request_id(request), source_ip=source_ip(request)
    )
    refused = NotFound("There is no such address. Check the path.", reason="unknown_route")
    return problems.response(refused, request_id(request))


@lru_cache(maxsize=1)
def _statuses() -> dict[str, int]:
    return {kind.name: kind.status for kind in (*problems.TABLE.values(), *problems.BY_REASON.values())}


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENT.read_bytes())
    return found


@lru_cache(maxsize=1)
def _by_tag() -> list[tuple[str, list[dict[str, Any]]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for path, methods in _document()["paths"].items():
        for method in _METHODS:
            spec = methods.get(method)
            if spec is not None:
                found.setdefault(spec["tags"][0], []).append({"method": method.upper(), "path": path, **_shown(spec)})
    return list(found.items())


def _shown(spec: dict[str, Any]) -> dict[str, Any]:
    """One operation, flat, for the template."""
    body = spec.get("requestBody", {}).get("content", {}).get("application/json", {})
    examples = list(body.get("examples", {}).values())
    return {
        "id": spec["operationId"],
        "summary": spec["summary"],
        "description": spec.get("description", ""),
        "parameters": [(row["name"], row["in"], row.get("description", "")) for row in spec.get("parameters", ())],
        "members": _members(body.get("schema", {})),
        "example": json.dumps(examples[0]["value"], indent=2, ensure_ascii=False) if examples else "",
        "result": _members(
            next(
                (
                    answer["content"]["application/json"]["schema"]
                    for status, answer in spec["responses"].items()
                    if status.startswith("2") and "application/json" in answer.get("content", {})
                ),
                {},
            )
        ),
    }


def _members(schema: dict[str, Any]) -> list[tuple[str, str, bool, str]]:
    """Name, type, whether it has to be there, and what it means."""
    schema = _resolved(schema)
    needed = set(schema.get("required", ()))
    return [
        (name, _type(member), name in needed, member.get("description", ""))
        for name, member in schema.get("properties", {}).items()
    ]


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference_ = schema.get("$ref")
    if reference_ is None:
        return schema
    found: dict[str, Any] = _document()["components"]["schemas"][reference_.rsplit("/", 1)[1]]
    return found


def _type(member: dict[str, Any]) -> str:
    named = member.get("$ref") or next((part["$ref"] for part in member.get("allOf", ()) if "$ref" in part), None)
    if named:
        return str(named).rsplit("/", 1)[1]
    kind = member.get("type", "")
    if kind == "array":
        return f"list of {_type(member['items'])}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
