"""What the vault asks of a key ring: a local file today, a cloud key service behind the same four names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class KeyRingProblem(Exception):
    """The root key is missing, weak, exposed, or not the one this database was sealed under.

    For whoever starts the service: the text says what to do, and may name a path. Never shown to a caller.
    """


class KeyRing(Protocol):
    """Wraps and unwraps small secrets under a root key, bound to a context."""

    @property
    def key_id(self) -> str:
        """Which key wraps now; stable, at most 200 characters, says nothing about the material."""
        ...

    def wrap(self, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Encrypt under the current key. Raises Unavailable when the key cannot be reached."""
        ...

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """Decrypt with whichever of the ring's keys wrapped it.

        Raises SealBroken for another context, an unknown key or a changed byte; Unavailable when the key
        cannot be reached. There is no fallback key.
        """
        ...

    def describe(self) -> str:
        """One line for operators."""
        ...
