"""A Secret is only seen by whoever asks for it by name."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import pytest

from apps.core.secret import Secret

TEXT = "canary-7f3a"


def test_it_gives_its_text_only_to_reveal() -> None:
    assert Secret(TEXT).reveal() == TEXT
    assert Secret(TEXT)
    assert not Secret("")


@pytest.mark.parametrize(
    "show",
    [str, repr, "{}".format, "{!r:>40}".format, lambda secret: f"{secret}", lambda secret: f"{[secret]} {secret!s}"],
)
def test_no_way_of_printing_shows_it(show: object) -> None:
    assert TEXT not in show(Secret(TEXT))  # type: ignore[operator]


def test_logs_and_errors_do_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("x").warning("value %s %r", Secret(TEXT), {"k": Secret(TEXT)})
    assert TEXT not in caplog.text
    assert TEXT not in str(ValueError(Secret(TEXT)))


@pytest.mark.parametrize(
    "attempt",
    [
        *(pickle.dumps, copy.copy, copy.deepcopy, json.dumps, list, hash, iter),
        lambda one: one == Secret(TEXT),
        lambda one: one == TEXT,
    ],
)
def test_it_does_not_travel_and_is_not_compared_by_accident(attempt: object) -> None:
    with pytest.raises(TypeError):
        attempt(Secret(TEXT))  # type: ignore[operator]


def test_it_has_no_attribute_dictionary() -> None:
    with pytest.raises(AttributeError):
        _ = Secret(TEXT).__dict__
    with pytest.raises(TypeError):
        Secret(b"bytes")  # type: ignore[arg-type]


def test_it_is_compared_in_constant_time_and_by_content() -> None:
    assert Secret("zoë").same_as(Secret("zoë"))
    assert not Secret("a").same_as(Secret("b"))
