"""The request as it was on the wire, for the paths of the contract. How it is found out: `apps.authn.raw_target`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from apps.authn import raw_target
from apps.authn.raw_target import headers
from apps.authn.sigv4 import RawRequest
from apps.entrypoints.aws_wire.contract import CONTRACT

__all__ = ["raw_request", "raw_path", "headers"]

# Longest literal text first: `/runtimes/{id}/versions/` before `/runtimes/{id}/`.
_TEMPLATES = [
    raw_target.template(path)
    for path in sorted(
        {
            *(operation.path for operation in CONTRACT.operations.values()),
            *(named.path.partition("?")[0] for named in CONTRACT.named_only),
        },
        key=lambda path: (-len(re.sub(r"\{\w+\}", "", path)), path),
    )
    if "{" in path
]


def raw_request(environ: Mapping[str, Any], body: bytes) -> RawRequest:
    """The request that a signature is checked against."""
    return raw_target.raw_request(environ, body, _TEMPLATES)


def raw_path(environ: Mapping[str, Any]) -> str:
    """The path of the request target, percent-encoded, without the query."""
    return raw_target.raw_path(environ, _TEMPLATES)
