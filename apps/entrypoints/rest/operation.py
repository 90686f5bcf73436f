"""What one method of one address does: one command, and the shapes around it.

A resource's module states it with `@operation`; the method itself only makes the command. The route table test, the
OpenAPI document and `endpoint.py` all read this one statement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rest_framework import serializers

from apps.broker.contracts import Command

Given = dict[str, Any]


def _as_it_is(outcome: Any) -> Any:
    return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`body` and `query` are what is taken, `answer` what is given back (None: nothing, 204).

    `repeats`: the call may be repeated as it is and keeps no answer (reads, and tokens, which must not lie about).
    `versioned`: the answer has an ETag; `conditional`: the command takes the version in If-Match as `expect`.
    `located`: where a new thing is, relative to the collection. `shaped` turns the outcome into what `answer` shows.
    `refusals` are the statuses beyond the usual; `example` is one body that works.
    """

    id: str
    commands: tuple[type[Command], ...]
    summary: str
    tag: str
    body: type[serializers.Serializer] | None = None
    query: type[serializers.Serializer] | None = None
    answer: type[serializers.Serializer] | None = None
    status: int = 200
    repeats: bool = False
    versioned: bool = False
    conditional: bool = False
    located: Callable[[Any], str] | None = None
    shaped: Callable[[Any], Any] = _as_it_is
    refusals: tuple[int, ...] = ()
    example: Any = None
    notes: str = ""


def operation(*commands: type[Command], **stated: Any) -> Callable[[Callable[..., Command]], Callable[..., Any]]:
    """State what a view's method does. The method takes what was given and the path, and returns the command."""
    spec = Operation(commands=commands, **{"status": 204 if stated.get("answer") is None else 200, **stated})

    def decorate(make: Callable[..., Command]) -> Callable[..., Any]:
        def method(view: Any, request: Any, **path: Any) -> Any:
            return view.perform(spec, make, path)

        method.operation = spec  # type: ignore[attr-defined]
        method.__doc__ = make.__doc__
        method.__name__ = make.__name__
        return method

    return decorate


class PageQuery(serializers.Serializer):
    """How lists are read: so many at once, and where to go on."""

    limit = serializers.IntegerField(min_value=1, max_value=100, default=50, help_text="How many at most.")
    cursor = serializers.CharField(
        max_length=2048, required=False, help_text="`next_cursor` of the page before, to go on after it."
    )


_pages: dict[type[serializers.Serializer], type[serializers.Serializer]] = {}


def page_of(item: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """The shape of a page of these."""
    if item not in _pages:
        members = {
            "items": item(many=True),
            "next_cursor": serializers.CharField(
                source="cursor", allow_null=True, help_text="Continues the list; null at its end."
            ),
            "__doc__": "A page of a list.",
        }
        _pages[item] = type(f"{item.__name__}Page", (serializers.Serializer,), members)
    return _pages[item]
