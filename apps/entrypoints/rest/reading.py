"""From bytes to checked values: the body, the query, the conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from rest_framework import serializers

from apps.core.errors import FieldProblem, Invalid, Unreadable
from apps.core.net.strict_json import NotStrictJson, parse_object
from apps.entrypoints.rest.operation import Given, Operation

_json_type = re.compile(r'application/json(?: *; *charset="?utf-8"?)?', re.IGNORECASE).fullmatch
_etag = re.compile(r'"([\x21\x23-\x7e]{1,200})"').fullmatch


def body_of(request: HttpRequest) -> bytes:
    """The body's bytes. Raises Unreadable (`body_too_large`) before they are all read."""
    try:
        return request.body
    except RequestDataTooBig as large:
        raise Unreadable("The request body is too large.", reason="body_too_large") from large


def given(operation: Operation, request: HttpRequest) -> Given:
    """What the request gives the operation: members of the body and of the query.

    Raises Unreadable for what is no strict JSON of a known media type, Invalid for members that do not fit.
    """
    found = _query(operation, request)
    raw = body_of(request)
    if operation.body is None:
        if raw:
            raise Unreadable("This operation takes no body.", reason="body_unexpected")
        return found
    _check_media_type(request)
    try:
        members = parse_object(raw)
    except NotStrictJson as bad:
        raise Unreadable(f"The request body is not one strict JSON object: {bad}.", reason="malformed_json") from bad
    return {**found, **_checked(operation.body(data=members), "")}


def expected_version(request: HttpRequest) -> str | None:
    """The version in If-Match; None for none and for `*`. Raises Invalid."""
    text = request.headers.get("If-Match")
    if text is None or text.strip() == "*":
        return None
    match = _etag(text.strip())
    if match is None:
        raise Invalid("If-Match holds one ETag in quotes, as it was given.", reason="if_match_malformed")
    return match[1]


def _query(operation: Operation, request: HttpRequest) -> Given:
    fields = operation.query().fields if operation.query is not None else {}
    flat: dict[str, str] = {}
    for name, values in request.GET.lists():
        if name not in fields:
            raise Invalid.field(f"?{name[:100]}", "There is no such parameter here.", reason="parameter_unknown")
        if len(values) != 1:
            raise Invalid.field(f"?{name}", "This parameter was given more than once.", reason="parameter_repeated")
        flat[name] = values[0]
    return _checked(operation.query(data=flat), "?") if operation.query is not None else {}


def _check_media_type(request: HttpRequest) -> None:
    if _json_type(request.META.get("CONTENT_TYPE", "").strip()) is None:
        raise Unreadable("The request body must be application/json.", reason="media_type_unsupported")
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise Unreadable("Compressed request bodies are not accepted.", reason="content_encoding_unsupported")


def _checked(serializer: serializers.Serializer, prefix: str) -> Given:
    if not serializer.is_valid():
        problems = tuple(FieldProblem(prefix + path, text) for path, text in _flat(serializer.errors))[:50]
        named = ", ".join(problem.name.lstrip("?/") for problem in problems[:3])
        raise Invalid(f"Not valid: {named}.", reason="field_invalid", fields=problems)
    return dict(serializer.validated_data)


def _flat(errors: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The framework's nested errors as paths and sentences."""
    if isinstance(errors, Mapping):
        for name, inner in errors.items():
            # What concerns an object as a whole stands under a name of the framework's.
            here = path if name == "non_field_errors" else f"{path}.{name}" if path else str(name)
            yield from _flat(inner, here)
    elif isinstance(errors, list):
        for place, inner in enumerate(errors):
            if isinstance(inner, Mapping | list):
                if inner:
                    yield from _flat(inner, f"{path}.{place}")
            else:
                yield path, str(inner)
