"""A type for values that must never be shown."""

from __future__ import annotations

import hmac
from typing import NoReturn, final


@final
class Secret:
    """A text value that cannot be printed, logged, compared, copied or serialised by accident.

    `reveal()` is the only way to the raw value; every call of it is a line for the security review
    and is limited to the modules listed in `tests/architecture/test_secrets.py`.
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError("a Secret holds text")
        self._value = value

    def reveal(self) -> str:
        """Return the raw text."""
        return self._value

    def same_as(self, other: Secret) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(****)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "Secret(****)"

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("compare secrets with same_as()")

    def __iter__(self) -> NoReturn:
        raise TypeError("a Secret is not a sequence")

    def __copy__(self) -> NoReturn:
        raise TypeError("secrets do not travel; pass a row id instead")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("secrets do not travel; pass a row id instead")

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets do not travel; pass a row id instead")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("secrets do not travel; pass a row id instead")
