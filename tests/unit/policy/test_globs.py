"""Patterns: what they match, and when one lies within another."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.policy.globs import matches, within

texts = st.text("ab:/", max_size=8)
globs = st.text("ab:/*?", max_size=6)


@given(globs, texts)
def test_a_pattern_matches_as_its_regular_expression_does(glob, text):
    by_expression = re.fullmatch("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in glob), text) is not None
    assert matches(glob, text) is by_expression


@given(globs, globs, texts)
def test_within_is_never_a_wrong_yes(narrow, wide, text):
    if within(narrow, wide) and matches(narrow, text):
        assert matches(wide, text)


@pytest.mark.parametrize(
    ("narrow", "wide", "yes"),
    [
        ("*", "*", True), ("a", "*", True), ("*", "a", False), ("a?", "a*", True), ("a*", "a?", False),
        ("arn:x/*", "arn:*", True), ("arn:*", "arn:x/*", False), ("a*b*", "a*", True), ("", "", True), ("", "*", True),
    ],
)  # fmt: skip
def test_within_by_example(narrow, wide, yes):
    assert within(narrow, wide) is yes


def test_a_pattern_of_many_stars_is_no_attack():
    began = time.monotonic()
    assert not matches("*a" * 400 + "b", "a" * 1000)
    assert time.monotonic() - began < 5
