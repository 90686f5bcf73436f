"""Refreshing an access token: RFC 6749 section 6."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from apps.core.secret import Secret
from apps.upstream.protocol import token_response
from apps.upstream.protocol.client_auth import token_request
from apps.upstream.protocol.parameters import check_scopes, targets
from apps.upstream.protocol.types import STANDARD, ClientCredentials, Dialect, Endpoints, Inbound, Outbound, TokenSet


def build(
    endpoints: Endpoints,
    client: ClientCredentials,
    *,
    refresh_token: Secret,
    scopes: Iterable[str] = (),
    resources: Iterable[str] = (),
    dialect: Dialect = STANDARD,
) -> Outbound:
    """The refresh request.

    `scopes` are repeated only where the provider wants that (Microsoft): left out, they stay as granted.
    """
    asked = check_scopes(scopes, dialect) if dialect.scope_on_refresh else ()
    scope = (("scope", dialect.scope_separator.join(asked)),) if asked else ()
    fields = (("grant_type", "refresh_token"), ("refresh_token", refresh_token), *scope, *targets(resources, ()))
    return token_request(endpoints.token_endpoint, fields, client, dialect)


def read(reply: Inbound, *, sent: Secret, asked_at: datetime, dialect: Dialect = STANDARD) -> TokenSet:
    """Read the answer; see token_response.read for what it raises.

    The provider MAY send a new refresh token. If it does not, the old one (`sent`) stays good and is kept: treating
    its absence as "none any more" loses the connection at the next expiry. An ID token in the answer is not used.
    """
    tokens = token_response.read(reply, asked_at=asked_at, dialect=dialect)
    return replace(tokens, refresh_token=tokens.refresh_token or sent, id_token=None)
