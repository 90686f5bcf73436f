"""What can be wrong with a request to the provider."""

from __future__ import annotations


class OAuthError(Exception):
    """An error of RFC 6749 (or of a later RFC in the same shape) with its HTTP status."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


class Unredirectable(Exception):
    """The client or its redirect URI cannot be trusted, so the person sees the problem and nobody is redirected."""


class RedirectedError(OAuthError):
    """An error that is reported to the client's redirect URI."""

    def __init__(self, error: str, description: str, *, redirect_uri: str, state: str | None) -> None:
        super().__init__(error, description)
        self.redirect_uri = redirect_uri
        self.state = state
