"""JSON as an attacker must not bend it: no duplicate members, no NaN, no endless numbers, no deep nesting."""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

MAX_DEPTH = 20
_MAX_DIGITS = 20
_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*+"')


def loads(raw: bytes) -> object:
    """Parse UTF-8 JSON. Raises ValueError for anything two parsers could understand differently (RFC 8259 4, 8)."""
    text = raw.decode("utf-8")
    _refuse_depth(text)
    value: object = _decoder.decode(text)
    if "\\u" in text:
        # Half a surrogate pair is no character; it would only fail later, in the database driver.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _refuse_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for mark in re.findall(r"[\[\]{}]", _TEXTS.sub("", text)):
        depth += 1 if mark in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member appears twice")
    return members


def _int(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("a number is too long")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_int, parse_float=_float, parse_constant=_constant, strict=True
)
