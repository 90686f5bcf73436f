"""The one error of this package."""

from __future__ import annotations


class EmbeddedError(RuntimeError):
    """An embedded server cannot be prepared, started or stopped.

    The text is for the operator, who can act on it; it never holds a password.
    """
