"""What a caller may add to a request, and what only we decide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from apps.core.errors import Invalid
from apps.upstream.protocol.types import Dialect, Field

_MOST = 50
_LONGEST = 2048
_NAME = re.compile(r"[A-Za-z0-9._~\-]{1,64}")
_VALUE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")

# A caller who could set one of these could redirect the code, weaken the proof, or reach past the scope policy.
RESERVED = frozenset(
    {
        "access_token",
        "actor_token",
        "actor_token_type",
        "assertion",
        "audience",
        "authorization_details",
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_secret",
        "code",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "error",
        "grant_type",
        "id_token",
        "iss",
        "nonce",
        "password",
        "redirect_uri",
        "refresh_token",
        "registration",
        "request",
        "request_uri",
        "resource",
        "response_mode",
        "response_type",
        "state",
        "subject_token",
        "token",
        "username",
    }
)


def is_reserved(name: str) -> bool:
    """Ours to set, however it is spelt.

    Compared without case, and with dots and dashes as underscores: PHP reads `redirect.uri` as `redirect_uri`,
    and several frameworks ignore case. Every name with "scope" in it carries scopes at one vendor or another
    (`user_scope`, `optional_scope`, `include_granted_scopes`), so all of them are.
    """
    plain = re.sub(r"[.\-~]", "_", name.lower())
    return plain in RESERVED or "scope" in plain


def custom_fields(custom: Mapping[str, str] | None) -> list[Field]:
    """The caller's additional parameters, checked.

    Raises Invalid with reason `reserved_parameter`, or `parameter_invalid` for a name or value that cannot be sent.
    """
    if not custom:
        return []
    if len(custom) > _MOST:
        raise Invalid.field(
            "custom_parameters", f"At most {_MOST} parameters can be added.", reason="parameter_invalid"
        )
    for name, value in custom.items():
        if not _NAME.fullmatch(name) or len(value) > _LONGEST or not _VALUE.fullmatch(value):
            raise Invalid.field(
                "custom_parameters",
                "A parameter name has 1 to 64 letters, digits, dots, dashes or underscores, and a value at most "
                f"{_LONGEST} characters without control characters.",
                reason="parameter_invalid",
            )
        silent = name.lower() == "prompt" and "none" in value.lower().split()
        if is_reserved(name) or silent:
            shown = "prompt=none" if silent else name
            raise Invalid.field(
                "custom_parameters",
                f"The parameter {shown} is set by the portal and cannot be given by the caller. Remove it.",
                reason="reserved_parameter",
            )
    return list(custom.items())


def check_scopes(scopes: Iterable[str], dialect: Dialect) -> tuple[str, ...]:
    """The scopes in order, each once, each one scope (RFC 6749 section 3.3).

    A scope that holds a character at which the provider splits would arrive there as two, one of which no policy
    has seen. Raises Invalid with reason `scope_invalid`.
    """
    found = tuple(dict.fromkeys(scopes))
    separators = {dialect.scope_separator, *dialect.granted_separators}
    for scope in found:
        if not _SCOPE.fullmatch(scope) or any(separator in scope for separator in separators):
            raise Invalid.field(
                "scopes",
                "Each scope is one word of printable ASCII without blanks, quotes, backslashes or the separator "
                "of this provider.",
                reason="scope_invalid",
            )
    return found


def targets(resources: Iterable[str], audiences: Iterable[str]) -> list[Field]:
    """`resource` (RFC 8707) and `audience` parameters, each as often as it has values."""
    return [*(("resource", value) for value in resources), *(("audience", value) for value in audiences)]
