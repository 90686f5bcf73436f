"""The one list of ways a call can be refused. No HTTP status lives here: each entrypoint has its own table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Code(StrEnum):
    """Why a call failed, in the domain's words. Every entrypoint maps exactly these."""

    UNREADABLE = "unreadable"  # the request cannot be parsed
    INVALID = "invalid"  # parsed, but a field is wrong; see PortalError.fields
    UNAUTHENTICATED = "unauthenticated"  # no proof, a bad proof, an ended token: always one and the same answer
    NOT_ALLOWED = "not_allowed"  # proven, but may not
    NOT_FOUND = "not_found"  # absent, or somebody else's: the two are told apart nowhere
    CONFLICT = "conflict"  # the name is taken, or the thing changed meanwhile
    GONE = "gone"  # was there, is over (a used or expired session)
    QUOTA = "quota"  # a limit on how many may exist
    THROTTLED = "throttled"  # too fast; see retry_after_s
    NOT_SUPPORTED = "not_supported"  # an operation or option outside the product
    UPSTREAM_REFUSED = "upstream_refused"  # the provider said no, or answered nonsense
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"  # the provider cannot be reached in time
    SEAL_BROKEN = "seal_broken"  # a stored secret does not open: wrong key, moved row, changed byte
    UNAVAILABLE = "unavailable"  # our own database, key ring or audit trail is not there
    BROKEN = "broken"  # a fault of ours


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong member of a request. `name` is the wire path of the member, `message` says how to fix it."""

    name: str
    message: str


class PortalError(Exception):
    """A refusal with a sentence for the caller and a reason for the audit trail.

    `public` is shown to the caller and never holds internals or secrets. `reason` is a short stable
    word (`alg_not_allowed`) that goes to the audit record only. `private` is free text for operators'
    logs; never a secret either. `retry_after_s` is in seconds.
    """

    code: Code = Code.BROKEN

    def __init__(
        self,
        public: str,
        *,
        reason: str,
        private: str = "",
        code: Code | None = None,
        fields: tuple[FieldProblem, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{reason}: {public}")
        if code is not None:
            self.code = code
        self.public = public
        self.reason = reason
        self.private = private
        self.fields = fields
        self.retry_after_s = retry_after_s


class Unreadable(PortalError):
    code = Code.UNREADABLE


class Invalid(PortalError):
    code = Code.INVALID

    @classmethod
    def field(cls, name: str, message: str, *, reason: str) -> Invalid:
        """One wrong member. The message is both the summary and the member's own."""
        return cls(message, reason=reason, fields=(FieldProblem(name, message),))


class Unauthenticated(PortalError):
    """The public sentence is fixed: an attacker must not learn which part of the proof failed."""

    code = Code.UNAUTHENTICATED
    SENTENCE = "The credential is missing, not valid, or no longer valid."

    def __init__(self, *, reason: str, private: str = "", public: str | None = None) -> None:
        super().__init__(public or self.SENTENCE, reason=reason, private=private)


class NotAllowed(PortalError):
    code = Code.NOT_ALLOWED


class NotFound(PortalError):
    code = Code.NOT_FOUND


class Conflict(PortalError):
    code = Code.CONFLICT


class Gone(PortalError):
    code = Code.GONE


class QuotaExceeded(PortalError):
    code = Code.QUOTA


class Throttled(PortalError):
    code = Code.THROTTLED


class NotSupported(PortalError):
    code = Code.NOT_SUPPORTED


class UpstreamRefused(PortalError):
    code = Code.UPSTREAM_REFUSED


class UpstreamUnavailable(PortalError):
    code = Code.UPSTREAM_UNAVAILABLE


class SealBroken(PortalError):
    code = Code.SEAL_BROKEN


class Unavailable(PortalError):
    code = Code.UNAVAILABLE
