"""Fixtures of the token verifier's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from apps.core.errors import Code, NotAllowed, Unauthenticated
from tests.unit.jwt import issuing

Refused = Callable[..., None]


@pytest.fixture
def refused() -> Iterator[Refused]:
    """Asserts a refusal: its reason, the one public sentence, no trace. The good token works before and after."""

    def assert_refused(text: str, *reasons: str, **how: object) -> None:
        with pytest.raises(Unauthenticated) as caught:
            issuing.check(text, **how)  # type: ignore[arg-type]
        assert caught.value.reason in reasons
        assert caught.value.public == Unauthenticated.SENTENCE
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None

    assert issuing.check(issuing.token()).subject == "alice"
    yield assert_refused
    assert issuing.check(issuing.token()).subject == "alice"


@pytest.fixture
def forbidden() -> Iterator[Refused]:
    """Asserts that a proven token is not allowed (403), with its reason."""

    def assert_forbidden(text: str, reason: str, **how: object) -> None:
        with pytest.raises(NotAllowed) as caught:
            issuing.check(text, **how)  # type: ignore[arg-type]
        assert (caught.value.code, caught.value.reason) == (Code.NOT_ALLOWED, reason)

    assert issuing.check(issuing.token()).subject == "alice"
    yield assert_forbidden
    assert issuing.check(issuing.token()).subject == "alice"
