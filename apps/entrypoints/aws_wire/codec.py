"""JSON of the wire into checked plain values, and answers into JSON. Led by the contract; no rules of its own.

Going in, every problem of a request is reported at once, each under the path of its member. Going out, an
answer that the contract does not allow is a fault of ours and raises: a client would fail on it less clearly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from apps.core.errors import FieldProblem, Invalid, Unreadable
from apps.core.secret import Secret
from apps.entrypoints.aws_wire import hot
from apps.entrypoints.aws_wire.contract import CONTRACT, Operation, Shape
from apps.entrypoints.aws_wire.shapes import MAX_PROBLEMS, UNKNOWN, Problems, checker, required_missing, shown
from apps.entrypoints.aws_wire.strict_json import read_object

MAX_BODY_BYTES = 256 * 1024
_SUMMARISED = 3


def decode(operation: str, body: bytes, path_params: Mapping[str, str], query: list[tuple[str, str]]) -> dict[str, Any]:
    """The members of a request, from wherever they travelled, checked against the contract.

    Args:
        operation: a name of the contract.
        body: the body bytes; empty counts as `{}` where no member of it is required.
        path_params: decoded labels of the path.
        query: decoded query parameters, from the same parser the signature was checked with.

    Raises:
        Unreadable: `body_too_large`, `body_not_expected`, and those of `strict_json.read_object`.
        Invalid: `unknown_field` or `field_invalid`, with one `FieldProblem` per wrong member.
    """
    if len(body) > MAX_BODY_BYTES:
        raise Unreadable(f"The request body is larger than {MAX_BODY_BYTES} bytes.", reason="body_too_large")
    if not path_params and not query:
        members = hot.try_decode(operation, body)
        if members is not None:
            return members
    return decode_thoroughly(CONTRACT.operations[operation], body, path_params, query)


def decode_thoroughly(
    operation: Operation, body: bytes, path_params: Mapping[str, str], query: list[tuple[str, str]]
) -> dict[str, Any]:
    """The general way in: any operation, all problems. Same arguments and errors as `decode`."""
    shape = operation.input
    by_location: dict[str, list[str]] = {"body": [], "uri": [], "querystring": []}
    for member in shape.members.values() if shape is not None else ():
        by_location[member.location].append(member.name)
    problems: Problems = []
    members = _body_members(body, shape, by_location["body"])
    for name in operation.tolerated & members.keys():
        if not isinstance(members.pop(name), str):
            problems.append(FieldProblem(name, "must be text"))
    outside: dict[str, Any] = dict(path_params)
    outside.update(_query_members(operation, by_location["querystring"], query, problems))
    for name in list(members):
        # A path or query member repeated in the body would be a second opinion on what the request is about.
        if name not in by_location["body"]:
            problems.append(FieldProblem(shown(name), UNKNOWN))
            del members[name]
    members |= outside
    if shape is not None:
        for name, value in members.items():
            if value is None:
                problems.append(FieldProblem(name, "must not be null; leave the member out instead"))
            else:
                checker(operation.plane, shape.members[name].shape)(value, name, problems)
        required_missing(shape, members, "", problems)
    if problems:
        raise _invalid(problems)
    return members


def _body_members(body: bytes, shape: Shape | None, names: list[str]) -> dict[str, Any]:
    if not names:
        if body not in (b"", b"{}"):
            raise Unreadable("This operation takes no request body.", reason="body_not_expected")
        return {}
    if not body and shape is not None and shape.required.isdisjoint(names):
        return {}
    return read_object(body)


def _query_members(
    operation: Operation, names: list[str], query: list[tuple[str, str]], problems: Problems
) -> dict[str, Any]:
    if not query:
        return {}
    shape = operation.input
    by_wire_name = {shape.members[name].wire_name: name for name in names} if shape is not None else {}
    found: dict[str, Any] = {}
    for wire_name, value in query:
        name = by_wire_name.get(wire_name)
        if name is None or shape is None:
            problems.append(FieldProblem(shown(wire_name), "is not a query parameter of this request"))
        elif CONTRACT.shapes[operation.plane][shape.members[name].shape].type == "list":
            found.setdefault(name, []).append(value)
        elif name in found:
            problems.append(FieldProblem(name, "was given more than once"))
        elif CONTRACT.shapes[operation.plane][shape.members[name].shape].type == "integer":
            # As in a body: digits only, and few of them.
            found[name] = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else value
        else:
            found[name] = value
    return found


def _invalid(problems: Problems) -> Invalid:
    problems = problems[:MAX_PROBLEMS]
    told = "; ".join(f"{problem.name or 'request'} {problem.message}" for problem in problems[:_SUMMARISED])
    more = f"; and {len(problems) - _SUMMARISED} more" if len(problems) > _SUMMARISED else ""
    reason = "unknown_field" if any(problem.message == UNKNOWN for problem in problems) else "field_invalid"
    return Invalid(f"The request is not valid: {told}{more}.", reason=reason, fields=tuple(problems))


class WrongAnswer(TypeError):
    """The portal was about to send something its own contract does not allow. A fault of ours, never the caller's."""


def encode(operation: str, output: Mapping[str, Any]) -> bytes:
    """The body of a successful answer. Members that are None are left out; a 204 has no body.

    Timestamps (timezone-aware) become epoch seconds with milliseconds. A `Secret` is opened here, at the last
    moment, and only where the contract marks the member as sensitive.

    Raises:
        WrongAnswer: a member is unknown, missing, or of the wrong type.
    """
    spec = CONTRACT.operations[operation]
    if spec.output is None or not spec.output.members:
        if output:
            raise WrongAnswer(f"{operation} answers nothing")
        return b"" if spec.status == 204 else b"{}"
    rendered = _render(CONTRACT.shapes[spec.plane], spec.output, output, operation)
    return b"" if spec.status == 204 else msgspec.json.encode(rendered)


_SCALARS: dict[str, type] = {"string": str, "integer": int, "long": int, "boolean": bool}


def _render(shapes: Mapping[str, Shape], shape: Shape, value: Any, path: str) -> Any:
    if shape.type == "string" and isinstance(value, Secret):
        if not shape.sensitive:
            raise WrongAnswer(f"{path}: a secret in a member that is not marked as one")
        return value.reveal()
    if (scalar := _SCALARS.get(shape.type)) is not None:
        if not isinstance(value, scalar) or (isinstance(value, bool) and scalar is not bool):
            raise WrongAnswer(f"{path}: not a {shape.type}")
        return value
    return _RENDERERS[shape.type](shapes, shape, value, path)


def _render_structure(shapes: Mapping[str, Shape], shape: Shape, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise WrongAnswer(f"{path}: not a structure")
    out: dict[str, Any] = {}
    for name, item in value.items():
        if item is None:
            continue
        member = shape.members.get(name)
        if member is None:
            raise WrongAnswer(f"{path}: no member {name}")
        out[name] = _render(shapes, shapes[member.shape], item, f"{path}.{name}")
    if not shape.required <= out.keys():
        raise WrongAnswer(f"{path}: missing {sorted(shape.required - out.keys())}")
    if shape.union and len(out) != 1:
        # boto3 fails with a parse error on anything else.
        raise WrongAnswer(f"{path}: a union has exactly one member")
    return out


def _render_list(shapes: Mapping[str, Shape], shape: Shape, value: Any, path: str) -> list[Any]:
    if not isinstance(value, list | tuple) or shape.element is None:
        raise WrongAnswer(f"{path}: not a list")
    element = shapes[shape.element]
    return [_render(shapes, element, item, f"{path}[]") for item in value]


def _render_map(shapes: Mapping[str, Shape], shape: Shape, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or shape.value is None:
        raise WrongAnswer(f"{path}: not a map")
    element = shapes[shape.value]
    return {name: _render(shapes, element, item, f"{path}.{name}") for name, item in value.items()}


def _render_timestamp(shapes: Mapping[str, Shape], shape: Shape, value: Any, path: str) -> float | str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise WrongAnswer(f"{path}: not a timezone-aware moment")
    if shape.iso8601:
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return round(value.timestamp(), 3)


_RENDERERS: dict[str, Callable[[Mapping[str, Shape], Shape, Any, str], Any]] = {
    "structure": _render_structure,
    "list": _render_list,
    "map": _render_map,
    "timestamp": _render_timestamp,
}
