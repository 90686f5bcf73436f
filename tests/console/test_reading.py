"""A page reads; only a good form acts, through the broker, in transactions of the broker's own."""

from __future__ import annotations

import hashlib

import pytest
from django.contrib import admin
from django.db import DatabaseError, connection

from apps.agents.models import Agent
from apps.audit.models import AuditRecord
from apps.entrypoints.console.deferred import reading
from apps.tenants import registry
from apps.tenants.scope import in_scope, tenant_scope
from tests.console import pages
from tests.console.conftest import make_person, open_browser
from tests.support import rows, trail

# A visit moves the session's own row and nothing else.
MOVING = {"django_session"}


def fingerprint(tenant) -> dict[str, str]:
    """A checksum of every table's content, as the owner of the tenant sees it."""
    found = {}
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        for model in registry.all_models():
            table = model._meta.db_table
            if table in MOVING or model._meta.label.startswith("oauth2_provider."):
                continue
            cursor.execute(
                f"SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM \"{table}\" t"
            )
            found[table] = cursor.fetchone()[0]
    return found


def test_a_get_changes_nothing_anywhere(acme, owner):
    user = make_person(acme)
    addresses = ["/console/", "/console/choose/", "/console/search/?s=a&extended=1", "/console/jsi18n/"]
    with tenant_scope(acme.id):
        for label, page in pages.shown().items():
            addresses += pages.addresses(page, pages.key_of(pages.row_of(label, acme, user)))
    before = fingerprint(acme)
    for address in addresses:
        assert owner.get(address).status_code in (200, 403), address
        assert owner.head(address).status_code in (200, 403), address
    assert fingerprint(acme) == before


def test_the_database_itself_refuses_a_write_while_a_page_is_read(acme):
    with tenant_scope(acme.id):
        agent = Agent.objects.create(name="steady-agent")
    with pytest.raises(DatabaseError, match="read-only"), reading(acme.id):
        Agent.objects.filter(id=agent.id).update(name="changed")
    with pytest.raises(DatabaseError, match="read-only"), reading(acme.id):
        AuditRecord.objects.filter().delete()
    with tenant_scope(acme.id):  # and only then: the next transaction may write
        assert Agent.objects.filter(name="steady-agent").update(description="x") == 1


def test_a_page_that_tries_to_write_fails_and_writes_nothing(acme, owner, monkeypatch):
    from apps.entrypoints.console.admins.agents import AgentAdmin

    monkeypatch.setattr(AgentAdmin, "prepare_rows", lambda *_: Agent.objects.create(name="written-by-a-page"))
    owner.raise_request_exception = False
    assert owner.get("/console/agents/agent/").status_code == 500
    monkeypatch.undo()
    assert owner.get("/console/agents/agent/").status_code == 200
    assert rows(acme, Agent, name="written-by-a-page") == []


def test_the_broker_works_outside_the_pages_transaction(acme, owner, monkeypatch):
    """So a network call of a handler holds no connection, and its intent is committed before it."""
    from apps.broker import contracts as c
    from apps.broker import run as broker

    seen = []
    handler = broker._HANDLERS[c.CreateAgent]

    def watched(command, work):
        seen.append((in_scope(), connection.in_atomic_block))
        return handler(command, work)

    monkeypatch.setitem(broker._HANDLERS, c.CreateAgent, watched)
    assert owner.post("/console/agents/agent/add/", {"name": "outside-agent"}).status_code == 302
    assert seen == [(False, False)]


def test_a_refusal_is_recorded_and_said(acme, owner):
    owner.post("/console/agents/agent/add/", {"name": "twice-agent"})
    again = owner.post("/console/agents/agent/add/", {"name": "twice-agent", "return_urls": "https://kept.example/x"})
    assert again.status_code == 200
    assert "exists already" in again.content.decode() and "https://kept.example/x" in again.content.decode()
    (record,) = trail(acme, action="agent.create", outcome="denied")
    assert record.reason == "name_taken" and record.actor_kind == "person"


def test_a_fault_of_the_handler_leaves_its_record_although_the_page_fails(acme, owner, monkeypatch):
    from apps.broker import contracts as c
    from apps.broker import run as broker

    def broken(command, work):
        raise ZeroDivisionError

    monkeypatch.setitem(broker._HANDLERS, c.CreateAgent, broken)
    owner.raise_request_exception = False
    assert owner.post("/console/agents/agent/add/", {"name": "broken-agent"}).status_code == 500
    (record,) = trail(acme, action="agent.create")
    assert (record.outcome, record.reason) == ("failed", "ZeroDivisionError")


def test_a_change_is_recorded_with_who_and_from_where(acme, browse, person):
    user = person(acme)
    answer = browse(user).post("/console/agents/agent/add/", {"name": "recorded-agent"})
    (record,) = trail(acme, action="agent.create")
    assert (record.actor_kind, record.actor, record.proof) == ("person", str(user.id), "session")
    assert record.source_ip == "127.0.0.1" and record.request_id == answer["X-Request-Id"]


def test_djangos_admin_log_stays_empty(acme, owner):
    from django.contrib.admin.models import LogEntry

    owner.post("/console/agents/agent/add/", {"name": "unlogged-agent"})
    (agent,) = rows(acme, Agent, name="unlogged-agent")
    owner.post(pages.url("agents.Agent", "delete", agent.id), {"post": "yes"})
    assert not LogEntry.objects.exists()
    assert owner.get(f"/console/agents/agent/{agent.id}/history/").status_code == 404


def test_the_digest_helper_sees_a_change(acme):
    before = fingerprint(acme)
    with tenant_scope(acme.id):
        Agent.objects.create(name="seen-agent")
    assert fingerprint(acme) != before and len(before) > 25
    assert hashlib.md5(b"", usedforsecurity=False)


def test_no_page_has_a_door_of_djangos_that_we_did_not_open():
    from django.urls import NoReverseMatch, reverse

    for name in ("autocomplete", "view_on_site", "password_change", "agents_agent_history"):
        with pytest.raises(NoReverseMatch):
            reverse(f"admin:{name}", args=["x"] if name.endswith("history") else [])
    assert admin.site.final_catch_all_view


def test_the_browser_of_a_refused_person_may_still_sign_out(acme):
    browser = open_browser(make_person(acme, "end_user"))
    assert b"/signin/out" in browser.get("/console/").content
