"""No record, no secret: the trail cannot be changed, and what cannot be written down does not happen."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from tests.security import oracle
from tests.security.calls import SUCCEEDS
from tests.security.lab import RETURN, Lab, denied, must
from tests.security.wire import Wire

TABLES = ("audit_auditrecord", "audit_operatorrecord")
# A database that refuses a record is logged as what it is.
pytestmark = pytest.mark.usefixtures("faults_expected")


# --- append only --------------------------------------------------------------------------------------------------


def as_the_service(statement: str, tenant: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('portal.tenant_id', %s, true)", [str(tenant.id)])
        cursor.execute(statement)


@pytest.mark.case("T131")
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {t} SET reason = 'x'",
        "DELETE FROM {t}",
        "TRUNCATE {t}",
        "DELETE FROM {t} WHERE false",
        "ALTER TABLE {t} DISABLE TRIGGER ALL",
        "DROP TABLE {t}",
        "LOCK TABLE {t} IN ACCESS EXCLUSIVE MODE",
    ],
)
def test_T131_the_service_can_only_add_to_the_trail(lab: Lab, table: str, statement: str) -> None:
    must(lab.wire.call("GetTokenVault"))
    before = oracle.execute(f"SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t")
    with pytest.raises(DatabaseError, match="permission denied|must be owner|append-only"):
        as_the_service(statement.format(t=table), lab.tenant)
    assert oracle.execute(f"SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t") == before


@pytest.mark.case("T131")
def test_T131_not_even_the_owner_changes_a_record_by_accident(lab: Lab) -> None:
    import psycopg

    must(lab.wire.call("GetTokenVault"))
    parts = oracle.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_auditrecord'::regclass"
    )
    for table in (*TABLES, *(part for (part,) in parts[:3]), "audit_auditrecord_default"):
        with pytest.raises(psycopg.Error, match="append-only"):
            oracle.execute(f"TRUNCATE {table}")
    for statement in (
        f"UPDATE audit_auditrecord SET reason = 'x' WHERE tenant_id = '{lab.tenant.id}'",
        f"DELETE FROM audit_auditrecord WHERE tenant_id = '{lab.tenant.id}'",
    ):
        with pytest.raises(psycopg.Error, match="append-only"):
            oracle.execute(statement)


@pytest.mark.case("T131")
def test_T131_a_record_cannot_be_written_for_another_tenant_or_with_a_hash_of_ones_own(
    lab: Lab, neighbour: Lab
) -> None:
    insert = (
        "INSERT INTO audit_auditrecord (tenant_id, id, action, outcome, reason, actor_kind, actor, proof, agent_name, "
        "on_behalf_of, provider_name, details, request_id, digest) VALUES "
        "('{tenant}', gen_random_uuid(), 'agent.read', 'allowed', '', 'x', 'x', '', '', '', '', '{{}}', '{mark}', '\\x00')"
    )
    with pytest.raises(DatabaseError, match="row-level security"):
        as_the_service(insert.format(tenant=neighbour.tenant.id, mark="forged"), lab.tenant)
    mark = secrets.token_hex(8)
    as_the_service(insert.format(tenant=lab.tenant.id, mark=mark), lab.tenant)
    digest = lab.rows("SELECT digest FROM audit_auditrecord WHERE request_id = %s AND tenant_id = %s", mark)
    assert len(digest[0][0]) == 32, "the database hashes the content, whatever was sent"


# --- what cannot be recorded does not happen ----------------------------------------------------------------------


@contextmanager
def no_record(tenant: Any, condition: str = "true", *, times: int | None = None) -> Iterator[None]:
    """Inserts into the trail fail for this tenant: all, those that meet a condition, or only the first so many."""
    name = f"fault_{secrets.token_hex(4)}"
    limit = f"IF nextval('{name}_seq') > {times} THEN RETURN NEW; END IF;" if times is not None else ""
    oracle.execute(f"CREATE SEQUENCE {name}_seq")
    oracle.execute(f"GRANT USAGE ON SEQUENCE {name}_seq TO PUBLIC")
    oracle.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN {limit} "
        "RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $body$"
    )
    oracle.execute(
        f"CREATE TRIGGER {name} BEFORE INSERT ON audit_auditrecord FOR EACH ROW "
        f"WHEN (NEW.tenant_id = '{tenant.id}' AND ({condition})) EXECUTE FUNCTION {name}()"
    )
    try:
        yield
    finally:
        oracle.execute(f"DROP TRIGGER {name} ON audit_auditrecord")
        oracle.execute(f"DROP FUNCTION {name}")
        oracle.execute(f"DROP SEQUENCE {name}_seq")


@pytest.mark.case("T132")
@pytest.mark.parametrize("operation", sorted(SUCCEEDS))
def test_T132_when_the_trail_cannot_be_written_nothing_is_done_or_given(lab: Lab, operation: str) -> None:
    members = SUCCEEDS[operation](lab)
    before = oracle.snapshot(lab.tenant)
    with no_record(lab.tenant):
        oracle.calls_to(lab.hub)
        reply = denied(lab.wire.call(operation, members), 500, "InternalServerException")
        assert set(oracle.calls_to(lab.hub)) <= {"openid_configuration", "jwks"}, "settings and keys may be read"
    assert "oken" not in str({k: v for k, v in reply.json.items() if k != "message"})
    # A completion is refused before its code leaves; the request itself is as it was.
    assert oracle.changed(before, oracle.snapshot(lab.tenant)) == set()
    must(lab.wire.call(operation, members))


@pytest.mark.case("T132")
def test_T132_other_tenants_go_on_while_ones_trail_cannot_be_written(lab: Lab, neighbour: Lab) -> None:
    wat = neighbour.wat()
    with no_record(lab.tenant):
        assert must(neighbour.ask_api_key(wat))["apiKey"] == neighbour.api_key
        must(neighbour.wire.call("ListWorkloadIdentities"))


@pytest.mark.case("T132")
def test_T132_without_a_record_nobody_decides_and_nothing_is_exchanged(lab: Lab) -> None:
    flow = lab.start()
    with no_record(lab.tenant):
        assert lab.dana.open(flow.url).status in (500, 503)
    lab.dana.open(flow.url)
    before = oracle.snapshot(lab.tenant)
    with no_record(lab.tenant):
        assert lab.dana.submit(button="consent-approve").status in (500, 503)
    assert oracle.changed(before, oracle.snapshot(lab.tenant)) == set()
    url = lab.to_callback(flow)
    oracle.calls_to(lab.hub)
    with no_record(lab.tenant):
        assert lab.dana.open(url).status in (500, 503)
        assert "token" not in oracle.calls_to(lab.hub)
    lab.works()


@pytest.mark.case("T132")
def test_T132_the_intent_is_written_before_the_provider_is_asked(lab: Lab) -> None:
    """A crash after the call leaves a trace of it; without the trace there is no call."""
    flow = lab.connect()
    oracle.execute(
        "UPDATE connections_connection SET refresh_after = now(), access_expires_at = now() WHERE tenant_id = %s",
        lab.tenant.id,
    )
    oracle.calls_to(lab.hub)
    with no_record(lab.tenant, "NEW.outcome = 'intent'"):
        denied(lab.ask(flow.wat), 500, "InternalServerException")
        assert oracle.calls_to(lab.hub) == []
    assert must(lab.ask(flow.wat))["accessToken"]
    started = lab.start()
    lab.consent(started)
    with no_record(lab.tenant, "NEW.outcome = 'intent'"):
        denied(lab.complete(started), 500, "InternalServerException")
        assert oracle.calls_to(lab.hub) == ["token"], "the refresh above; no code left"


@pytest.mark.case("T132")
def test_T132_a_token_is_not_released_when_only_its_own_record_fails(lab: Lab) -> None:
    """On the fast path and on the slow one, machine tokens and API keys alike."""
    flow = lab.connect()
    own = lab.wat()
    machine = {"oauth2Flow": "M2M", "scopes": ["status:read"]}
    calls = {
        "stored": lambda: lab.ask(flow.wat),
        "renewed": lambda: lab.ask(flow.wat),
        "machine": lambda: lab.ask(own, **machine),
        "API key": lambda: lab.ask_api_key(own),
    }
    for name, call in calls.items():
        if name == "renewed":
            oracle.execute(
                "UPDATE connections_connection SET refresh_after = now() WHERE tenant_id = %s", lab.tenant.id
            )
        with no_record(lab.tenant, "NEW.outcome = 'allowed' AND NEW.action LIKE 'credential.%'"):
            reply = call()
        assert (reply.status, reply.code) == (500, "InternalServerException"), name
        assert b"hubat_" not in reply.body and lab.api_key.encode() not in reply.body
        must(call())


# --- what a provider gave is not lost -----------------------------------------------------------------------------


def grant_of(lab: Lab, flow: Any) -> dict[str, Any]:
    [grant] = [g for g in lab.hub.grants(lab.client) if not g["ended_at"] and g["scopes"] == flow.asked["scopes"]][-1:]
    return grant


@pytest.mark.case("T119")
def test_T119_a_commit_that_fails_for_a_moment_keeps_the_new_token(own_lab: Lab) -> None:
    """The provider has rotated the refresh token: what it answered exists in one process's memory only."""
    lab = own_lab
    flow = lab.connect()
    first = must(lab.ask(flow.wat))["accessToken"]
    oracle.execute("UPDATE connections_connection SET refresh_after = now() WHERE tenant_id = %s", lab.tenant.id)
    oracle.calls_to(lab.hub)
    with no_record(lab.tenant, "NEW.action = 'connection.renew' AND NEW.outcome = 'allowed'", times=3):
        second = must(lab.ask(flow.wat))["accessToken"]
    assert second != first and oracle.calls_to(lab.hub) == ["token"]
    state = lab.rows("SELECT status, generation, lease_id FROM connections_connection WHERE tenant_id = %s")
    assert state == [("active", 2, None)]
    oracle.execute("UPDATE connections_connection SET refresh_after = now() WHERE tenant_id = %s", lab.tenant.id)
    assert must(lab.ask(flow.wat))["accessToken"] not in (first, second), "the rotated refresh token was kept too"


@pytest.mark.case("T119")
def test_T119_a_crash_after_the_providers_answer_never_leaves_a_connection_that_only_looks_alive(
    own_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.broker.upkeep import renewal

    lab = own_lab
    flow = lab.connect()
    monkeypatch.setattr(renewal, "_COMMIT_FOR_S", 0.2)
    here = Wire(lab.portal.url, lab.wire.key_id, lab.wire.secret, here=True)
    due = "UPDATE connections_connection SET refresh_after = now(), access_expires_at = now(), lease_until = NULL WHERE tenant_id = %s"
    oracle.execute(due, lab.tenant.id)
    with no_record(lab.tenant, "NEW.action = 'connection.renew' AND NEW.outcome = 'allowed'"):
        denied(lab.ask(flow.wat, wire=here), 500, "InternalServerException")
    # The answer is lost for good, and the provider has rotated: the next try learns that and says so.
    oracle.execute(due, lab.tenant.id)
    asked = must(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN))
    assert "accessToken" not in asked and asked["authorizationUrl"]
    assert lab.rows("SELECT status FROM connections_connection WHERE tenant_id = %s") == [("needs_reconsent",)]
    lab.works()
