"""The body of an authorize call, read strictly."""

from __future__ import annotations

from typing import Annotated

import msgspec

from apps.authn.jwt import strict_json
from apps.authn.sigv4 import RawRequest
from apps.broker.inbound import contracts as c
from apps.core.errors import Invalid, Unreadable
from apps.core.secret import Secret

MAX_BODY_BYTES = 64 * 1024
_Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Text = Annotated[str, msgspec.Meta(max_length=16 * 1024)]


class SignedRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A request signed with SigV4, as the asking gateway received it; it keeps the body and gives its hash."""

    method: Annotated[str, msgspec.Meta(pattern="^[A-Z]{1,20}$")]
    path: _Text
    headers: Annotated[list[tuple[_Text, _Text]], msgspec.Meta(max_length=200)]
    body_sha256: _Hash
    query: _Text = ""


class Question(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Exactly one of `authorization` (all values of that header), `token` (bare) and `sigv4`, or none of them."""

    agent: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)] | None = None
    authorization: Annotated[list[_Text], msgspec.Meta(max_length=20)] | None = None
    token: _Text | None = None
    sigv4: SignedRequest | None = None
    user_id: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    workload_token: bool = False


def read(raw: bytes) -> c.AuthorizeInvocation:
    """Raises Unreadable for what is no JSON, Invalid for what is not this question."""
    try:
        value = strict_json.loads(raw)
    except (ValueError, RecursionError):
        raise Unreadable("The body must be one JSON object.", reason="body_not_json") from None
    try:
        question = msgspec.convert(value, Question)
    except msgspec.ValidationError as wrong:
        # msgspec names the type and the place, never the value.
        raise Invalid(f"The body is not a question: {wrong}.", reason="body_invalid") from None
    given = [one for one in (question.authorization, question.token, question.sigv4) if one is not None]
    if len(given) > 1:
        raise Invalid("Give one of authorization, token and sigv4.", reason="body_invalid")
    values = question.authorization or []
    if question.token is not None:
        values = [f"Bearer {question.token}"]
    return c.AuthorizeInvocation(
        agent=question.agent,
        presented=c.Presented(
            authorization=tuple(Secret(value) for value in values),
            signed=_signed(question.sigv4),
            user_id=question.user_id,
        ),
        mint=question.workload_token,
    )


def _signed(request: SignedRequest | None) -> RawRequest | None:
    if request is None:
        return None
    return RawRequest(
        method=request.method,
        raw_path=request.path,
        raw_query=request.query,
        headers=[(name.lower(), value) for name, value in request.headers],
        body=b"",
        body_sha256=request.body_sha256,
    )
