"""The refusals of a token endpoint on which a caller must branch."""

from __future__ import annotations

from apps.core.errors import UpstreamRefused, UpstreamUnavailable


class GrantRefused(UpstreamRefused):
    """The code or refresh token is not, or no longer, good. Only the person can help, by consenting again."""

    def __init__(self, *, reason: str = "invalid_grant", private: str = "") -> None:
        super().__init__(
            "The provider no longer accepts this permission. The user has to give consent again.",
            reason=reason,
            private=private,
        )


class ClientRefused(UpstreamRefused):
    """The provider does not accept us. Only whoever configured the client id and secret can help."""

    def __init__(self, *, reason: str = "invalid_client", private: str = "") -> None:
        super().__init__(
            "The provider does not accept the configured client id and secret. Someone who may configure this "
            "credential provider has to correct them.",
            reason=reason,
            private=private,
        )


class RetryLater(UpstreamUnavailable):
    """The provider is busy or faulty. The request did nothing as far as it says; the same may be tried again."""

    def __init__(self, *, private: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(
            "The provider cannot answer at the moment. Try again later.",
            reason="upstream_busy",
            private=private,
            retry_after_s=retry_after_s,
        )
