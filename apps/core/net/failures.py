"""The sentences for everything that can go wrong on the way out, in one place.

None of them repeats a word of what the other side sent: it may hold a token, or be written to mislead.
"""

from __future__ import annotations

from apps.core.errors import UpstreamRefused, UpstreamUnavailable


class NoAnswer(UpstreamUnavailable):
    """No complete answer arrived.

    `request_sent` tells whether bytes of the request may have reached the provider. If so its effect there is
    unknown: a refresh token may have been used up although we never saw the new one.
    """

    def __init__(self, public: str, *, reason: str, private: str = "", request_sent: bool = False) -> None:
        super().__init__(public, reason=reason, private=private)
        self.request_sent = request_sent


def timed_out(*, request_sent: bool, private: str = "") -> NoAnswer:
    return NoAnswer(
        "The provider did not answer in time. Try again later.",
        reason="upstream_timeout",
        private=private,
        request_sent=request_sent,
    )


def unreachable(*, request_sent: bool, private: str = "") -> NoAnswer:
    return NoAnswer(
        "The provider cannot be reached. Check that its address is right and that it is running, then try again.",
        reason="upstream_unreachable",
        private=private,
        request_sent=request_sent,
    )


def name_unknown(*, private: str = "") -> NoAnswer:
    return NoAnswer(
        "The provider's host name cannot be found. Check its spelling in the provider's settings.",
        reason="upstream_name_unknown",
        private=private,
    )


def tls_failed(*, request_sent: bool, private: str = "") -> NoAnswer:
    return NoAnswer(
        "The provider's TLS certificate could not be verified. It must offer TLS 1.2 or newer and a complete "
        "chain to a trusted authority; an operator can add a private authority to the portal.",
        reason="tls_error",
        private=private,
        request_sent=request_sent,
    )


def redirected() -> UpstreamRefused:
    return UpstreamRefused(
        "The provider answered with a redirect, which is never followed. Configure the final address.",
        reason="upstream_redirect",
    )


def too_large(private: str) -> UpstreamRefused:
    return UpstreamRefused(
        "The provider's answer is larger than allowed. Check that the address is the right endpoint.",
        reason="upstream_too_large",
        private=private,
    )


def encoded(private: str) -> UpstreamRefused:
    return UpstreamRefused(
        "The provider's answer is compressed or encoded although plain was asked for. Turn that off at the provider.",
        reason="upstream_encoding",
        private=private,
    )


def malformed_http(private: str) -> UpstreamRefused:
    return UpstreamRefused(
        "The provider's answer is not valid HTTP. Check that the address is the right endpoint.",
        reason="upstream_malformed",
        private=private,
    )


def not_json(private: str) -> UpstreamRefused:
    return UpstreamRefused(
        "The provider's answer is not the JSON object that was expected. Check that the address is the right endpoint.",
        reason="upstream_not_json",
        private=private,
    )


def wrong_status(status: int) -> UpstreamRefused:
    return UpstreamRefused(
        f"The provider answered with HTTP status {status}. Check that the address is the right endpoint.",
        reason="upstream_status",
    )


def busy(status: int) -> UpstreamUnavailable:
    return UpstreamUnavailable(
        f"The provider is busy or faulty (HTTP status {status}). Try again later.", reason="upstream_busy"
    )
