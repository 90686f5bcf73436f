"""Reading JSON from strangers. Pure.

Python's own parser takes duplicate keys (last one wins), NaN, byte order marks and lone surrogates. Each of these
lets two readers of one document see two different things, or breaks a database column later.
"""

from __future__ import annotations

import json
import math
import re

from apps.core.net.failures import not_json
from apps.core.net.messages import Inbound

MAX_DEPTH = 20
MAX_INT_DIGITS = 20
_STRUCTURE = re.compile(r'\\.|["\[\]{}]', re.DOTALL)
_CONFIG_TYPES = re.compile(r"application/(?:[a-z0-9.\-]+\+)?json", re.ASCII)
# Seen at token endpoints of large vendors (Facebook, some self-written servers). Still parsed just as strictly.
_TOKEN_TYPES = re.compile(r"application/(?:[a-z0-9.\-]+\+)?json|text/(?:json|javascript|plain)", re.ASCII)


class NotStrictJson(ValueError):
    """The text is not one JSON object under our rules. The message is a short word for operators."""


def read_object(answer: Inbound, *, token_endpoint: bool = False) -> dict[str, object]:
    """The one JSON object in an answer.

    Raises UpstreamRefused with reason `upstream_not_json`: the provider has to be fixed, or its address is wrong.
    """
    media_type = (answer.header("Content-Type") or "").partition(";")[0].strip().lower()
    if not (_TOKEN_TYPES if token_endpoint else _CONFIG_TYPES).fullmatch(media_type):
        raise not_json("content type")
    try:
        return parse_object(answer.body)
    except NotStrictJson as problem:
        raise not_json(str(problem)) from None  # the parser's own text may quote the body


def parse_object(body: bytes) -> dict[str, object]:
    """Parse UTF-8 bytes into one object. Raises NotStrictJson."""
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise NotStrictJson("byte order mark")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as bad:
        raise NotStrictJson("not UTF-8") from bad
    _refuse_deep(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_int=_short_int,
            parse_float=_finite,
        )
    except NotStrictJson:
        raise
    except ValueError as bad:
        raise NotStrictJson("syntax") from bad
    if not isinstance(value, dict):
        raise NotStrictJson("not an object")
    _refuse_odd_text(value)
    return value


def _refuse_deep(text: str) -> None:
    # Before parsing: the parser recurses, and ten thousand brackets must not reach it.
    depth = 0
    quoted = False
    for match in _STRUCTURE.finditer(text):
        mark = match.group()
        if mark == '"':
            quoted = not quoted
        elif quoted or mark[0] == "\\":
            continue
        elif mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotStrictJson("nesting")
        else:
            depth -= 1


def _refuse_odd_text(value: object) -> None:
    match value:
        case dict():
            for key, member in value.items():
                _refuse_odd_text(key)
                _refuse_odd_text(member)
        case list():
            for member in value:
                _refuse_odd_text(member)
        case str():
            if "\0" in value:
                raise NotStrictJson("NUL")  # PostgreSQL stores it in neither text nor jsonb
            if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
                raise NotStrictJson("lone surrogate")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrictJson("duplicate member")
    return members


def _no_constant(word: str) -> object:
    raise NotStrictJson("NaN or Infinity")


def _short_int(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_INT_DIGITS:
        raise NotStrictJson("long integer")
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotStrictJson("infinite number")
    return number
