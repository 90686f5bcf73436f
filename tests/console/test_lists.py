"""Lists and the overview: pages without counting, true numbers, links that show exactly what they promise."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.models import Agent
from apps.audit.models import AuditRecord
from apps.connections.models import Connection
from apps.core import clock
from apps.entrypoints.console import overview
from apps.tenants.models import Tenant
from apps.tenants.scope import tenant_scope
from tests.console import pages
from tests.console.conftest import make_person, open_browser
from tests.walls.samples import SAMPLES


def walk(browser, address: str) -> list[str]:
    """Every row's id, page after page."""
    found: list[str] = []
    for _ in range(20):
        answer = browser.get(address)
        found += re.findall(r'data-id="([^"]+)"', answer.content.decode())
        more = answer.context["cl"].next_after
        if not more:
            return found
        address = answer.context["cl"].next_url()
        address = f"{answer.request['PATH_INFO']}{address}"
    raise AssertionError("the list does not end")


def test_pages_hold_every_row_once_in_order(acme, owner):
    with tenant_scope(acme.id):
        Agent.objects.bulk_create(Agent(name=f"bot-{n:03d}") for n in range(63))
        wanted = [str(pk) for pk in Agent.objects.order_by("name", "id").values_list("id", flat=True)]
    assert walk(owner, "/console/agents/agent/") == wanted


def test_rows_of_the_same_moment_are_neither_lost_nor_repeated(acme, owner):
    now = clock.now()
    with tenant_scope(acme.id):
        AuditRecord.objects.bulk_create(
            AuditRecord(action="agent.read", outcome="allowed", actor_kind="x", actor="x", request_id="same", at=now)
            for _ in range(60)
        )
    found = walk(owner, "/console/audit/auditrecord/?q=same")
    assert len(found) == 60 == len(set(found))


def test_a_filter_stays_on_the_next_page(acme, owner):
    with tenant_scope(acme.id):
        Agent.objects.bulk_create(
            Agent(name=f"bot-{n:03d}", status="suspended" if n % 2 else "active") for n in range(70)
        )
    assert len(walk(owner, "/console/agents/agent/?status=suspended")) == 35


@pytest.mark.parametrize("label", ["audit.AuditRecord", "connections.Connection", "agents.Agent"])
def test_no_list_counts_or_skips_rows(label, acme, owner):
    with tenant_scope(acme.id):
        SAMPLES[label]()
    with CaptureQueriesContext(connection) as queries:
        assert owner.get(pages.list_url(label)).status_code == 200
    said = [q["sql"].upper() for q in queries]
    assert not [sql for sql in said if "COUNT(" in sql or "OFFSET" in sql]


def test_a_longer_list_costs_no_more_queries(acme, owner):
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            owner.get("/console/connections/connection/")
        return len(queries)

    with tenant_scope(acme.id):
        SAMPLES["connections.Connection"]()
    one = cost()
    with tenant_scope(acme.id):
        for _ in range(9):
            SAMPLES["connections.Connection"]()
    assert cost() == one


@pytest.mark.parametrize(
    "card",
    ["kpi-active-agents", "kpi-active-connections", "kpi-providers", "kpi-keys", "kpi-events-24h", "kpi-denied-24h"],
)
def test_a_number_is_the_length_of_the_list_behind_it(card, acme, owner):
    old = clock.now() - timedelta(hours=25)
    with tenant_scope(acme.id):
        for label in ("agents.Agent", "providers.Provider", "connections.Connection", "authn.AccessKey"):
            SAMPLES[label]()
        Agent.objects.create(name="sleeping-agent", status="suspended")
        revoked = SAMPLES["connections.Connection"]()
        Connection.objects.filter(pk=revoked.pk).update(status="revoked")
        AuditRecord.objects.bulk_create(
            AuditRecord(action="agent.read", outcome=o, actor_kind="x", actor="x", request_id="r", at=at)
            for o, at in (("denied", clock.now()), ("denied", old), ("allowed", old), ("failed", clock.now()))
        )
    html = owner.get("/console/").content.decode()
    found = re.search(rf'href="([^"]+)" data-testid="{card}" data-value="(\d+)"', html)
    assert found is not None
    address, value = found[1].replace("&amp;", "&"), int(found[2])
    assert value > 0
    assert len(walk(owner, address)) == value


def test_counting_stops_where_an_exact_number_helps_nobody(acme, monkeypatch):
    monkeypatch.setattr(overview, "MOST", 3)
    with tenant_scope(acme.id):
        for _ in range(5):
            SAMPLES["agents.Agent"]()
        numbers = {n.testid: n for n in overview.numbers()}
    assert numbers["kpi-active-agents"].value == 4 and numbers["kpi-active-agents"].shown == "3+"


def test_the_checklist_follows_what_is_there_and_goes_away(acme, owner):
    def steps() -> list[str]:
        return re.findall(r'<li data-state="(\w+)">', owner.get("/console/").content.decode())

    assert steps() == ["pending", "pending", "pending", "completed", "pending"]  # create_tenant made a key
    owner.post("/console/agents/agent/add/", {"name": "bot-1"})
    assert steps()[1] == "completed"
    owner.post("/console/providers/provider/add/?kind=api_key", {"name": "w", "api_key": "k"})
    assert steps()[0] == "completed"
    Tenant.objects.filter(id=acme.id).update(claim_user_ids=True)
    assert steps()[2] == "completed"
    with tenant_scope(acme.id):
        SAMPLES["connections.Connection"]()
    assert steps() == []


def test_a_role_that_cannot_do_a_step_gets_no_button(acme):
    browser = open_browser(make_person(acme, "approver"))
    html = browser.get("/console/").content.decode()
    assert "setup-checklist" in html and "/add/" not in html


@pytest.mark.parametrize("label", sorted(pages.shown()))
def test_every_page_has_one_heading_and_a_title_of_its_own(label, acme, owner, staff):
    user = make_person(acme)
    browser = owner if pages.shown()[label].see != "tenant.create" else staff
    if browser is staff:
        from tests.console.conftest import enter

        enter(staff, acme)
    with tenant_scope(acme.id):
        row = pages.row_of(label, acme, user)
    titles = set()
    for address in pages.addresses(pages.shown()[label], row.pk):
        answer = browser.get(address)
        if answer.status_code == 403:  # an owner does not add tenants
            continue
        html = answer.content.decode()
        assert html.count("<h1") == 1, address
        title = " ".join(re.search(r"<title>(.*?)</title>", html, re.S)[1].split())  # type: ignore[index]
        assert title.endswith("· Identity Portal") and "object (" not in title, title
        assert title not in titles
        titles.add(title)
    assert titles


def test_dates_are_said_in_words_with_the_moment_behind(acme, owner):
    with tenant_scope(acme.id):
        SAMPLES["agents.Agent"]()
    html = owner.get("/console/agents/agent/").content.decode()
    assert re.search(r'<time datetime="\d{4}-[^"]+" title="\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC">just now</time>', html)


def test_the_dialog_is_a_fragment_for_scripts_and_a_page_without_them(acme, owner):
    with tenant_scope(acme.id):
        agent = SAMPLES["agents.Agent"]()
    address = pages.url("agents.Agent", "suspend", agent.pk)
    fragment = owner.get(address, headers={"HX-Request": "true"}).content.decode()
    whole = owner.get(address).content.decode()
    assert "<html" not in fragment and "<html" in whole
    for html in (fragment, whole):
        assert 'method="post"' in html and "csrfmiddlewaretoken" in html
        for name in ("dialog-reason", "dialog-submit", "dialog-cancel", "dialog-impact"):
            assert f'data-testid="{name}"' in html
    box = owner.get(pages.url("agents.Agent", "change", agent.pk)).content.decode()
    assert 'role="dialog" aria-modal="true" aria-labelledby="dialog-title"' in box
    done = owner.post(address, {"why": "x"}, headers={"HX-Request": "true"})
    assert done.status_code == 200 and done["HX-Redirect"] == pages.url("agents.Agent", "change", agent.pk)


def test_a_dialog_shows_the_brokers_refusal(acme, owner, monkeypatch):
    from apps.broker import contracts as c
    from apps.broker import run as broker
    from apps.core.errors import Invalid

    def no(command, work):
        raise Invalid.field("why", "Not on a Friday.", reason="friday")

    monkeypatch.setitem(broker._HANDLERS, c.SuspendAgent, no)
    with tenant_scope(acme.id):
        agent = SAMPLES["agents.Agent"]()
    for headers in ({}, {"HX-Request": "true"}):
        answer = owner.post(pages.url("agents.Agent", "suspend", agent.pk), {"why": "typed"}, headers=headers)
        html = answer.content.decode()
        assert answer.status_code == 200 and "Not on a Friday." in html and 'value="typed"' in html


def test_an_event_is_found_by_its_whole_key_in_one_partition(acme, owner):
    """By its id alone every month of the tenant's trail would be read."""
    with tenant_scope(acme.id):
        event = SAMPLES["audit.AuditRecord"]()
    listed = owner.get("/console/audit/auditrecord/").content.decode()
    address = pages.url("audit.AuditRecord", "change", pages.key_of(event))
    assert address in listed and address in owner.get("/console/").content.decode()
    with CaptureQueriesContext(connection) as asked:
        page = owner.get(address)
    assert page.status_code == 200 and str(event.request_id) in page.content.decode()
    looked_up = [q["sql"] for q in asked if '"audit_auditrecord"."id" =' in q["sql"]]
    assert looked_up and all('"audit_auditrecord"."at" =' in sql for sql in looked_up)
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + looked_up[0])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    parts = set(re.findall(r"audit_auditrecord_(?:\d{6}|default)(?= audit_auditrecord)", plan))
    assert parts == {f"audit_auditrecord_{event.at:%Y%m}"}, plan


@pytest.mark.parametrize(
    "key", ["{id}", "x.{id}", "1.{id}", ".{id}", "99999999999999999.{id}", "-1.{id}", "1.x", "١.{id}"]
)
def test_an_event_under_another_key_is_not_there(acme, owner, key):
    with tenant_scope(acme.id):
        event = SAMPLES["audit.AuditRecord"]()
    assert owner.get(f"/console/audit/auditrecord/{key.format(id=event.id)}/change/").status_code == 404
