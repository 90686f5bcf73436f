"""Fill a migrated database: tenants through the product, everything numerous by COPY and INSERT … SELECT as owner.

    python -m benchmarks.seed --connections 1000000 --audit 10000000 --issuer http://127.0.0.1:9999 --manifest FILE

reads `DATABASE_URL` and `DATABASE_OWNER_URL` as the portal does. Every secret is really sealed.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from benchmarks.manifest import (
    AGENTS,
    API_KEY_PROVIDER,
    PROVIDERS,
    SCOPE,
    Manifest,
    Tenant,
    Token,
    agent_name,
    provider_name,
)

HOT_TOKENS = 2_000
_MAX_TOKENS = 100_000
_MANY = 50_000  # from here on foreign keys are checked once, after loading
_LOADED = ("connections_principal", "connections_connection", "vault_sealedsecret", "authn_workloadtoken")
_TOKEN_LIFE = timedelta(hours=12)


@dataclass(frozen=True)
class Size:
    """How much to make. `crowd` gives one extra person connections at that many providers.

    Without `analyzed` the planner knows nothing of what was loaded, as on a service that has just grown.
    """

    connections: int
    audit_records: int = 0
    tenants: int = 100
    crowd: int = 0
    analyzed: bool = True

    @property
    def pairs_per_tenant(self) -> int:
        """Pairs of agent and person; each has a connection at every provider."""
        return max(1, self.connections // (self.tenants * PROVIDERS))


def fill(size: Size, issuer: str, jwks_uri: str) -> Manifest:
    """Make the data in the database that Django's settings name, and return what a client needs to know."""
    made = [_tenant(issuer, jwks_uri, size) for _ in range(size.tenants)]
    ids = [UUID(tenant.id) for tenant in made]
    # Client-side binding: CREATE TABLE AS takes no parameters from the server's point of view.
    with psycopg.connect(
        os.environ["DATABASE_OWNER_URL"], autocommit=True, cursor_factory=psycopg.ClientCursor
    ) as owner:
        tables = _LOADED if size.connections >= _MANY else ()
        with _unchecked(owner, tables), owner.transaction():
            _pairs(owner, ids, issuer, size)
            crowded = _crowd(owner, made[0], issuer, size.crowd) if size.crowd else None
            _connections(owner)
            _seal(owner)
            tokens = _tokens(owner, made, ids, crowded)
            owner.execute("DROP TABLE bench_pair")
        if size.audit_records:
            _audit(owner, ids, size.audit_records)
        if size.analyzed:
            owner.execute("VACUUM (ANALYZE)")
    return Manifest(
        issuer=issuer,
        tenants=made,
        tokens=[token for token in tokens if crowded is None or token.user != crowded],
        crowded=next((token for token in tokens if crowded is not None and token.user == crowded), None),
        connections=size.connections,
        audit_records=size.audit_records,
    )


def _tenant(issuer: str, jwks_uri: str, size: Size) -> Tenant:
    from apps.agents.models import Agent
    from apps.authn.models import TrustedIssuer
    from apps.broker import contracts as c
    from apps.broker.control_plane.tenants import create_tenant, system_caller
    from apps.broker.run import run
    from apps.core.secret import Secret
    from apps.providers.models import Provider
    from apps.tenants.scope import tenant_scope
    from benchmarks.issuer import AUDIENCE

    slug = f"bench-{secrets.token_hex(6)}"
    tenant = create_tenant(slug=slug, name=slug, closed=False, dev=False, by="bench").tenant
    caller = system_caller(tenant, "bench")
    key = run(c.CreateAccessKey(label="application", grants=_GRANTS), caller)
    run(c.CreateApiKeyProvider(name=API_KEY_PROVIDER, api_key=Secret("k-" + secrets.token_urlsafe(24))), caller)
    with tenant_scope(tenant.id):
        Agent.objects.bulk_create(Agent(name=agent_name(index)) for index in range(AGENTS))
        Provider.objects.bulk_create(
            Provider(
                kind="oauth2",
                name=provider_name(index),
                vendor="CustomOauth2",
                client_id="bench",
                callback_id=f"bench-{index}",
            )
            for index in range(PROVIDERS)
        )
        TrustedIssuer.objects.create(
            issuer=issuer,
            discovery_url=f"{issuer}/.well-known/openid-configuration",
            jwks_uri=jwks_uri,
            audiences=[AUDIENCE],
        )
    return Tenant(
        id=str(tenant.id),
        account_id=tenant.account_id,
        key_row=str(key.row_id),
        key_id=key.access_key_id,
        secret=key.secret_access_key.reveal(),
        users=-(-size.pairs_per_tenant // AGENTS),
    )


# What an administrator would write for an application: three operations on its agents and the vault.
_GRANTS = tuple(
    (f"bedrock-agentcore:{action}", f"arn:aws:bedrock-agentcore:*:*:{resource}")
    for action, resources in (
        ("GetResource*", ("workload-identity-directory/*", "token-vault/*")),
        ("GetWorkloadAccessToken*", ("workload-identity-directory/*",)),
    )
    for resource in resources
)


@contextmanager
def _unchecked(owner: psycopg.Connection, tables: tuple[str, ...]) -> Iterator[None]:
    """Without foreign keys while loading; making them again afterwards checks every row in one pass."""
    rows = owner.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE contype = 'f' AND conrelid = ANY (%s::regclass[])",
        [list(tables)],
    ).fetchall()
    for table, name, _ in rows:
        owner.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(table), sql.Identifier(name)))
    yield
    for table, name, definition in rows:
        owner.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} ").format(sql.Identifier(table), sql.Identifier(name))
            + sql.SQL(definition)
        )


_PERSON = (
    "INSERT INTO connections_principal (tenant_id, id, kind, issuer, subject, pseudonym, epoch, status, created_at) "
)


def _pairs(owner: psycopg.Connection, tenants: list[UUID], issuer: str, size: Size) -> None:
    pairs = size.pairs_per_tenant
    owner.execute(
        _PERSON + "SELECT t, gen_random_uuid(), 'jwt', %s, 'user-' || n, "
        "'p_' || left(encode(sha256(gen_random_uuid()::text::bytea), 'hex'), 40), 1, 'active', now() "
        "FROM unnest(%s::uuid[]) AS t, generate_series(0, %s) AS n",
        [issuer, tenants, -(-pairs // AGENTS) - 1],
    )
    owner.execute(
        "CREATE TABLE bench_pair AS SELECT a.tenant_id, a.id AS agent_id, a.name::text AS agent, o.id AS principal_id, "
        "o.subject::text AS person, p.id AS provider_id "
        "FROM generate_series(0, %(pairs)s - 1) AS i "
        "JOIN agents_agent a ON a.tenant_id = ANY (%(tenants)s) AND a.name = 'agent-' || (i %% %(agents)s) "
        "JOIN connections_principal o ON o.tenant_id = a.tenant_id AND o.kind = 'jwt' AND o.issuer = %(issuer)s "
        " AND o.subject = 'user-' || (i / %(agents)s) "
        "JOIN providers_provider p ON p.tenant_id = a.tenant_id AND p.kind = 'oauth2'",
        {"pairs": pairs, "tenants": tenants, "agents": AGENTS, "issuer": issuer},
    )


def _crowd(owner: psycopg.Connection, tenant: Tenant, issuer: str, providers: int) -> str:
    """One more person, with one agent and that many providers of their own. Returns the person's subject."""
    person = "crowded"
    owner.execute(
        _PERSON + "VALUES (%s, %s, 'jwt', %s, %s, 'p_crowded', 1, 'active', now())",
        [UUID(tenant.id), uuid4(), issuer, person],
    )
    columns = "kind, name, vendor, client_id, config, endpoints, config_version, callback_id, status, tags"
    owner.execute(
        f"INSERT INTO providers_provider (tenant_id, id, {columns}, created_at, updated_at) "
        "SELECT p.tenant_id, gen_random_uuid(), p.kind, 'crowd-' || n, p.vendor, p.client_id, p.config, p.endpoints, "
        "p.config_version, 'crowd-' || n, p.status, p.tags, now(), now() "
        "FROM providers_provider p, generate_series(1, %s) AS n WHERE p.tenant_id = %s AND p.name = 'provider-0'",
        [providers - PROVIDERS, tenant.id],
    )
    owner.execute(
        "INSERT INTO bench_pair SELECT a.tenant_id, a.id, a.name, o.id, o.subject, p.id FROM agents_agent a "
        "JOIN connections_principal o ON o.tenant_id = a.tenant_id AND o.subject = %s "
        "JOIN providers_provider p ON p.tenant_id = a.tenant_id AND p.kind = 'oauth2' "
        "WHERE a.tenant_id = %s AND a.name = 'agent-0'",
        [person, tenant.id],
    )
    return person


def _connections(owner: psycopg.Connection) -> None:
    from apps.connections.params import RequestParams

    params = RequestParams()
    owner.execute("ALTER TABLE bench_pair ADD connection_id uuid NOT NULL DEFAULT gen_random_uuid()")
    owner.execute(
        "INSERT INTO connections_connection (tenant_id, id, agent_id, principal_id, provider_id, flow, params_digest, "
        "params, status, status_reason, requested_scopes, granted_scopes, reduced, provider_config_version, "
        "generation, has_refresh_token, access_expires_at, refresh_after, created_at, updated_at) "
        "SELECT tenant_id, connection_id, agent_id, principal_id, provider_id, 'user_federation', %(digest)s, "
        "%(params)s, 'active', '', %(scopes)s, %(scopes)s, false, 1, 1, true, now() + interval '30 days', "
        "now() + interval '29 days', now(), now() FROM bench_pair",
        {
            "digest": params.digest(),
            "params": json.dumps(params.as_json()),
            "scopes": [SCOPE, "repo:write"],
        },
    )


def _seal(owner: psycopg.Connection) -> None:
    """A token for every connection, sealed under its tenant's key at its own address."""
    from apps.tenants.scope import tenant_scope
    from apps.vault.keys import current_kek
    from apps.vault.sealing.address import Address
    from apps.vault.sealing.envelope import seal

    table, column, purpose = "connections_connection", "access_token", "connection.access_token"
    rows = owner.execute("SELECT tenant_id, connection_id FROM bench_pair ORDER BY tenant_id").fetchall()
    keks: dict[UUID, Any] = {}
    with (
        owner.cursor() as cursor,
        cursor.copy(
            'COPY vault_sealedsecret (tenant_id, id, "table", row_id, "column", version, purpose, key_version, blob, '
            "created_at, updated_at) FROM STDIN (FORMAT BINARY)"
        ) as copy,
    ):
        copy.set_types(
            ["uuid", "uuid", "varchar", "uuid", "varchar", "int4", "varchar", "int4", "bytea", *["timestamptz"] * 2]
        )
        now = _now()
        for tenant_id, row_id in rows:
            kek = keks.get(tenant_id)
            if kek is None:
                with tenant_scope(tenant_id):
                    kek = keks[tenant_id] = current_kek()
            at = Address(
                tenant_id=tenant_id, table=table, row_id=row_id, column=column, secret_version=1, purpose=purpose
            )
            blob = seal(secrets.token_urlsafe(30).encode(), kek=kek, at=at)
            copy.write_row((tenant_id, uuid4(), table, row_id, column, 1, purpose, kek.version, blob, now, now))


def _now() -> Any:
    from apps.core import clock

    return clock.now()


def _tokens(owner: psycopg.Connection, tenants: list[Tenant], ids: list[UUID], crowded: str | None) -> list[Token]:
    """A workload access token for up to 100,000 pairs; 2,000 of them, spread evenly, are handed to the client."""
    from apps.core import tickets

    place = {tenant_id: index for index, tenant_id in enumerate(ids)}
    rows = owner.execute(
        "SELECT tenant_id, agent_id, agent, principal_id, person FROM bench_pair GROUP BY 1, 2, 3, 4, 5 "
        "ORDER BY person = 'crowded' DESC, person, agent, tenant_id LIMIT %s",
        [_MAX_TOKENS],
    ).fetchall()
    every = max(1, len(rows) // HOT_TOKENS)
    kept: list[Token] = []
    now = _now()
    with (
        owner.cursor() as cursor,
        cursor.copy(
            "COPY authn_workloadtoken (tenant_id, id, digest, agent_id, principal_id, proof, tenant_epoch, agent_epoch, "
            "principal_epoch, issued_at, expires_at) FROM STDIN (FORMAT BINARY)"
        ) as copy,
    ):
        copy.set_types(
            ["uuid", "uuid", "bytea", "uuid", "uuid", "varchar", *["int4"] * 3, "timestamptz", "timestamptz"]
        )
        for number, (tenant_id, agent_id, agent, principal_id, person) in enumerate(rows):
            text = tickets.mint(tickets.Kind.WORKLOAD_TOKEN, tenants[place[tenant_id]].account_id).reveal()
            digest = tickets.digest_of(tickets.Kind.WORKLOAD_TOKEN, text)
            copy.write_row((tenant_id, uuid4(), digest, agent_id, principal_id, "jwt", 1, 1, 1, now, now + _TOKEN_LIFE))
            if number % every == 0 or person == crowded:
                kept.append(Token(tenant=place[tenant_id], text=text, agent=agent, user=person))
    return kept


def _audit(owner: psycopg.Connection, tenants: list[UUID], records: int) -> None:
    """A year of records, a fifth of them in one tenant. Indexes are built, and content hashes made up, afterwards."""
    months = 12
    first = date.today().replace(day=1) - timedelta(days=31 * months)
    owner.execute("SELECT portal_audit_partitions(%s, %s)", [first, months + 2])
    owner.execute("ALTER TABLE audit_auditrecord DISABLE TRIGGER audit_digest")
    with _unindexed(owner, "audit_auditrecord"):
        chunk = 1_000_000
        for start in range(0, records, chunk):
            owner.execute(
                "INSERT INTO audit_auditrecord (tenant_id, id, at, action, outcome, reason, actor_kind, actor, proof, "
                "agent_id, agent_name, on_behalf_of, provider_name, connection_id, details, request_id, source_ip, "
                "digest) "
                "SELECT (%(tenants)s::uuid[])[CASE WHEN n %% 5 = 0 THEN 1 ELSE 1 + n %% %(count)s END], "
                "gen_random_uuid(), now() - (%(records)s - n) * (interval '360 days' / %(records)s), "
                "'credential.fetch_oauth', 'allowed', '', 'access_key', 'IPAKAAAAAAAABBBBBBBBBBBB', 'sigv4', "
                "gen_random_uuid(), 'agent-' || n %% 10, 'p_' || md5(n::text) || '00000000', 'provider-' || n %% 5, "
                'gen_random_uuid(), \'{"flow": "user_federation", "scopes": ["repo:read"]}\', '
                "gen_random_uuid()::text, '127.0.0.1', sha256(n::text::bytea) "
                "FROM generate_series(%(start)s::int, %(stop)s::int) AS n",
                {
                    "tenants": tenants,
                    "count": len(tenants),
                    "records": records,
                    "start": start,
                    "stop": min(start + chunk, records) - 1,
                },
            )
    owner.execute("ALTER TABLE audit_auditrecord ENABLE TRIGGER audit_digest")


@contextmanager
def _unindexed(owner: psycopg.Connection, table: str) -> Iterator[None]:
    keys = owner.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass "
        "AND contype IN ('p', 'u')",
        [table],
    ).fetchall()
    indexes = owner.execute(
        "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = %s::regclass AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = c.oid)",
        [table],
    ).fetchall()
    for name, _ in keys:
        owner.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(table), sql.Identifier(name)))
    for name, _ in indexes:
        owner.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    yield
    for name, definition in keys:
        owner.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} ").format(sql.Identifier(table), sql.Identifier(name))
            + sql.SQL(definition)
        )
    for _, definition in indexes:
        owner.execute(sql.SQL(definition.replace(" ON ONLY ", " ON ")))


def main() -> None:
    import django

    parser = argparse.ArgumentParser(prog="python -m benchmarks.seed")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--audit", type=int, default=0)
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--crowd", type=int, default=0)
    parser.add_argument("--unanalyzed", action="store_true")
    parser.add_argument("--issuer", required=True)
    parser.add_argument("--manifest", type=Path, required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_portal.settings")
    django.setup()
    size = Size(
        connections=options.connections,
        audit_records=options.audit,
        tenants=options.tenants,
        crowd=options.crowd,
        analyzed=not options.unanalyzed,
    )
    fill(size, options.issuer, f"{options.issuer}/jwks").save(options.manifest)


if __name__ == "__main__":
    main()
