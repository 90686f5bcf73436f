"""Acting on behalf of a person with a token they already have: RFC 8693, and the JWT bearer grant of RFC 7523."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from apps.core.secret import Secret
from apps.upstream.protocol.client_auth import token_request
from apps.upstream.protocol.parameters import check_scopes, custom_fields, targets
from apps.upstream.protocol.types import STANDARD, ClientCredentials, Dialect, Endpoints, Fields, Outbound

GrantType = Literal["token_exchange", "jwt_bearer"]
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ACCESS_TYPE = "urn:ietf:params:oauth:token-type:access_token"


def build(
    endpoints: Endpoints,
    client: ClientCredentials,
    *,
    grant_type: GrantType,
    subject_token: Secret,
    actor_token: Secret | None = None,
    scopes: Iterable[str] = (),
    resources: Iterable[str] = (),
    audiences: Iterable[str] = (),
    custom: Mapping[str, str] | None = None,
    dialect: Dialect = STANDARD,
) -> Outbound:
    """The exchange request; its answer is read with token_response.read.

    `subject_token` is the person's own token as it came in, proven before. Some providers want another
    `subject_token_type` than access token: `custom` may name it.

    Raises Invalid: `reserved_parameter`, `parameter_invalid`, `scope_invalid`.
    """
    theirs = custom_fields(custom)
    asked = check_scopes(scopes, dialect)
    fields: Fields
    if grant_type == "jwt_bearer":
        # RFC 7523 section 2.1. Microsoft needs requested_token_use=on_behalf_of beside it, from `custom`.
        fields = (("grant_type", _JWT_BEARER), ("assertion", subject_token))
    else:
        fields = (("grant_type", _EXCHANGE), ("subject_token", subject_token))
        if not any(name == "subject_token_type" for name, _ in theirs):
            fields = (*fields, ("subject_token_type", _ACCESS_TYPE))
        if actor_token is not None:
            fields = (*fields, ("actor_token", actor_token), ("actor_token_type", _ACCESS_TYPE))
    if asked:
        fields = (*fields, ("scope", dialect.scope_separator.join(asked)))
    return token_request(endpoints.token_endpoint, (*fields, *targets(resources, audiences), *theirs), client, dialect)
