"""Each role and each page. The table is written by hand: a page that opens to one role more is a line in a review."""

from __future__ import annotations

import pytest
from django.contrib import admin

from apps.entrypoints.console.base import ConsoleAdmin
from apps.tenants.scope import tenant_scope
from tests.console import pages
from tests.console.conftest import enter, make_person, open_browser

# Roles as one letter each, in the columns' order.
WHO = {
    "P": "platform_admin",
    "O": "tenant_owner",
    "A": "tenant_admin",
    "D": "agent_developer",
    "S": "security_auditor",
    "V": "approver",
}
# page:               may see   may add  may change  may delete   actions
TABLE = {
    "agents.AgentRuntime": ("POADSV", "", "", "", {}),
    "agents.Authorizer": ("POADSV", "", "", "", {}),
    "agents.AuthorizerIssuer": ("POADSV", "", "", "", {}),
    "agents.GatewayKey": ("POADSV", "", "", "POA", {}),
    "agents.Agent": (
        "POADSV",
        "POAD",
        "POAD",
        "POA",
        {"suspend": "POA", "resume": "POA", "trust": "POA", "distrust": "POA"},
    ),
    "providers.Provider": ("POADSV", "POA", "POA", "POA", {"suspend": "POA", "resume": "POA"}),
    "connections.Connection": ("POADSV", "", "", "", {"revoke": "POA"}),
    "connections.ConsentSession": ("POADSV", "", "", "", {}),
    "connections.Principal": ("POADSV", "", "", "", {"suspend": "POA", "resume": "POA"}),
    "connections.PrincipalLink": ("POADSV", "POA", "", "", {}),
    "policy.Binding": ("POADSV", "POA", "POA", "POA", {}),
    "policy.BindingPrincipal": ("POADSV", "", "", "", {}),
    "authn.AccessKey": ("POADSV", "POA", "", "POA", {"disable": "POA", "enable": "POA"}),
    "authn.AccessKeyGrant": ("POADSV", "", "", "", {}),
    "authn.TrustedIssuer": ("POADSV", "POA", "POA", "POA", {}),
    "authn.WorkloadToken": ("POADSV", "", "", "", {}),
    "authn.AnsweredRequest": ("POADSV", "", "", "", {}),
    "authn.OAuthClient": ("POADSV", "POA", "", "POA", {"renew": "POA", "disable": "POA", "enable": "POA"}),
    "authn.OAuthAssertion": ("POADSV", "", "", "", {}),
    "authn.SigningKey": ("POADSV", "", "", "", {}),
    "authn.OAuthGrant": ("POADSV", "", "", "", {}),
    "authn.OAuthIdToken": ("POADSV", "", "", "", {}),
    "authn.OAuthAccessToken": ("POADSV", "", "", "", {}),
    "authn.OAuthRefreshToken": ("POADSV", "", "", "", {}),
    "authn.OAuthDeviceGrant": ("POADSV", "", "", "", {}),
    "tenants.Membership": ("POADSV", "POA", "POA", "POA", {}),
    "tenants.Tenant": ("POADSV", "P", "PO", "", {}),
    "audit.AuditRecord": ("POADSV", "", "", "", {}),
    "vault.TenantKey": ("POADSV", "", "", "", {}),
    "vault.SealedSecret": ("POADSV", "", "", "", {}),
    "vault.KeyRingCanary": ("P", "", "", "", {}),
    "tenants.User": ("P", "", "", "", {}),
    "tenants.DueItem": ("P", "", "", "", {}),
    "audit.OperatorRecord": ("P", "", "", "", {}),
    "axes.AccessAttempt": ("P", "", "", "", {}),
    "axes.AccessFailureLog": ("P", "", "", "", {}),
}


def test_the_table_has_every_page():
    assert set(TABLE) == set(pages.shown())


@pytest.mark.parametrize("letter", WHO)
def test_each_role_gets_the_pages_of_its_row(letter, acme):
    """One role, all pages, GET and POST. Nothing is done: every POST is empty, so at most a form comes back."""
    user = make_person(acme, WHO[letter]) if letter != "P" else make_person(staff=True)
    browser = open_browser(user)
    if letter == "P":
        make_person(acme, "approver")
        enter(browser, acme)
    wrong = []

    def expect(method: str, address: str, allowed: bool, good: tuple[int, ...] = (200,)) -> None:
        answer = getattr(browser, method)(address)
        if allowed != (answer.status_code in good) or (not allowed and answer.status_code not in (403, 404, 405)):
            wrong.append(f"{method} {address}: {answer.status_code}, expected {'yes' if allowed else 'no'}")

    for label, (see, add, change, delete, actions) in TABLE.items():
        page = pages.shown()[label]
        with tenant_scope(acme.id):
            pk = pages.key_of(pages.row_of(label, acme, user))
        expect("get", pages.list_url(label), letter in see)
        expect("post", pages.list_url(label), False)
        expect("get", pages.url(label, "change", pk), letter in see)
        expect("post", pages.url(label, "change", pk), letter in change, (200, 302))
        if page.create:
            add_url = f"{pages.list_url(label)}add/"
            expect("get", add_url, letter in add)
            expect("post", add_url, letter in add)
        if page.remove:
            expect("get", pages.url(label, "delete", pk), letter in delete)
        else:
            assert browser.get(f"{pages.list_url(label)}{pk}/delete/").status_code == 404
        assert set(actions) == set(pages.actions_of(page))
        for name, allowed in actions.items():
            expect("get", pages.url(label, name, pk), letter in allowed)
            expect("post", pages.url(label, name, pk), letter in allowed, (200, 302))
    assert wrong == []


def test_the_audit_trail_is_read_only_for_everybody(owner, staff, acme):
    enter(staff, acme)
    with tenant_scope(acme.id):
        pk = pages.key_of(pages.row_of("audit.AuditRecord", acme, None))
    for browser in (owner, staff):
        address = pages.url("audit.AuditRecord", "change", pk)
        page = browser.get(address).content.decode()
        assert 'name="_save"' not in page and "/delete/" not in page
        assert browser.post(address, {"outcome": "denied"}).status_code == 403
        assert browser.get("/console/audit/auditrecord/add/").status_code == 404
        assert browser.get(f"/console/audit/auditrecord/{pk}/delete/").status_code == 404


def test_an_auditor_sees_forms_as_text(acme):
    browser = open_browser(make_person(acme, "security_auditor"))
    with tenant_scope(acme.id):
        agent = pages.row_of("agents.Agent", acme, None)
    page = browser.get(pages.url("agents.Agent", "change", agent.pk)).content.decode()
    assert agent.name in page and "<textarea" not in page and 'name="_save"' not in page
    assert "agent-suspend" not in page


@pytest.mark.parametrize("door", ["save_model", "delete_model", "delete_queryset"])
def test_djangos_own_writing_is_walled_up(door):
    for page in admin.site._registry.values():
        assert getattr(type(page), door) is getattr(ConsoleAdmin, door)
        with pytest.raises(TypeError):
            getattr(page, door)(*([None] * (4 if door == "save_model" else 2)))
