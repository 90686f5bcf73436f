"""Calls the one-round-trip functions of `migrations/hot_path_v1.sql` and opens what they release.

None means "not this way": the request needs the slow path, to be refused in words, refreshed or consented.
A connection the server closed meanwhile is replaced and the call repeated once; the worst that leaves is a
second record of an authorisation.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from psycopg import Connection, Cursor

from apps.authn import workload
from apps.authn.caller import Caller
from apps.authn.rate_limits import RateLimited, counters
from apps.broker import contracts as c
from apps.broker.run import answers_fast
from apps.broker.work import Work
from apps.connections.params import RequestParams
from apps.core import clock, names, tickets
from apps.core.errors import PortalError, SealBroken, Unauthenticated
from apps.core.secret import Secret
from apps.vault.opening import open_blob
from apps.vault.sealing.address import Address

log = structlog.get_logger("portal.hot_path")

OAUTH = "SELECT * FROM portal_release_oauth_v1(%s,%s,%s,%s,%s::text[],%s,%s,%s,%s,%s,%s,%s::inet,%s)"
API_KEY = "SELECT * FROM portal_release_api_key_v1(%s,%s,%s,%s,%s,%s,%s,%s,%s::inet)"
MINT = "SELECT * FROM portal_mint_v1(%s,%s,%s,%s,%s,%s,%s,%s,%s::text[],%s::text[],%s,%s,%s,%s,%s,%s,%s,%s::inet)"


_kept = threading.local()


def _cursor(of: Connection[tuple[Any, ...]]) -> Cursor[tuple[Any, ...]]:
    """This thread's cursor on this connection. Kept, since what it learned about the parameters' types goes with it."""
    cursor: Cursor[tuple[Any, ...]] | None = getattr(_kept, "cursor", None)
    if cursor is None or cursor.connection is not of:
        cursor = _kept.cursor = of.cursor(binary=True)
    return cursor


def one_row(statement: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
    """Run one prepared statement in autocommit: one round trip.

    On the driver's own cursor, because Django's wrapper costs as much as the rest of the call (docs/explanation/
    performance.md); errors are Django's all the same.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    for attempt in (1, 2):
        try:
            connection.ensure_connection()
            with connection.wrap_database_errors:
                cursor = _cursor(connection.connection)
                row: tuple[Any, ...] | None = cursor.execute(statement, values, prepare=True).fetchone()
                return row
        except (OperationalError, InterfaceError):
            if attempt == 2 or connection.in_atomic_block:
                raise
            connection.close()
    return None


def _digest(token: Secret, caller: Caller) -> bytes | None:
    try:
        digest = workload.digest(token, caller.account_id)
    except Unauthenticated:
        return None
    try:
        counters.hit("agent", digest.hex())
    except RateLimited as refused:
        if refused.first:
            Work("request.rejected", caller).refuse(refused)
        raise
    return digest


def _open(blob: bytes, at: Address, action: str, caller: Caller, **noted: Any) -> Secret:
    """Open what was authorised. A failure is a record of its own: "authorised" is committed already."""
    try:
        return open_blob(blob, at=at)
    except PortalError as broken:
        work = Work(action, caller)
        work.note(**noted)
        with work.look():
            work.also("credential.release_failed", outcome="failed", reason=broken.reason, call=action)
            if isinstance(broken, SealBroken):
                work.seal_broken(broken, connection_id=noted.get("connection_id"), row=str(at.row_id))
        log.error("release_failed", reason=broken.reason, request_id=caller.request_id, row=str(at.row_id))
        raise ReleaseFailed(broken) from broken


class ReleaseFailed(PortalError):
    """A release that was authorised and recorded, but whose secret did not open. Already recorded."""

    def __init__(self, cause: PortalError) -> None:
        super().__init__(cause.public, reason=cause.reason, code=cause.code)


@answers_fast(c.FetchOAuthToken)
def fetch_oauth(command: c.FetchOAuthToken, caller: Caller) -> c.TokenReleased | None:
    """A stored, valid token that this request may have."""
    if command.force or command.session_uri is not None or command.flow is c.Flow.ON_BEHALF_OF:
        return None
    digest = _digest(command.workload_token, caller)
    if digest is None:
        return None
    m2m = command.flow is c.Flow.M2M
    params = RequestParams(
        custom=command.custom_parameters,
        resources=command.resources,
        audiences=command.audiences,
        m2m_scopes=command.scopes if m2m else None,
    )
    row = one_row(
        OAUTH,
        (
            caller.tenant_id,
            caller.row_id,
            digest,
            command.provider,
            list(command.scopes),
            command.flow.value,
            params.digest(),
            names.prefix(caller.region, caller.account_id),
            clock.now(),
            caller.name,
            caller.request_id,
            caller.source_ip,
            msgspec.json.encode({"flow": command.flow.value, "scopes": sorted(command.scopes)}).decode(),
        ),
    )
    if row is None:
        return None
    connection_id, version, blob = row[0], row[1], row[2]
    at = Address(
        tenant_id=caller.tenant_id,
        table="connections_connection",
        row_id=connection_id,
        column="access_token",
        secret_version=version,
        purpose="connection.access_token",
    )
    return c.TokenReleased(
        access_token=_open(bytes(blob), at, "credential.fetch_oauth", caller, connection_id=connection_id)
    )


@answers_fast(c.FetchApiKey)
def fetch_api_key(command: c.FetchApiKey, caller: Caller) -> Secret | None:
    digest = _digest(command.workload_token, caller)
    if digest is None:
        return None
    row = one_row(
        API_KEY,
        (
            caller.tenant_id,
            caller.row_id,
            digest,
            command.provider,
            names.prefix(caller.region, caller.account_id),
            clock.now(),
            caller.name,
            caller.request_id,
            caller.source_ip,
        ),
    )
    if row is None:
        return None
    at = Address(
        tenant_id=caller.tenant_id,
        table="providers_provider",
        row_id=row[0],
        column="api_key",
        secret_version=row[1],
        purpose="provider.api_key",
    )
    return _open(bytes(row[2]), at, "credential.fetch_api_key", caller, provider_name=command.provider)


def mint(
    caller: Caller,
    *,
    agent: str,
    kind: str,
    issuer: str = "",
    subject: str = "",
    jwks_uri: str = "",
    audiences: Sequence[str] = (),
    clients: Sequence[str] = (),
    permission: str,
    action: str,
) -> Secret | None:
    """Mint for a principal that is known already."""
    token = tickets.mint(tickets.Kind.WORKLOAD_TOKEN, caller.account_id)
    row = one_row(
        MINT,
        (
            caller.tenant_id,
            caller.row_id,
            agent,
            kind,
            issuer,
            subject,
            "",
            jwks_uri,
            list(audiences),
            list(clients),
            tickets.digest_of(tickets.Kind.WORKLOAD_TOKEN, token.reveal()),
            permission,
            action,
            names.prefix(caller.region, caller.account_id),
            clock.now(),
            caller.name,
            caller.request_id,
            caller.source_ip,
        ),
    )
    return token if row is not None else None
