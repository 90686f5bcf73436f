"""The client credentials grant, machine to machine: RFC 6749 section 4.4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from apps.upstream.protocol import token_response
from apps.upstream.protocol.client_auth import token_request
from apps.upstream.protocol.parameters import check_scopes, custom_fields, targets
from apps.upstream.protocol.types import STANDARD, ClientCredentials, Dialect, Endpoints, Inbound, Outbound, TokenSet


def build(
    endpoints: Endpoints,
    client: ClientCredentials,
    *,
    scopes: Iterable[str],
    resources: Iterable[str] = (),
    audiences: Iterable[str] = (),
    custom: Mapping[str, str] | None = None,
    dialect: Dialect = STANDARD,
) -> Outbound:
    """The token request. Raises Invalid: `reserved_parameter`, `parameter_invalid`, `scope_invalid`."""
    if client.secret is None:
        raise ValueError("a client without a secret cannot act for itself")
    asked = check_scopes(scopes, dialect)
    scope = (("scope", dialect.scope_separator.join(asked)),) if asked else ()
    fields = (("grant_type", "client_credentials"), *scope, *targets(resources, audiences), *custom_fields(custom))
    return token_request(endpoints.token_endpoint, fields, client, dialect)


def read(reply: Inbound, *, asked_at: datetime, dialect: Dialect = STANDARD) -> TokenSet:
    """Read the answer; see token_response.read for what it raises.

    A refresh token in it is dropped: section 4.4.3 says there should be none, and a new token costs one request.
    """
    return replace(token_response.read(reply, asked_at=asked_at, dialect=dialect), refresh_token=None, id_token=None)
