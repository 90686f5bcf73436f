"""Serializers that take a document in one way only.

The framework's own fields are lenient: they turn numbers into text and words into booleans, and drop members they do
not know. Two readers of one document could then see two things (security cases T089, T112).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from apps.core.secret import Secret

_moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII).fullmatch


class Strict(serializers.Serializer):
    """Refuses members it does not know."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping):
            # Members of answers only are not members of requests.
            known = {name for name, field in self.fields.items() if not field.read_only}
            unknown = sorted(set(data) - known)
            if unknown:
                raise serializers.ValidationError({name[:100]: ["There is no such member."] for name in unknown[:10]})
        found: dict[str, Any] = super().to_internal_value(data)
        return found


class Text(serializers.CharField):
    """Text as it was sent, in NFC. Never a number; no control characters but those of `multiline`."""

    default_error_messages = {"type": "This must be a text.", "control": "Control characters are not allowed."}

    def __init__(self, *, multiline: bool = False, **options: Any) -> None:
        self.multiline = multiline
        super().__init__(trim_whitespace=False, **{"max_length": 2048, **options})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("type")
        text = unicodedata.normalize("NFC", data)
        kept = "\n\t" if self.multiline else ""
        if any(unicodedata.category(char) == "Cc" and char not in kept for char in text):
            self.fail("control")
        return text


class Name(serializers.RegexField):
    """The name of an agent or a provider."""

    def __init__(self, *, provider: bool = False, **options: Any) -> None:
        regex, low, high = (r"^[A-Za-z0-9_-]+\Z", 1, 128) if provider else (r"^[A-Za-z0-9_.-]+\Z", 3, 255)
        super().__init__(regex, min_length=low, max_length=high, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("This must be a text.")
        found: str = super().to_internal_value(data)
        return found


class Flag(serializers.BooleanField):
    """`true` or `false`, and no word or number for them."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("This must be true or false.")
        return data


class Number(serializers.IntegerField):
    """A whole number; not a text, not `1.0`, not `true`."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            raise serializers.ValidationError("This must be a whole number.")
        found: int = super().to_internal_value(data)
        return found


class Choice(serializers.ChoiceField):
    """One of these words."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("This must be a text.")
        found: str = super().to_internal_value(data)
        return found


class SecretIn(Text):
    """A secret on its way in: wrapped at once, in no error, in no log."""

    def to_internal_value(self, data: Any) -> Secret:  # type: ignore[override]
        if not isinstance(data, str):
            self.fail("type")
        return Secret(data)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if isinstance(data, str) and not data:
            raise serializers.ValidationError("This must not be empty.")
        if isinstance(data, str) and self.max_length is not None and len(data) > self.max_length:
            raise serializers.ValidationError(f"At most {self.max_length} characters.")
        empty, value = self.validate_empty_values(data)
        return value if empty else self.to_internal_value(data)


class SecretOut(serializers.CharField):
    """A secret on its way to its owner: the answer is the only place it is ever shown."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: Secret) -> str:
        return value.reveal()


class Words(serializers.ListField):
    """A list of texts."""

    def __init__(self, *, longest: int = 2048, **options: Any) -> None:
        super().__init__(child=Text(max_length=longest), **{"max_length": 100, **options})

    def to_internal_value(self, data: Any) -> tuple[str, ...]:
        if not isinstance(data, list):
            raise serializers.ValidationError("This must be a list.")
        return tuple(super().to_internal_value(data))


class Pairs(serializers.DictField):
    """Texts by name."""

    def __init__(self, *, most: int = 50, **options: Any) -> None:
        self.most = most
        super().__init__(child=Text(max_length=2048, allow_blank=True), **options)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("This must be an object.")
        if len(data) > self.most:
            raise serializers.ValidationError(f"At most {self.most} members.")
        found: dict[str, str] = super().to_internal_value(data)
        return found


class Moment(serializers.DateTimeField):
    """A moment with its offset (RFC 3339)."""

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str) or _moment(value) is None:
            raise serializers.ValidationError("This must be a moment with its offset, as 2026-01-31T12:00:00Z.")
        return super().to_internal_value(value)
