"""Permissions of access keys: an operation on resources, under conditions. Pure.

Text form, one grant per line or argument: `ACTION RESOURCE [if OPERATOR KEY VALUE[|VALUE]… [and …]]`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apps.policy import conditions
from apps.policy.conditions import Condition, Context
from apps.policy.globs import matches, within
from apps.policy.permissions import PERMISSION, SERVICE

EVERY = frozenset(PERMISSION.values())


@dataclass(frozen=True, slots=True)
class Grant:
    """`action` and `resource` take `*` and `?`; all conditions have to be met."""

    action: str
    resource: str
    conditions: tuple[Condition, ...] = ()

    def permissions(self) -> frozenset[str]:
        """The operations it is for."""
        return frozenset(name for name in EVERY if matches(self.action, f"{SERVICE}:{name}"))

    def is_for(self, permission: str, arn: str) -> bool:
        return matches(self.action, f"{SERVICE}:{permission}") and matches(self.resource, arn)

    def met(self, context: Context, arn: str) -> bool:
        return all(conditions.holds(one, context, arn) for one in self.conditions)

    def words(self) -> str:
        limits = " and ".join(one.words() for one in self.conditions)
        return f"{self.action} {self.resource}" + (f" if {limits}" if limits else "")


EVERYTHING = Grant("*", "*")


def not_held(wanted: Grant, held: Iterable[Grant]) -> frozenset[str]:
    """The operations of `wanted` that no single held grant covers whole: resources and conditions included.

    Empty: whatever the wanted grant allows, one of the held ones allows too. Never a wrong empty.
    """
    held = tuple(held)
    return frozenset(
        name for name in wanted.permissions() if not any(_covers(one, wanted, f"{SERVICE}:{name}") for one in held)
    )


def _covers(held: Grant, wanted: Grant, action: str) -> bool:
    return (
        matches(held.action, action)
        and within(wanted.resource, held.resource)
        and all(any(conditions.implies(mine, theirs) for mine in wanted.conditions) for theirs in held.conditions)
    )


def problem(grant: Grant) -> str:
    """What is wrong with a grant somebody wants to give, in a sentence; empty when nothing is."""
    known = {f"{SERVICE}:{name}" for name in EVERY}
    plain = "*" not in grant.action and "?" not in grant.action
    if (not grant.action.startswith(f"{SERVICE}:") and grant.action != "*") or (plain and grant.action not in known):
        return f"An action looks like {SERVICE}:GetResourceOauth2Token; * and ? are wildcards."
    if grant.resource != "*" and not grant.resource.startswith("arn:"):
        return "A resource is an ARN pattern or *."
    if len(grant.action) > 100 or len(grant.resource) > 1024:
        return "An action has at most 100 characters, a resource at most 1024."
    seen = [(one.operator, one.key) for one in grant.conditions]
    if len(set(seen)) < len(seen):
        return "Each operator and key stand once in a permission; give several values with |."
    return next((wrong for one in grant.conditions if (wrong := _wrong(one, grant))), "")


def _wrong(one: Condition, grant: Grant) -> str:
    if one.operator not in conditions.OPERATORS:
        return f"{one.operator} is not an operator here. There are {', '.join(conditions.OPERATORS[:6])}."
    if not conditions.is_key(one.key):
        return (
            f"{one.key} is not a condition key here. There are {conditions.USER_ID}, "
            f"{conditions.CLAIM}{{{','.join(conditions.CLAIMS)}}} and {conditions.TAG}NAME."
        )
    if not conditions.can_apply(one.key, grant.permissions()):
        return f"No operation of {grant.action} says anything about {one.key}: the permission could never be used."
    if not one.values or len(one.values) > 100 or any(not v or len(v) > 512 for v in one.values):
        return "A condition has 1 to 100 values of 1 to 512 characters."
    if any("${" in value for value in one.values):
        return "Policy variables (${…}) are not supported in values."
    return ""


def parse(text: str) -> Grant:
    """Read the text form. Raises ValueError with a sentence."""
    head, limited, tail = text.strip().partition(" if ")
    words = head.split()
    if len(words) != 2:
        raise ValueError("A permission has two words, an action and an ARN pattern, and then perhaps its conditions.")
    found = []
    for part in tail.split(" and ") if limited else ():
        pieces = part.split()
        if len(pieces) != 3:
            raise ValueError("A condition has three words: operator, key and values with | between them.")
        found.append(Condition(pieces[0], pieces[1], tuple(pieces[2].split("|"))))
    return Grant(words[0], words[1], tuple(found))
