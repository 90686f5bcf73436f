"""Reading what a provider sent the browser back with: RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207.

Nothing is looked up here: the caller finds the flow by `state`, in the provider's own callback, first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.errors import Invalid
from apps.core.secret import Secret

_ONCE = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})
# Tokens in a query are an implicit-flow answer nobody asked for; they are in the browser's history already.
_NEVER = frozenset({"access_token", "id_token", "refresh_token", "token_type", "expires_in"})
_MOST_PARAMETERS = 50
_LONGEST_CODE = 8192
_LONGEST_VALUE = 16_384
_LONGEST_DESCRIPTION = 200
_ERROR_CODE = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,80}")
_SENTENCE = "The answer of the provider is not valid. Start again from your agent."


@dataclass(frozen=True, slots=True)
class CallbackCode:
    """Consent was given. The code is good once."""

    code: Secret
    state: str | None


@dataclass(frozen=True, slots=True)
class CallbackError:
    """The provider says no.

    `error` is its code if well-formed, else `unknown_error`. `description` is the provider's text without control
    characters, at most 200 characters: untrusted, to be escaped where shown, and never to be made a link.
    """

    error: str
    description: str
    state: str | None

    @property
    def denied(self) -> bool:
        """Did the person decline, rather than something fail?"""
        return self.error in ("access_denied", "consent_required", "interaction_required", "login_required")


def read_callback(
    query: Sequence[tuple[str, str]], expected_issuer: str | None, iss_required: bool
) -> CallbackCode | CallbackError:
    """Read the query of a callback, every pair in order, blank values included.

    `expected_issuer` is the issuer of the provider whose callback address was called; None where it is not known.
    `iss_required` is its `authorization_response_iss_parameter_supported`. An `iss` that is present has to be right
    even if the provider never announced it (RFC 9207 section 2.4), in error answers too.

    Raises Invalid with reason `malformed_callback` or `iss_mismatch`. The page shows its sentence; nothing was sent.
    """
    if len(query) > _MOST_PARAMETERS:
        raise _malformed("too many parameters")
    found: dict[str, str] = {}
    for name, value in query:
        if name in _NEVER:
            raise _malformed(f"{name} in the query")
        if name not in _ONCE:
            continue
        if name in found:
            # Two readers, two values: the classic way to have one part check what another does not use.
            raise _malformed(f"{name} twice")
        if len(value) > _LONGEST_VALUE:
            raise _malformed(f"{name} too long")
        found[name] = value
    _check_issuer(found.get("iss"), expected_issuer, iss_required)
    state = found.get("state")
    if "code" in found and "error" in found:
        raise _malformed("code and error")
    if "error" in found:
        return CallbackError(_error_code(found["error"]), _clean(found.get("error_description", "")), state)
    code = found.get("code", "")
    if not code or len(code) > _LONGEST_CODE or not code.isascii() or not code.isprintable():
        raise _malformed("no usable code")
    return CallbackCode(Secret(code), state)


def _check_issuer(iss: str | None, expected: str | None, required: bool) -> None:
    if iss is None:
        wrong = required
    elif expected is None:
        wrong = False  # nothing to compare with; the callback address is this provider's own
    else:
        wrong = iss != expected
    if wrong:
        raise Invalid(
            "The answer came from another authorization server than the one asked. Start again from your agent.",
            reason="iss_mismatch",
            private="iss missing" if iss is None else "iss differs",
        )


def _error_code(text: str) -> str:
    return text if _ERROR_CODE.fullmatch(text) else "unknown_error"


def _clean(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text).strip()[:_LONGEST_DESCRIPTION]


def _malformed(private: str) -> Invalid:
    return Invalid(_SENTENCE, reason="malformed_callback", private=private)
