"""Reading a JSON object in exactly one way.

Two parsers that disagree about a document are a hole (RFC 8259 leaves duplicate names open, Python's parser
takes NaN, guesses UTF-16 and keeps the last of two members). What is not plain, unambiguous UTF-8 JSON is
refused (security.md T111, T112).
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from apps.core.errors import Unreadable


class _Ambiguous(ValueError):
    """The document could be read in two ways."""


def read_object(body: bytes) -> dict[str, Any]:
    """The members of a JSON object.

    Raises:
        Unreadable: `malformed_json`, `duplicate_member`, `not_an_object`.
    """
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_single, parse_constant=_no_constant)
    except _Ambiguous as error:
        raise Unreadable(
            "The request body names a member of an object more than once.", reason="duplicate_member"
        ) from error
    except (ValueError, RecursionError) as error:
        # ValueError covers bad UTF-8, bad syntax and numbers of thousands of digits.
        raise Unreadable("The request body is not valid JSON in UTF-8.", reason="malformed_json") from error
    if not isinstance(value, dict):
        raise Unreadable("The request body must be a JSON object.", reason="not_an_object")
    return value


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Ambiguous
    return members


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
