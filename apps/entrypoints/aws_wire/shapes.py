"""Checking values against the shapes of the contract, with every problem found in one pass.

AWS clients check presence, types and minimum lengths only; patterns, maxima and enums are the server's work.
Text is taken as it is, never normalised: identifiers, scopes and secrets differ when their bytes differ, and
folding two spellings of a user id together would make two people one (T022).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from apps.core.errors import FieldProblem
from apps.entrypoints.aws_wire.contract import CONTRACT, Shape

MAX_PROBLEMS = 50
_SHOWN_NAME_CHARS = 64

Problems = list[FieldProblem]
Checker = Callable[[Any, str, Problems], None]


@cache
def checker(plane: str, name: str) -> Checker:
    """The check for one shape. It appends what is wrong; the value is good if nothing was appended."""
    shape = CONTRACT.shapes[plane][name]
    return _MAKERS[shape.type](plane, shape)


@cache
def full_match(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """Models leave anchors out but mean whole-text matches, in ASCII classes."""
    return re.compile(pattern, re.ASCII).fullmatch


def required_missing(shape: Shape, given: Any, path: str, problems: Problems) -> None:
    for name in sorted(shape.required):
        if name not in given:
            problems.append(FieldProblem(join(path, name), "is required"))


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def shown(name: str) -> str:
    """A member name from the caller, fit to be repeated in an error: short and printable."""
    return "".join(char if char.isprintable() else "?" for char in name[:_SHOWN_NAME_CHARS])


def _add(problems: Problems, path: str, message: str) -> None:
    if len(problems) < MAX_PROBLEMS:
        problems.append(FieldProblem(path, message))


def _text(plane: str, shape: Shape) -> Checker:
    low, high = shape.minimum, shape.maximum
    match = full_match(shape.pattern) if shape.pattern else None
    enum = frozenset(shape.enum)

    def check(value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, str):
            _add(problems, path, "must be text")
        elif enum and value not in enum:
            _add(problems, path, f"must be one of {', '.join(shape.enum)}")
        elif not enum and low is not None and len(value) < low:
            _add(problems, path, f"must have at least {low} characters")
        elif not enum and high is not None and len(value) > high:
            _add(problems, path, f"must have at most {high} characters")
        elif "\x00" in value or not _encodable(value):
            # Neither PostgreSQL nor UTF-8 can hold these; without this check they would end as a 500.
            _add(problems, path, "holds a character that is not allowed (NUL or half of a surrogate pair)")
        elif match is not None and match(value) is None:
            _add(problems, path, f"must match the pattern {shape.pattern}")

    return check


def _encodable(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole_number(plane: str, shape: Shape) -> Checker:
    low, high = shape.minimum, shape.maximum

    def check(value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            _add(problems, path, "must be a whole number")
        elif (low is not None and value < low) or (high is not None and value > high):
            _add(problems, path, f"must be between {low} and {high}")

    return check


def _flag(plane: str, shape: Shape) -> Checker:
    def check(value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, bool):
            _add(problems, path, "must be true or false")

    return check


def _list(plane: str, shape: Shape) -> Checker:
    assert shape.element is not None
    element = checker(plane, shape.element)

    def check(value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, list):
            _add(problems, path, "must be a list")
        elif _wrong_size(shape, len(value), path, problems):
            return
        else:
            for index, item in enumerate(value):
                element(item, f"{path}[{index}]", problems)

    return check


def _map(plane: str, shape: Shape) -> Checker:
    assert shape.key is not None and shape.value is not None
    key_check, value_check = checker(plane, shape.key), checker(plane, shape.value)

    def check(value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            _add(problems, path, "must be an object of names and values")
        elif _wrong_size(shape, len(value), path, problems):
            return
        else:
            for key, item in value.items():
                place = join(path, shown(key))
                key_check(key, f"{place} (the name)", problems)
                value_check(item, place, problems)

    return check


def _wrong_size(shape: Shape, size: int, path: str, problems: Problems) -> bool:
    if shape.minimum is not None and size < shape.minimum:
        _add(problems, path, f"must have at least {shape.minimum} entries")
        return True
    if shape.maximum is not None and size > shape.maximum:
        _add(problems, path, f"must have at most {shape.maximum} entries")
        return True
    return False


def _structure(plane: str, shape: Shape) -> Checker:
    members = {name: checker(plane, member.shape) for name, member in shape.members.items()}

    def check(value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            _add(problems, path, "must be an object")
            return
        for name, item in value.items():
            member = members.get(name)
            if member is None:
                _add(problems, join(path, shown(name)), UNKNOWN)
            elif item is None:
                _add(problems, join(path, name), "must not be null; leave the member out instead")
            else:
                member(item, join(path, name), problems)
        required_missing(shape, value, path, problems)
        if shape.union and len(value) != 1:
            _add(problems, path, f"must have exactly one of the members {', '.join(shape.members)}")

    return check


UNKNOWN = "is not a member of this request"

_MAKERS: dict[str, Callable[[str, Shape], Checker]] = {
    "string": _text,
    "integer": _whole_number,
    "long": _whole_number,
    "boolean": _flag,
    "list": _list,
    "map": _map,
    "structure": _structure,
}
