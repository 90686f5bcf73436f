"""No text in any member of any operation makes the portal stumble: refused in words, or taken as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from apps.entrypoints.aws_wire.contract import CONTRACT
from apps.entrypoints.aws_wire.operations import SUPPORTED
from tests.security.calls import SUCCEEDS
from tests.security.lab import Lab, must

HOSTILE = {
    "NUL": "a\x00b",
    "surrogate": "a\ud800b",
    "quote": "a'b\"c\\d",
    "markup": "<script>alert(1)</script>",
    "template": "{{7*7}}${7*7}%s%(x)s",
    "newline": "a\r\nSet-Cookie: x=1",
    "direction": "a\u202eb",
    "emoji": "🔑",
    "long": "x" * 3000,
}


def places(plane: str, shape: str, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every place of a request where a text stands: member names, `[]` for list items, `{}` for map values."""
    found = CONTRACT.shapes[plane][shape]
    if found.type == "structure" and len(path) < 6:
        for member in found.members.values():
            yield from places(plane, member.shape, (*path, member.name))
    elif found.type == "list" and found.element:
        yield from places(plane, found.element, (*path, "[]"))
    elif found.type == "map" and found.value:
        yield from places(plane, found.value, (*path, "{}"))
    elif found.type == "string" and not found.enum:
        yield path


def put(members: Any, path: tuple[str, ...], text: str) -> Any:
    """A copy of the members with this text in this place."""
    if not path:
        return text
    head, rest = path[0], path[1:]
    if head == "[]":
        return [put(None, rest, text)]
    if head == "{}":
        return {"key": put(None, rest, text)}
    base = dict(members) if isinstance(members, dict) else {}
    return {**base, head: put(base.get(head), rest, text)}


@pytest.mark.case("G2")
@pytest.mark.parametrize("operation", sorted(SUPPORTED))
def test_G2_no_text_anywhere_is_answered_with_a_server_error(request: pytest.FixtureRequest, operation: str) -> None:
    # An update may take the text as it is: not where other tests go on.
    lab: Lab = request.getfixturevalue("own_lab" if operation.startswith("Update") else "lab")
    spec = CONTRACT.operations[operation]
    found = list(places(spec.plane, spec.input.name)) if spec.input else []
    # The vendors' settings are all alike: one of each kind will do.
    found = [
        p for p in found if len(p) < 2 or p[0] != "oauth2ProviderConfigInput" or p[1].startswith(("custom", "git"))
    ]
    members = SUCCEEDS[operation](lab) if found else {}
    for path in found:
        for kind, text in HOSTILE.items():
            try:
                reply = lab.wire.call(operation, put(members, path, text))
            except UnicodeEncodeError:
                continue  # a surrogate cannot even be put into a path
            assert reply.status < 500, (operation, path, kind, reply.body)
    must(lab.wire.call("GetTokenVault"))
