"""The service description, read once from `contract.json` into typed values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a structure. `location` says where it travels: body, uri or querystring."""

    name: str
    shape: str
    location: str
    wire_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A type of the wire with its constraints. Lengths are characters, sizes are elements, both inclusive.

    `iso8601`: a timestamp that travels as text; all others are seconds since 1970.
    """

    name: str
    type: str
    minimum: int | None
    maximum: int | None
    pattern: str | None
    enum: tuple[str, ...]
    required: frozenset[str]
    union: bool
    sensitive: bool
    element: str | None
    key: str | None
    value: str | None
    iso8601: bool
    members: Mapping[str, Member]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call of the API. `errors` are the exceptions its model names; clients know no others for it."""

    name: str
    plane: str
    method: str
    path: str
    status: int
    input: Shape | None
    output: Shape | None
    errors: frozenset[str]
    tolerated: frozenset[str]


@dataclass(frozen=True, slots=True)
class NamedOperation:
    """An operation of the same services that the portal knows by name only."""

    name: str
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Contract:
    operations: Mapping[str, Operation]
    named_only: tuple[NamedOperation, ...]
    error_status: Mapping[str, int]
    shapes: Mapping[str, Mapping[str, Shape]]


def _shape(name: str, raw: Mapping[str, Any]) -> Shape:
    members = {
        member: Member(member, spec["shape"], spec.get("location", "body"), spec.get("locationName", member))
        for member, spec in raw.get("members", {}).items()
    }
    return Shape(
        name=name,
        type=raw["type"],
        minimum=raw.get("min"),
        maximum=raw.get("max"),
        pattern=raw.get("pattern"),
        enum=tuple(raw.get("enum", ())),
        required=frozenset(raw.get("required", ())),
        union=raw.get("union", False),
        sensitive=raw.get("sensitive", False),
        element=raw.get("member"),
        key=raw.get("key"),
        value=raw.get("value"),
        iso8601=raw.get("timestampFormat") == "iso8601",
        members=members,
    )


def load(path: Path) -> Contract:
    """Read a contract file. A missing or broken file is a broken installation and raises as it comes."""
    raw = json.loads(path.read_text())
    shapes = {
        plane: {name: _shape(name, spec) for name, spec in found.items()} for plane, found in raw["shapes"].items()
    }
    operations = {
        name: Operation(
            name=name,
            plane=spec["plane"],
            method=spec["method"],
            path=spec["path"],
            status=spec["status"],
            input=shapes[spec["plane"]][spec["input"]] if spec["input"] else None,
            output=shapes[spec["plane"]][spec["output"]] if spec["output"] else None,
            errors=frozenset(spec["errors"]),
            tolerated=frozenset(spec["tolerated"]),
        )
        for name, spec in raw["operations"].items()
    }
    named = tuple(NamedOperation(entry["name"], entry["method"], entry["path"]) for entry in raw["named_only"])
    return Contract(operations, named, raw["errors"], shapes)


CONTRACT: Final = load(Path(__file__).with_name("contract.json"))
