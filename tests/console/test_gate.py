"""Who gets in, and into which tenant."""

from __future__ import annotations

import pytest
import time_machine
from django.conf import settings

from apps.audit.models import AuditRecord
from apps.core import clock
from apps.tenants.models import Membership, User
from apps.tenants.scope import tenant_scope
from tests.console.conftest import enter
from tests.support import trail


def test_a_stranger_goes_to_the_portals_own_sign_in(browse):
    answer = browse().get("/console/agents/agent/?status=active")
    assert answer.status_code == 302
    assert answer["Location"] == "/signin/?next=%2Fconsole%2Fagents%2Fagent%2F%3Fstatus%3Dactive"


def test_a_fragment_asked_for_after_the_session_ended_sends_the_whole_page(browse):
    answer = browse().get("/console/search/?s=a", headers={"HX-Request": "true"})
    assert answer.status_code == 204 and answer["HX-Redirect"].startswith("/signin/?next=")


@pytest.mark.parametrize("path", ["/console/login/", "/console/login/?next=//evil.example"])
def test_the_console_has_no_login_form_of_its_own(path, browse, owner):
    assert browse().get(path)["Location"].startswith("/signin/?next=")
    assert owner.get(path)["Location"] == "/console/"


def test_somebody_without_an_operating_role_is_told_so(acme, browse, person):
    answer = browse(person(acme, "end_user")).get("/console/")
    assert answer.status_code == 403
    assert acme.slug.encode() not in answer.content.lower()
    assert b'data-testid="request-id"' in answer.content
    assert browse(person()).get("/console/agents/agent/").status_code == 403


def test_one_membership_needs_no_choice(owner, acme):
    answer = owner.get("/console/")
    assert answer.status_code == 200 and acme.slug.title() in answer.content.decode()


def test_several_memberships_do(acme, globex, browse, person):
    user = person(acme)
    Membership.objects.create(tenant_id=globex.id, user=user, role="security_auditor")
    browser = browse(user)
    answer = browser.get("/console/agents/agent/")
    assert answer.status_code == 302 and answer["Location"].startswith("/console/choose/?next=")
    chooser = browser.get(answer["Location"])
    assert acme.slug in chooser.content.decode() and globex.slug in chooser.content.decode()
    chosen = browser.post(answer["Location"], {"tenant": str(globex.id)})
    assert chosen["Location"] == "/console/agents/agent/"
    assert browser.get("/console/agents/agent/").status_code == 200
    assert browser.get("/console/agents/agent/add/").status_code == 403  # an auditor here, an owner there
    enter(browser, acme)
    assert browser.get("/console/agents/agent/add/").status_code == 200


def test_a_foreign_tenant_cannot_be_chosen(owner, acme, globex):
    assert owner.post("/console/choose/", {"tenant": str(globex.id)}).status_code == 404
    assert owner.post("/console/choose/", {"tenant": "x"}).status_code == 200
    assert acme.slug.title() in owner.get("/console/").content.decode()


def test_membership_is_looked_at_afresh_at_every_request(acme, globex, browse, person):
    user = person(acme)
    Membership.objects.create(tenant_id=globex.id, user=user, role="tenant_owner")
    browser = browse(user)
    enter(browser, globex)
    assert browser.get("/console/authn/accesskey/").status_code == 200
    Membership.objects.filter(tenant_id=globex.id, user=user).delete()
    assert globex.slug not in browser.get("/console/").content.decode().lower()
    Membership.objects.filter(user=user).delete()
    assert browser.get("/console/").status_code == 403


def test_an_inactive_person_is_out_at_once(acme, browse, person):
    user = person(acme)
    browser = browse(user)
    assert browser.get("/console/").status_code == 200
    User.objects.filter(id=user.id).update(is_active=False)
    assert browser.get("/console/")["Location"].startswith("/signin/")


def test_platform_staff_enter_by_choice_and_are_recorded(staff, acme):
    assert staff.get("/console/agents/agent/")["Location"].startswith("/console/choose/")
    assert trail(acme, action="tenant.enter") == []
    enter(staff, acme, why="ticket 7")
    (record,) = trail(acme, action="tenant.enter")
    assert (record.outcome, record.actor_kind, record.details) == ("allowed", "person", {"why": "ticket 7"})
    assert staff.get("/console/agents/agent/").status_code == 200
    assert len(trail(acme, action="tenant.enter")) == 1


def test_platform_staff_leave_by_themselves_after_a_while(staff, acme):
    enter(staff, acme)
    start = clock.now().timestamp()
    for minutes in range(20, 240, 20):  # busy all the time: the session itself stays alive
        with time_machine.travel(start + minutes * 60, tick=False):
            assert staff.get("/console/agents/agent/").status_code == 200
    with time_machine.travel(start + 4 * 3600 + 5, tick=False):
        assert staff.get("/console/agents/agent/")["Location"].startswith("/console/choose/")


def test_platform_staff_see_the_platform_without_a_tenant_and_nothing_else(staff):
    assert staff.get("/console/tenants/tenant/").status_code == 200
    assert staff.get("/console/tenants/tenant/add/").status_code == 200
    assert staff.get("/console/audit/operatorrecord/").status_code == 200
    for path in ("/console/", "/console/audit/auditrecord/", "/console/tenants/membership/"):
        assert staff.get(path)["Location"].startswith("/console/choose/")


@pytest.mark.case("T103")
@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/console/",
        "javascript:alert(1)",
        "/signin/",
        "/console/../me/",
        "%2f%2fevil",
        "/console\\@evil.example",
    ],
)
def test_T103_choosing_leads_nowhere_but_into_the_console(wanted, staff, acme):
    answer = staff.post("/console/choose/", {"tenant": str(acme.id), "next": wanted})
    assert answer["Location"] == "/console/" or answer["Location"].startswith("/console/")
    assert "evil" not in answer["Location"]


def test_signing_out_is_a_post(owner):
    assert owner.get("/console/logout/").status_code == 405
    assert owner.get("/console/").status_code == 200
    assert owner.post("/console/logout/")["Location"] == settings.LOGOUT_REDIRECT_URL
    assert owner.get("/console/")["Location"].startswith("/signin/")


@pytest.mark.case("T106")
def test_T106_no_change_without_the_forms_token(acme, browse, person):
    browser = browse(person(acme), csrf=True)
    browser.get("/console/agents/agent/add/")
    for path in ("/console/agents/agent/add/", "/console/choose/", "/console/logout/"):
        assert browser.post(path, {"name": "forged-agent"}).status_code == 403
    with tenant_scope(acme.id):
        assert not AuditRecord.objects.filter(action="agent.create").exists()
    token = browser.cookies[settings.CSRF_COOKIE_NAME].value
    good = browser.post("/console/agents/agent/add/", {"name": "real-agent", "csrfmiddlewaretoken": token})
    assert good.status_code == 302


@pytest.mark.case("T107")
def test_T107_the_weaker_policy_is_the_consoles_alone(owner, browse):
    pages = ["/console/", "/console/agents/agent/add/", "/console/choose/", "/console/agents/agent/nope/change/"]
    for path in pages:
        answer = owner.get(path)
        policy = answer["Content-Security-Policy"]
        assert "'unsafe-eval'" in policy and "script-src 'self' 'unsafe-eval'" in policy
        for rule in ("frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'", "form-action 'self'"):
            assert rule in policy
        assert answer["X-Frame-Options"] == "DENY" and answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Cache-Control"] == "no-store"
    for path in ("/signin/", "/healthz/live", "/consoles/"):
        policy = browse().get(path)["Content-Security-Policy"]
        assert "unsafe" not in policy and "default-src 'none'" in policy
