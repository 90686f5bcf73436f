"""Conditions of a grant, in the words of AWS policies: operator, key, values. Pure.

What is not known here never holds: an operator, a key, a shape that somebody put into the table by hand. A key the
request says nothing about satisfies no condition either, a negated one included (AWS lets `StringNotEquals` hold then);
absent equals nothing, and differs from nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.policy.globs import matches, within

USER_ID = "bedrock-agentcore:userid"
CLAIM = "bedrock-agentcore:InboundJwtClaim/"
CLAIMS = ("iss", "sub", "aud", "scope", "client_id")
TAG = "aws:ResourceTag/"

_FOR_JWT = frozenset({"GetWorkloadAccessTokenForJWT", "CompleteResourceTokenAuth"})
_FOR_USER_ID = frozenset({"GetWorkloadAccessTokenForUserId", "CompleteResourceTokenAuth"})

# operator -> (does one value fit one wanted value, negated)
_OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (lambda want, got: want == got, False),
    "StringNotEquals": (lambda want, got: want == got, True),
    "StringEqualsIgnoreCase": (lambda want, got: want.casefold() == got.casefold(), False),
    "StringNotEqualsIgnoreCase": (lambda want, got: want.casefold() == got.casefold(), True),
    "StringLike": (matches, False),
    "StringNotLike": (matches, True),
}
_QUANTIFIERS = ("ForAnyValue", "ForAllValues")
OPERATORS = (*_OPERATORS, *(f"{q}:{name}" for q in _QUANTIFIERS for name in _OPERATORS))


@dataclass(frozen=True, slots=True)
class Condition:
    operator: str
    key: str
    values: tuple[str, ...]

    def words(self) -> str:
        return f"{self.operator} {self.key} {'|'.join(self.values)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What conditions can look at. `request`: condition key -> values, proven ones only. `tags`: by ARN."""

    request: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def values(self, key: str, arn: str) -> tuple[str, ...]:
        if key.startswith(TAG):
            tagged = self.tags.get(arn, {}).get(key.removeprefix(TAG))
            return (tagged,) if tagged is not None else ()
        return self.request.get(key, ())


NOTHING_KNOWN = Context()


def is_key(key: str) -> bool:
    """One of the condition keys there are."""
    if key.startswith(TAG):
        return len(key) > len(TAG)
    return key == USER_ID or (key.startswith(CLAIM) and key.removeprefix(CLAIM) in CLAIMS)


def can_apply(key: str, permissions: frozenset[str]) -> bool:
    """Is there a permission among these whose calls ever say something about the key?"""
    if key.startswith(TAG):
        return bool(permissions)
    return bool(permissions & (_FOR_USER_ID if key == USER_ID else _FOR_JWT))


def holds(condition: Condition, context: Context, arn: str) -> bool:
    """Does the request meet the condition?

    Of several values (audiences, scopes) a plain operator wants one that fits, a negated one that none does.
    `ForAnyValue:` and `ForAllValues:` say it explicitly.
    """
    quantifier, name = _split(condition.operator)
    known = _OPERATORS.get(name)
    got = context.values(condition.key, arn)
    if known is None or quantifier not in ("", *_QUANTIFIERS) or not is_key(condition.key) or not got:
        return False
    fits, negated = known
    each = [any(fits(want, value) for want in condition.values) is not negated for value in got]
    every = quantifier == "ForAllValues" or (quantifier == "" and negated)
    return all(each) if every else any(each)


def implies(narrow: Condition, wide: Condition) -> bool:
    """Does meeting `narrow` always mean meeting `wide`? Never a wrong yes."""
    if (narrow.operator, narrow.key) != (wide.operator, wide.key):
        return False
    _, name = _split(narrow.operator)
    negated = _OPERATORS[name][1] if name in _OPERATORS else False
    fewer, more = (wide.values, narrow.values) if negated else (narrow.values, wide.values)
    if name == "StringLike":
        return all(any(within(value, other) for other in more) for value in fewer)
    return set(fewer) <= set(more)


def read(stored: Any) -> tuple[Condition, ...]:
    """Conditions as they are stored, `{operator: {key: [values]}}`. What cannot be read can never be met."""
    never = (Condition("", "", ()),)
    if stored is None:
        return ()
    if not isinstance(stored, dict) or not stored:
        return never
    found = []
    for operator, keys in stored.items():
        if not isinstance(keys, dict) or not keys:
            return never
        for key, values in keys.items():
            if not isinstance(values, list) or not values or not all(isinstance(v, str) for v in values):
                return never
            found.append(Condition(operator, key, tuple(values)))
    return tuple(found)


def stored(conditions: tuple[Condition, ...]) -> dict[str, dict[str, list[str]]] | None:
    """As `read` wants it. One operator and key said twice would be two conditions in one place: merged nowhere."""
    out: dict[str, dict[str, list[str]]] = {}
    for one in conditions:
        out.setdefault(one.operator, {})[one.key] = list(one.values)
    return out or None


def _split(operator: str) -> tuple[str, str]:
    quantifier, colon, name = operator.partition(":")
    return (quantifier, name) if colon else ("", operator)
