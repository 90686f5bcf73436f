"""The few calls the broker makes: build the request, send it through the guard, read the answer.

All waiting happens here, so never call these inside a database transaction. Nothing is ever sent twice.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from apps.core import clock
from apps.core.errors import Invalid, UpstreamRefused
from apps.core.net import process
from apps.core.net.failures import NoAnswer, not_json
from apps.core.net.guarded import GuardedTransport
from apps.core.secret import Secret
from apps.upstream.protocol import (
    authorization_code,
    discovery,
    id_token,
    token_exchange,
    token_response,
)
from apps.upstream.protocol import client_credentials as client_credentials_grant
from apps.upstream.protocol import introspect as introspection
from apps.upstream.protocol import refresh as refresh_grant
from apps.upstream.protocol import revoke as revocation
from apps.upstream.protocol.token_exchange import GrantType
from apps.upstream.protocol.types import (
    STANDARD,
    ClientCredentials,
    Dialect,
    Endpoints,
    Inbound,
    Outbound,
    TokenSet,
)

TOKEN_DEADLINE_S = 10.0
TOKEN_MAX_BYTES = 64_000
CONFIG_DEADLINE_S = 5.0
CONFIG_MAX_BYTES = 256_000

# Faults of a document that whoever saves the configuration can mend by naming another address.
_MENDABLE = frozenset({"upstream_not_json", "upstream_status", "upstream_name_unknown"})


def exchange_code(
    endpoints: Endpoints,
    client: ClientCredentials,
    *,
    code: Secret,
    redirect_uri: str,
    verifier: Secret,
    nonce: Secret | None = None,
    dialect: Dialect = STANDARD,
    tenant_id: Hashable,
    via: GuardedTransport | None = None,
) -> TokenSet:
    """Turn an authorization code into tokens, once.

    With `nonce` (the flow asked for `openid`) the ID token is verified where the provider's keys and issuer are
    known, and the tokens are only returned if it is right. An ID token that cannot be verified is never returned.

    Raises what token_response.read raises, UpstreamRefused `id_token_invalid`, and what the transport raises; an
    address that has become forbidden since it was saved is an UpstreamRefused here.
    """
    # The keys first: should they not be available, the code is still good.
    keys = None
    if nonce is not None and endpoints.jwks_uri is not None and endpoints.expected_issuer is not None:
        keys = fetch_jwks(endpoints.jwks_uri, tenant_id=tenant_id, via=via)
    request = authorization_code.exchange(
        endpoints, client, code=code, redirect_uri=redirect_uri, verifier=verifier, dialect=dialect
    )
    asked_at = clock.now()
    tokens = token_response.read(_send(request, tenant_id, via), asked_at=asked_at, dialect=dialect)
    if keys is None or nonce is None:
        return replace(tokens, id_token=None)
    return _with_checked_id_token(tokens, endpoints, client, keys, nonce)


def refresh(
    endpoints: Endpoints,
    client: ClientCredentials,
    *,
    refresh_token: Secret,
    scopes: Iterable[str] = (),
    resources: Iterable[str] = (),
    dialect: Dialect = STANDARD,
    tenant_id: Hashable,
    via: GuardedTransport | None = None,
) -> TokenSet:
    """Get a new access token; the result always carries the refresh token to keep, new or old.

    Raises GrantRefused if the consent is over. A NoAnswer with `request_sent` leaves open whether the refresh token
    was used up.
    """
    request = refresh_grant.build(
        endpoints, client, refresh_token=refresh_token, scopes=scopes, resources=resources, dialect=dialect
    )
    asked_at = clock.now()
    return refresh_grant.read(_send(request, tenant_id, via), sent=refresh_token, asked_at=asked_at, dialect=dialect)


def client_credentials(
    endpoints: Endpoints,
    client: ClientCredentials,
    *,
    scopes: Iterable[str],
    resources: Iterable[str] = (),
    audiences: Iterable[str] = (),
    custom: Mapping[str, str] | None = None,
    dialect: Dialect = STANDARD,
    tenant_id: Hashable,
    via: GuardedTransport | None = None,
) -> TokenSet:
    """Get a token for the agent itself. Raises ClientRefused if the id and secret are wrong."""
    request = client_credentials_grant.build(
        endpoints, client, scopes=scopes, resources=resources, audiences=audiences, custom=custom, dialect=dialect
    )
    asked_at = clock.now()
    return client_credentials_grant.read(_send(request, tenant_id, via), asked_at=asked_at, dialect=dialect)


def exchange_token(
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
    tenant_id: Hashable,
    via: GuardedTransport | None = None,
) -> TokenSet:
    """Trade a person's token for one at this provider (RFC 8693, RFC 7523)."""
    request = token_exchange.build(
        endpoints,
        client,
        grant_type=grant_type,
        subject_token=subject_token,
        actor_token=actor_token,
        scopes=scopes,
        resources=resources,
        audiences=audiences,
        custom=custom,
        dialect=dialect,
    )
    asked_at = clock.now()
    tokens = token_response.read(_send(request, tenant_id, via), asked_at=asked_at, dialect=dialect)
    return replace(tokens, id_token=None)


def revoke(
    endpoints: Endpoints,
    client: ClientCredentials,
    *,
    access_token: Secret,
    refresh_token: Secret | None = None,
    dialect: Dialect = STANDARD,
    tenant_id: Hashable,
    via: GuardedTransport | None = None,
) -> bool | None:
    """Tell the provider. True if it says the token is gone, False if not, None if it has no way of being told."""
    request = revocation.build(
        endpoints, client, access_token=access_token, refresh_token=refresh_token, dialect=dialect
    )
    return None if request is None else revocation.read(_send(request, tenant_id, via), dialect=dialect)


def introspect(
    endpoint: str,
    client: ClientCredentials,
    *,
    token: Secret,
    tenant_id: Hashable,
    via: GuardedTransport | None = None,
) -> dict[str, object]:
    """Ask an issuer about a token it may have issued (RFC 7662). Raises what introspection.read raises, and
    what the transport raises."""
    return introspection.read(_send(introspection.build(endpoint, client, token=token), tenant_id, via))


def discover(
    discovery_url: str, *, tenant_id: Hashable | None = None, via: GuardedTransport | None = None
) -> Endpoints:
    """Fetch and judge a discovery document, and vet the hosts it names, before it is saved.

    Raises Invalid naming the member at fault, also where the document cannot be read as one; NoAnswer and the other
    refusals of the transport where the provider is down, redirects, or answers too much.
    """
    transport = via or process.transport()
    where = discovery.address(discovery_url, transport.rules)
    with _as_field("discovery_url"):
        document = transport.get_json(
            where.fetch_url, deadline_s=CONFIG_DEADLINE_S, max_bytes=CONFIG_MAX_BYTES, for_tenant=tenant_id
        )
    found = discovery.read(document, discovery_url=discovery_url, rules=transport.rules)
    vet(found, via=transport)
    return found


def vet(endpoints: Endpoints, *, via: GuardedTransport | None = None) -> None:
    """Look up the hosts we will call and refuse those inside, without connecting. Raises Invalid naming the member."""
    transport = via or process.transport()
    seen: set[tuple[str, int]] = set()
    for member in ("token_endpoint", "revocation_endpoint", "introspection_endpoint", "jwks_uri", "userinfo_endpoint"):
        url = getattr(endpoints, member)
        with _as_field(member):
            read = None if url is None else transport.rules.read(url.replace("{client_id}", "x"))
            if read is not None and (read.host, read.port) not in seen:
                seen.add((read.host, read.port))
                transport.vet(str(read), deadline_s=CONFIG_DEADLINE_S)


def fetch_jwks(
    uri: str, *, tenant_id: Hashable | None = None, via: GuardedTransport | None = None
) -> dict[str, object]:
    """Fetch a JSON Web Key Set (RFC 7517 section 5). The keys in it are not judged here.

    Raises what the transport's get_json raises, and UpstreamRefused `upstream_not_json` if it has no list of keys.
    """
    with _at_use():
        found = (via or process.transport()).get_json(
            uri, deadline_s=CONFIG_DEADLINE_S, max_bytes=CONFIG_MAX_BYTES, for_tenant=tenant_id
        )
    if not isinstance(found.get("keys"), list):
        raise not_json("no keys")
    return found


def _send(request: Outbound, tenant_id: Hashable, via: GuardedTransport | None) -> Inbound:
    bounded = replace(request, deadline_s=TOKEN_DEADLINE_S, max_bytes=TOKEN_MAX_BYTES)
    with _at_use():
        return (via or process.transport()).send(bounded, for_tenant=tenant_id)


def _with_checked_id_token(
    tokens: TokenSet, endpoints: Endpoints, client: ClientCredentials, keys: Mapping[str, object], nonce: Secret
) -> TokenSet:
    if tokens.id_token is None:
        if tokens.granted_scopes is not None and "openid" not in tokens.granted_scopes:
            return tokens  # the person or the provider left openid out
        # What has to be there is decided by what we asked for: a token that may be left out checks nothing.
        raise id_token.invalid("missing")
    id_token.validate(
        tokens.id_token,
        keys=keys,
        issuer=endpoints.issuer,
        client_id=client.client_id,
        nonce=nonce,
        algs=endpoints.id_token_algs,
        now=clock.now(),
        access_token=tokens.access_token,
    )
    return tokens


@contextmanager
def _at_use() -> Iterator[None]:
    """A saved address that may no longer be called is the provider's trouble, not the caller's input."""
    try:
        yield
    except Invalid as refused:
        raise UpstreamRefused(refused.public, reason=refused.reason, private=refused.private) from refused


@contextmanager
def _as_field(member: str) -> Iterator[None]:
    """While saving: what another address would mend is a fault of that member."""
    try:
        yield
    except Invalid as refused:
        if refused.fields:
            raise
        raise Invalid.field(member, f"{member}: {refused.public}", reason=refused.reason) from refused
    except (UpstreamRefused, NoAnswer) as refused:
        if refused.reason not in _MENDABLE:
            raise
        raise Invalid.field(member, f"{member}: {refused.public}", reason=refused.reason) from refused
