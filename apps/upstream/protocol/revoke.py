"""Telling the provider that a token is no longer needed: RFC 7009, and the ways of those who do it differently."""

from __future__ import annotations

from urllib.parse import quote

from apps.core.net.strict_json import read_object
from apps.core.secret import Secret
from apps.upstream.protocol.client_auth import with_proof
from apps.upstream.protocol.errors import ClientRefused, RetryLater
from apps.upstream.protocol.token_response import retry_after_s
from apps.upstream.protocol.types import STANDARD, ClientCredentials, Dialect, Endpoints, Fields, Inbound, Outbound


def build(
    endpoints: Endpoints,
    client: ClientCredentials,
    *,
    access_token: Secret,
    refresh_token: Secret | None,
    dialect: Dialect = STANDARD,
) -> Outbound | None:
    """The revocation request, or None if this provider has no such endpoint.

    Of the two tokens the one goes out that ends the grant at this provider, the refresh token unless the catalogue
    says otherwise.
    """
    if endpoints.revocation_endpoint is None:
        return None
    way = dialect.revocation
    by_refresh = way.covers == "refresh_token" and refresh_token is not None
    token = refresh_token if by_refresh and refresh_token is not None else access_token
    url = endpoints.revocation_endpoint.replace("{client_id}", quote(client.client_id, safe=""))
    if way.carried_in == "bearer":
        return Outbound(method=way.method, url=url, headers=dialect.token_headers, bearer=token)
    fields: Fields = ((way.parameter, token),)
    if way.type_hint:
        fields = (*fields, ("token_type_hint", "refresh_token" if by_refresh else "access_token"))
    basic: tuple[str, Secret] | None = None
    if way.authenticate:
        method = way.client_auth or client.method
        if method == "client_secret_basic" and client.secret is not None:
            basic = (client.client_id, client.secret)
        elif method == "client_secret_post" and client.secret is not None:
            fields = (*fields, ("client_id", client.client_id), ("client_secret", client.secret))
        else:
            fields = with_proof(fields, ClientCredentials(client.client_id, None, "none"))
    as_json = way.carried_in == "json"
    return Outbound(
        method=way.method,
        url=url,
        headers=dialect.token_headers,
        form=None if as_json else fields,
        json=fields if as_json else None,
        basic_auth=basic,
    )


def read(reply: Inbound, *, dialect: Dialect = STANDARD) -> bool:
    """Is the token gone at the provider?

    True for every 2xx; a token the provider no longer knows is answered with 200 too (RFC 7009 section 2.2), and
    with 404 or 422 by some. False where it says no. Raises RetryLater for 429 and 5xx, ClientRefused for 401,
    UpstreamRefused `upstream_not_json` where the answer cannot be read.
    """
    if reply.status == 429 or reply.status >= 500:
        raise RetryLater(private=f"status {reply.status}", retry_after_s=retry_after_s(reply))
    if reply.status == 401:
        raise ClientRefused(private="revocation answered 401")
    if dialect.ok_member is not None and reply.status == 200:
        return read_object(reply, token_endpoint=True).get(dialect.ok_member) is True
    return 200 <= reply.status < 300 or reply.status in (404, 422)
