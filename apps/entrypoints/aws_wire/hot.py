"""The fast way in for the calls agents make all day: one compiled pass from bytes to checked values.

The structs are made from the contract, so they cannot drift from the general check in `shapes.py`. This pass
only ever says yes. Whatever it does not accept, or cannot be sure about, goes through the general check, which
has the last word and writes the error; a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from apps.entrypoints.aws_wire.contract import CONTRACT, Operation, Shape

HOT = (
    "GetWorkloadAccessToken",
    "GetWorkloadAccessTokenForJWT",
    "GetWorkloadAccessTokenForUserId",
    "GetResourceOauth2Token",
    "GetResourceApiKey",
    "CompleteResourceTokenAuth",
)


def try_decode(operation: str, body: bytes) -> dict[str, Any] | None:
    """The checked members, or None: not a hot call, not valid, or in need of a closer look."""
    decoder = _DECODERS.get(operation)
    if decoder is None or b"\\" in body:
        # An escape may hide a NUL, half a surrogate pair or a quote, which the count below relies on.
        return None
    try:
        members = _members(decoder(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    # msgspec keeps the last of two equal names. Without escapes every quote begins or ends a text, so a name
    # that was sent twice shows as two quotes too many.
    if members is None or body.count(b'"') != 2 * _texts(members):
        return None
    for name in CONTRACT.operations[operation].tolerated:
        members.pop(name, None)
    return members


def _members(struct: msgspec.Struct) -> dict[str, Any] | None:
    """A struct as a dict of what was sent; None if a union in it has not exactly one member."""
    members: dict[str, Any] = {}
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if value is msgspec.UNSET:
            continue
        if isinstance(value, msgspec.Struct):
            value = _members(value)
            if value is None:
                return None
        members[name] = value
    if type(struct).__name__ in _UNIONS and len(members) != 1:
        return None
    return members


def _texts(value: Any) -> int:
    """How many texts a document has, member names included."""
    if isinstance(value, str):
        return 1
    if isinstance(value, dict):
        return len(value) + sum(map(_texts, value.values()))
    if isinstance(value, list):
        return sum(map(_texts, value))
    return 0


_UNIONS: set[str] = set()


def _type_of(shapes: Mapping[str, Shape], name: str) -> Any:
    shape = shapes[name]
    if shape.type == "string":
        if shape.enum:
            return Literal[shape.enum]
        # msgspec searches, the contract means the whole text, in ASCII classes.
        pattern = rf"(?a)\A(?:{shape.pattern})\Z" if shape.pattern else None
        return Annotated[str, msgspec.Meta(min_length=shape.minimum, max_length=shape.maximum, pattern=pattern)]
    if shape.type == "boolean":
        return bool
    size = msgspec.Meta(min_length=shape.minimum, max_length=shape.maximum)
    if shape.type == "list":
        assert shape.element is not None
        return Annotated[list[_type_of(shapes, shape.element)], size]  # type: ignore[misc]
    if shape.type == "map":
        assert shape.key is not None and shape.value is not None
        return Annotated[dict[_type_of(shapes, shape.key), _type_of(shapes, shape.value)], size]  # type: ignore[misc]
    if shape.type == "structure":
        return _struct(shapes, shape, frozenset())
    raise TypeError(f"no fast type for {shape.type}")


def _struct(shapes: Mapping[str, Shape], shape: Shape, tolerated: frozenset[str]) -> type[msgspec.Struct]:
    required = [(name, _type_of(shapes, shape.members[name].shape)) for name in sorted(shape.required)]
    optional = [
        (name, _type_of(shapes, member.shape) | msgspec.UnsetType, msgspec.UNSET)
        for name, member in shape.members.items()
        if name not in shape.required
    ]
    ignored = [(name, str | msgspec.UnsetType, msgspec.UNSET) for name in sorted(tolerated)]
    if shape.union:
        _UNIONS.add(shape.name)
    return msgspec.defstruct(shape.name, [*required, *optional, *ignored], forbid_unknown_fields=True, kw_only=True)


def _decoder(operation: Operation) -> Callable[[bytes], msgspec.Struct]:
    assert operation.input is not None
    struct = _struct(CONTRACT.shapes[operation.plane], operation.input, operation.tolerated)
    return msgspec.json.Decoder(struct).decode


_DECODERS: dict[str, Callable[[bytes], msgspec.Struct]] = {name: _decoder(CONTRACT.operations[name]) for name in HOT}
