"""Method and raw path to operation. Works on the very text whose signature is checked, never on a decoded path.

POST /identities/oauth2/token               every identity operation: a fixed path
GET  /tags/arn%3Aaws%3A…%2Fdefault           a label: one percent-encoded segment
POST /t/acme/identities/oauth2/token        the same with the optional tenant prefix
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from apps.core.errors import Invalid, NotFound
from apps.entrypoints.aws_wire.contract import CONTRACT, Operation

_prefix = re.compile(r"/t/([a-z0-9][a-z0-9-]{0,62})(/.*)").fullmatch


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes.

    Attributes:
        name: the operation's name.
        operation: its contract, None for operations the portal knows by name only.
        slug: the tenant prefix, if there was one. It must agree with the credential; it proves nothing.
        path_params: decoded labels by member name.
    """

    name: str
    operation: Operation | None
    slug: str | None
    path_params: dict[str, str] = field(default_factory=dict)


def split_prefix(raw_path: str) -> tuple[str | None, str]:
    """The tenant slug of `/t/<slug>/…` and the rest; None and the path itself without that prefix."""
    if not raw_path.startswith("/t/"):
        return None, raw_path
    match = _prefix(raw_path)
    if match is None:
        raise _unknown()
    return match[1], match[2]


def route(method: str, raw_path: str) -> Route:
    """Find the operation.

    Args:
        method: as received.
        raw_path: still percent-encoded, without the query.

    Raises:
        NotFound: `unknown_operation`. Nothing of the request is repeated: it may hold anything.
        Invalid: `label_malformed`, a path label that is not UTF-8.
    """
    slug, path = split_prefix(raw_path)
    operation = _FIXED.get((method, path))
    if operation is not None:
        return Route(operation.name, operation, slug)
    for known_method, pattern, name, labelled in _LABELLED:
        if known_method == method and (match := pattern.fullmatch(path)) is not None:
            return Route(name, labelled, slug, {key: _label(key, raw) for key, raw in match.groupdict().items()})
    raise _unknown()


def _unknown() -> NotFound:
    return NotFound(
        "There is no such operation. Check the endpoint URL, the path and the method.", reason="unknown_operation"
    )


def _label(name: str, raw: str) -> str:
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise Invalid.field(name, "is not valid UTF-8", reason="label_malformed") from error


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    text = "".join(f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return re.compile(text)


_FIXED: dict[tuple[str, str], Operation] = {
    (operation.method, operation.path): operation
    for operation in CONTRACT.operations.values()
    if "{" not in operation.path
}
_LABELLED: list[tuple[str, re.Pattern[str], str, Operation | None]] = [
    *(
        (operation.method, _pattern(operation.path), operation.name, operation)
        for operation in CONTRACT.operations.values()
        if "{" in operation.path
    ),
    *((named.method, _pattern(named.path.partition("?")[0]), named.name, None) for named in CONTRACT.named_only),
]
