"""The authorization code grant: RFC 6749 section 4.1, with PKCE (RFC 7636) and resource indicators (RFC 8707)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlencode

from apps.core.errors import Invalid
from apps.core.secret import Secret
from apps.upstream.protocol.callback import CallbackCode, CallbackError, read_callback
from apps.upstream.protocol.client_auth import token_request
from apps.upstream.protocol.parameters import check_scopes, custom_fields, is_reserved, targets
from apps.upstream.protocol.types import STANDARD, ClientCredentials, Dialect, Endpoints, Field, Outbound

__all__ = [
    "CallbackCode",
    "CallbackError",
    "added_by_caller",
    "authorization_url",
    "code_challenge",
    "code_verifier",
    "exchange",
    "read_callback",
]

_LEAST_ENTROPY = 32  # bytes


def code_verifier(entropy: bytes) -> Secret:
    """A PKCE verifier from at least 32 random bytes (RFC 7636 section 4.1)."""
    if len(entropy) < _LEAST_ENTROPY:
        raise ValueError("a verifier needs at least 32 random bytes")
    return Secret(_base64url(entropy))


def code_challenge(verifier: Secret) -> str:
    """The S256 challenge of a verifier (RFC 7636 section 4.2). `plain` does not exist here."""
    return _base64url(hashlib.sha256(verifier.reveal().encode("ascii")).digest())


def authorization_url(
    endpoints: Endpoints,
    *,
    client_id: str,
    redirect_uri: str,
    scopes: Iterable[str],
    state: Secret,
    verifier: Secret,
    nonce: Secret | None = None,
    resources: Iterable[str] = (),
    audiences: Iterable[str] = (),
    custom: Mapping[str, str] | None = None,
    dialect: Dialect = STANDARD,
) -> str:
    """Where to send the person's browser (RFC 6749 section 4.1.1).

    PKCE with S256 is always part of it, even where the provider ignores it. `nonce` has to be given exactly when
    `openid` is among the scopes. `custom` may add parameters but never replace one of ours; it may replace a
    default of the vendor, such as `access_type`.

    Where a vendor has two kinds of scopes, `custom` may name some of `scopes` under the vendor's second parameter
    (Slack: `user_scope`); those move there. It can not bring in scopes that were not asked for and checked.

    Raises Invalid: `reserved_parameter`, `parameter_invalid`, `scope_invalid`.
    """
    asked = check_scopes(scopes, dialect)
    if ("openid" in asked) != (nonce is not None):
        raise ValueError("a nonce goes with the scope openid, and only with it")
    moved, theirs = added_by_caller(custom, asked, dialect)
    fields: list[tuple[str, str]] = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
    ]
    if kept := [scope for scope in asked if scope not in moved]:
        fields.append(("scope", dialect.scope_separator.join(kept)))
    if moved and dialect.split_scope_parameter:
        fields.append((dialect.split_scope_parameter, dialect.scope_separator.join(moved)))
    fields += [
        ("state", state.reveal()),
        ("code_challenge", code_challenge(verifier)),
        ("code_challenge_method", "S256"),
    ]
    if nonce is not None:
        fields.append(("nonce", nonce.reveal()))
    target = targets(resources, audiences)
    taken = {name for name, _ in [*target, *theirs]}
    fields += [(name, value) for name, value in dialect.authorize_parameters.items() if name not in taken]
    return _append(endpoints.authorization_endpoint, [*fields, *((n, str(v)) for n, v in [*target, *theirs])])


def added_by_caller(
    custom: Mapping[str, str] | None, scopes: Iterable[str], dialect: Dialect
) -> tuple[tuple[str, ...], list[Field]]:
    """What `custom` says: the scopes that move to the vendor's second scope parameter, and the parameters to add.

    Raises Invalid: `reserved_parameter`, `parameter_invalid`.
    """
    added = dict(custom or {})
    moved: tuple[str, ...] = ()
    if dialect.split_scope_parameter and dialect.split_scope_parameter in added:
        moved = _moved_scopes(added.pop(dialect.split_scope_parameter), tuple(scopes), dialect)
    return moved, custom_fields(added)


def exchange(
    endpoints: Endpoints,
    client: ClientCredentials,
    *,
    code: Secret,
    redirect_uri: str,
    verifier: Secret,
    dialect: Dialect = STANDARD,
) -> Outbound:
    """The request that turns a code into tokens (RFC 6749 section 4.1.3). To be sent once, whatever happens."""
    fields = (
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier),
    )
    return token_request(endpoints.token_endpoint, fields, client, dialect)


def _moved_scopes(named: str, asked: tuple[str, ...], dialect: Dialect) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(named.replace(dialect.scope_separator, " ").split()))
    if not set(wanted) <= set(asked):
        raise Invalid.field(
            "custom_parameters",
            f"The parameter {dialect.split_scope_parameter} can only name scopes that are also requested.",
            reason="reserved_parameter",
        )
    return wanted


def _append(endpoint: str, fields: list[tuple[str, str]]) -> str:
    base, _, query = endpoint.partition("?")
    # An endpoint may bring a query of its own (RFC 6749 section 3.1), but not one that speaks in our place.
    for name, _ in parse_qsl(query, keep_blank_values=True):
        if is_reserved(name):
            raise Invalid.field(
                "authorization_endpoint",
                f"The authorization endpoint must not contain the parameter {name[:64]}. Remove it.",
                reason="reserved_parameter",
            )
    return f"{base}?{query}{'&' if query else ''}{urlencode(fields)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
