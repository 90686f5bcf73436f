"""Reading the answer of a token endpoint: RFC 6749 sections 5.1 and 5.2, and what real servers send instead.

Nothing of the answer goes into an error: not the body, not `error_description`. Both have held tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from apps.core.errors import PortalError, UpstreamRefused
from apps.core.net.strict_json import read_object
from apps.core.secret import Secret
from apps.upstream.protocol.errors import ClientRefused, GrantRefused, RetryLater
from apps.upstream.protocol.types import STANDARD, Dialect, ErrorKind, Inbound, TokenSet

_LONGEST_TOKEN = 32_768
_LONGEST_LIFETIME_S = 10 * 365 * 86_400
_LONGEST_PAUSE_S = 3600
_TOKEN = re.compile(r"[\x21-\x7e]+")
_DIGITS = re.compile(r"[0-9]{1,20}")
_ERROR_CODE = re.compile(r"[A-Za-z0-9_.\- ]{1,60}")
_ALWAYS_KEPT = ("token_type", "refresh_token_expires_in", "issued_token_type")
_LONGEST_TEXT = 512

# RFC 6749 section 5.2, OpenID Connect Core section 3.1.2.6, and 4.1.2.1 for servers that reuse those here.
_KINDS: Mapping[str, ErrorKind] = {
    "invalid_grant": "grant",
    "interaction_required": "grant",
    "login_required": "grant",
    "consent_required": "grant",
    "access_denied": "grant",
    "invalid_client": "client",
    "unauthorized_client": "client",
    "temporarily_unavailable": "retry",
    "server_error": "retry",
    "slow_down": "retry",
}


def read(reply: Inbound, *, asked_at: datetime, dialect: Dialect = STANDARD) -> TokenSet:
    """Read the answer to any token request.

    `asked_at` is when the request left, in UTC. `expires_in` (seconds) counts from there, so that a slow answer
    shortens the token's life instead of stretching it. A number, or a string of digits, is taken; more than ten
    years becomes ten years; missing, zero or less means the provider's documented default if the catalogue has
    one, else unknown.

    Raises GrantRefused: the user has to consent again. ClientRefused: an administrator has to act. RetryLater: 429,
    5xx, or the provider says so. UpstreamRefused (`token_error`, `token_response_malformed`,
    `token_type_not_supported`, `upstream_not_json`, `upstream_status`): the provider has to be fixed.
    """
    if reply.status == 429 or reply.status >= 500:
        # Whatever the body says: a server in trouble must not end a connection with an "invalid_grant".
        raise RetryLater(private=f"status {reply.status}", retry_after_s=retry_after_s(reply))
    fields = _members(reply)
    _refuse_error(reply, fields, dialect)
    where = _holder(fields, dialect)
    return TokenSet(
        access_token=_token(where, "access_token"),
        refresh_token=_optional_token(where, "refresh_token"),
        expires_at=_ends_at(asked_at, where.get("expires_in"), dialect),
        granted_scopes=_scopes(where, dialect),
        id_token=_optional_token(where, "id_token"),
        metadata=_metadata(fields, where, dialect),
    )


def retry_after_s(reply: Inbound) -> float | None:
    """The pause the provider asks for, in seconds, at most an hour; None if it asks for none we understand."""
    text = (reply.header("Retry-After") or "").strip()
    return float(min(int(text), _LONGEST_PAUSE_S)) if _DIGITS.fullmatch(text) else None


def _members(reply: Inbound) -> dict[str, object]:
    try:
        return read_object(reply, token_endpoint=True)
    except UpstreamRefused:
        if reply.status == 401:
            # Servers that check the client before anything else often answer with a bare 401.
            raise ClientRefused(private="401 without JSON") from None
        raise


def _refuse_error(reply: Inbound, fields: Mapping[str, object], dialect: Dialect) -> None:
    # An error in a 200 is an error (GitHub, Slack): what counts is the body.
    said_no = dialect.ok_member is not None and fields.get(dialect.ok_member) is not True
    code = _error_code(fields.get("error"))
    if code is None and not said_no and reply.status in (200, 201):
        return
    private = f"status {reply.status}, error {code or 'unnamed'}"
    kind = dialect.error_words.get(code or "") or _KINDS.get(code or "", "refused")
    if kind == "refused" and reply.status == 401:
        kind = "client"
    raise _refusal(kind, private, reply)


def _refusal(kind: ErrorKind, private: str, reply: Inbound) -> PortalError:
    match kind:
        case "grant":
            return GrantRefused(private=private)
        case "client":
            return ClientRefused(private=private)
        case "retry":
            return RetryLater(private=private, retry_after_s=retry_after_s(reply))
        case "refused":
            return UpstreamRefused(
                "The provider refused the token request. Check the scopes and the settings of the credential provider.",
                reason="token_error",
                private=private,
            )


def _error_code(value: object) -> str | None:
    """The error code if there is any error; `malformed` for one that is not a plain word."""
    if isinstance(value, dict):  # Facebook: {"error": {"type": "OAuthException", "code": 190, ...}}
        inner = value.get("code", value.get("type"))
        value = str(inner) if isinstance(inner, int | str) else "malformed"
    if value is None or value is False or value == "":
        return None
    return value if isinstance(value, str) and _ERROR_CODE.fullmatch(value) else "malformed"


def _holder(fields: dict[str, object], dialect: Dialect) -> Mapping[str, object]:
    for path in dialect.token_paths:
        at: object = fields
        for name in path:
            at = at.get(name) if isinstance(at, dict) else None
        if isinstance(at, dict) and "access_token" in at:
            _check_type(at.get("token_type"), dialect)
            return at
    raise _malformed("access_token missing")


def _check_type(value: object, dialect: Dialect) -> None:
    # Missing is tolerated (LinkedIn and others leave it out); another type would need another way of using it.
    if value is None or (isinstance(value, str) and value.lower() in dialect.token_types):
        return
    raise UpstreamRefused(
        "The provider issued a token of a type that is not supported. Configure it to issue bearer tokens.",
        reason="token_type_not_supported",
    )


def _token(fields: Mapping[str, object], name: str) -> Secret:
    value = fields.get(name)
    # Printable ASCII only (RFC 6749 appendix A.12): a line break in a token is a header injection at the next API.
    if not isinstance(value, str) or len(value) > _LONGEST_TOKEN or not _TOKEN.fullmatch(value):
        raise _malformed(f"{name} unusable")
    return Secret(value)


def _optional_token(fields: Mapping[str, object], name: str) -> Secret | None:
    return None if fields.get(name) in (None, "") else _token(fields, name)


def _ends_at(asked_at: datetime, value: object, dialect: Dialect) -> datetime | None:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if value is None or value == "":
        lifetime_s: float = 0
    elif isinstance(value, int | float) and not isinstance(value, bool):
        lifetime_s = min(value, _LONGEST_LIFETIME_S)
    elif isinstance(value, str) and value.startswith("-") and _DIGITS.fullmatch(value[1:]):
        lifetime_s = 0
    else:
        raise _malformed("expires_in")
    if lifetime_s <= 0:
        lifetime_s = dialect.default_lifetime_s or 0
    return asked_at + timedelta(seconds=int(lifetime_s)) if lifetime_s > 0 else None


def _scopes(fields: Mapping[str, object], dialect: Dialect) -> frozenset[str] | None:
    value = fields.get("scope")
    if value is None:
        return None
    if isinstance(value, str):
        for separator in dialect.granted_separators:
            value = value.replace(separator, " ")
        return frozenset(value.split())
    if isinstance(value, list) and all(isinstance(scope, str) for scope in value):  # Twitch
        return frozenset(value)
    raise _malformed("scope")


def _metadata(fields: Mapping[str, object], where: Mapping[str, object], dialect: Dialect) -> dict[str, object]:
    # A list of what is harmless, not of what is secret: Slack's answer holds a webhook address that is a credential.
    kept: dict[str, object] = {}
    for name in (*_ALWAYS_KEPT, *dialect.kept_metadata):
        value = where.get(name, fields.get(name))
        if isinstance(value, dict):
            kept[name] = {key: member for key, member in value.items() if _is_small(member)}
        elif value is not None and _is_small(value):
            kept[name] = value
    return kept


def _is_small(value: object) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _LONGEST_TEXT)


def _malformed(private: str) -> UpstreamRefused:
    return UpstreamRefused(
        "The provider's token response is not valid. Check that the token endpoint is the right one.",
        reason="token_response_malformed",
        private=private,
    )
