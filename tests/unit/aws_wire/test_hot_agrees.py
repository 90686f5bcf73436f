"""The fast decoder says yes exactly where the general one does, and to the same members."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import PortalError
from apps.entrypoints.aws_wire import codec, hot
from apps.entrypoints.aws_wire.contract import CONTRACT, Shape

_odd_text = st.text(max_size=6) | st.sampled_from(["", "\x00", "\ud800", "a" * 300, "é", "\u2028", '"', "\\", "\x7f"])
_odd = st.none() | st.booleans() | st.integers() | st.floats() | _odd_text | st.lists(_odd_text, max_size=2)
_odd |= st.dictionaries(_odd_text, _odd_text, max_size=2)


def _good(plane: str, name: str) -> st.SearchStrategy[Any]:
    shape = CONTRACT.shapes[plane][name]
    if shape.type == "string":
        if shape.enum:
            return st.sampled_from(shape.enum)
        if shape.pattern:
            text = st.from_regex(rf"(?a)\A(?:{shape.pattern})\Z", fullmatch=True)
            return text.filter(lambda value: (shape.minimum or 0) <= len(value) <= (shape.maximum or 1 << 20))
        return st.text(min_size=shape.minimum or 0, max_size=min(shape.maximum or 40, 40))
    if shape.type == "boolean":
        return st.booleans()
    if shape.type == "list":
        return st.lists(_good(plane, shape.element or ""), max_size=3)
    if shape.type == "map":
        return st.dictionaries(_good(plane, shape.key or ""), _good(plane, shape.value or ""), max_size=3)
    return _members(plane, shape, _good)


def _members(plane: str, shape: Shape, make: Any) -> st.SearchStrategy[dict[str, Any]]:
    parts = {name: make(plane, member.shape) for name, member in shape.members.items()}
    if shape.union:
        return st.sampled_from(sorted(parts)).flatmap(lambda name: st.fixed_dictionaries({name: parts[name]}))
    return st.fixed_dictionaries(
        {name: parts[name] for name in sorted(shape.required)},
        optional={name: parts[name] for name in sorted(parts.keys() - shape.required)},
    )


def _dump(draw: st.DrawFn, value: dict[str, Any]) -> bytes:
    try:
        return json.dumps(
            value,
            ensure_ascii=draw(st.booleans()),
            separators=draw(st.sampled_from([(", ", ": "), (",", ":"), (" ,\n", "\t: ")])),
        ).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


@st.composite
def bodies(draw: st.DrawFn, operation: str) -> bytes:
    """Valid requests, valid ones with something wrong in them, and noise."""
    spec = CONTRACT.operations[operation]
    assert spec.input is not None
    value = draw(_members(spec.plane, spec.input, _good))
    what = draw(st.sampled_from(["valid", "valid", "odd", "extra", "without", "twin", "deep", "noise"]))
    if what == "odd":
        value[draw(st.sampled_from(sorted(spec.input.members)))] = draw(_odd)
    elif what == "extra":
        value[draw(st.sampled_from(["userId", "tenant", "", "x\x00"]) | _odd_text)] = draw(_odd)
    elif what == "without" and value:
        del value[draw(st.sampled_from(sorted(value)))]
    elif what == "deep":
        for inner in value.values():
            if isinstance(inner, dict):
                inner[draw(_odd_text | st.sampled_from(["userId", "userToken", "a"]))] = draw(_odd)
    body = _dump(draw, value)
    if what == "twin":
        extra = _dump(draw, {draw(st.sampled_from(sorted(value) or ["x"])): draw(_odd)})
        body = body[:-1] + b"," + extra[1:]
        if draw(st.booleans()):
            body = body.replace(b'"}', b'", "userId": "a"}', 1)
    elif what == "noise" and body:
        place = draw(st.integers(0, len(body) - 1))
        body = body[:place] + bytes([draw(st.integers(0, 255))]) + body[place + draw(st.integers(0, 1)) :]
    return body


def _general(operation: str, body: bytes) -> dict[str, Any] | None:
    try:
        return codec.decode_thoroughly(CONTRACT.operations[operation], body, {}, [])
    except PortalError:
        return None


@pytest.mark.parametrize("operation", hot.HOT)
@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_both_validators_accept_and_refuse_alike(operation: str, data: st.DataObject) -> None:
    body = data.draw(bodies(operation))
    general = _general(operation, body)
    fast = hot.try_decode(operation, body)
    if fast is not None:
        assert fast == general, "the fast way may not accept or read anything differently"
    elif b"\\" not in body:
        assert general is None, "the fast way may give up on escapes only"


@pytest.mark.parametrize("operation", hot.HOT)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_valid_request_is_accepted(operation: str, data: st.DataObject) -> None:
    spec = CONTRACT.operations[operation]
    assert spec.input is not None
    value = data.draw(_members(spec.plane, spec.input, _good))
    if "\\u0000" in json.dumps(value):
        return  # refused on purpose; test_T112 covers it
    assert codec.decode(operation, json.dumps(value).encode(), {}, []) == value


def test_what_boto3_sends_takes_the_fast_way() -> None:
    """Otherwise the speed is only on paper."""
    for operation, body in {
        "GetWorkloadAccessToken": b'{"workloadName": "agent-1"}',
        "GetWorkloadAccessTokenForJWT": b'{"workloadName": "agent-1", "userToken": "a.b.c"}',
        "GetWorkloadAccessTokenForUserId": b'{"workloadName": "agent-1", "userId": "u1"}',
        "GetResourceApiKey": b'{"workloadIdentityToken": "WAT", "resourceCredentialProviderName": "k1"}',
        "GetResourceOauth2Token": b'{"workloadIdentityToken": "WAT", "resourceCredentialProviderName": "gh", '
        b'"scopes": ["repo"], "oauth2Flow": "USER_FEDERATION", "customParameters": {"access_type": "offline"}}',
        "CompleteResourceTokenAuth": b'{"userIdentifier": {"userId": "u1"}, '
        b'"sessionUri": "urn:ietf:params:oauth:request_uri:abc"}',
    }.items():
        assert hot.try_decode(operation, body) == json.loads(body)
