"""What a tenant's own operator may try."""

from __future__ import annotations

import pytest

from apps.agents.models import Agent
from apps.tenants.models import Membership, User
from apps.tenants.scope import tenant_scope
from tests.console import pages
from tests.console.conftest import make_person, open_browser
from tests.support import rows, trail
from tests.walls.samples import SAMPLES


@pytest.mark.case("T098")
def test_T098_privileges_are_no_fields_of_any_form(acme, globex):
    admin_user = make_person(acme, "tenant_admin")
    browser = open_browser(admin_user)
    extra = {
        "is_superuser": "on", "is_staff": "on", "is_platform_admin": "on", "groups": "1", "user_permissions": "1",
        "tenant": str(globex.id), "tenant_id": str(globex.id), "full_access": "on", "status": "active", "epoch": "9",
    }  # fmt: skip
    email = f"{acme.slug}@example.org"
    assert (
        browser.post("/console/tenants/membership/add/", {"email": email, "role": "approver", **extra}).status_code
        == 302
    )
    made = User.objects.get(email=email)
    assert not made.is_platform_admin and not made.is_superuser
    assert list(made.memberships.values_list("tenant_id", "role")) == [(acme.id, "approver")]
    key = browser.post("/console/authn/accesskey/add/", {"label": "mine", "life": "30", **extra})
    assert key.status_code == 200
    from apps.authn.models import AccessKey

    (row,) = rows(acme, AccessKey, label="mine")
    assert not row.full_access


@pytest.mark.case("T098")
@pytest.mark.parametrize("who", ["self", "new", "other"])
def test_T098_nobody_gives_a_role_above_their_own(who, acme):
    admin_user, other = make_person(acme, "tenant_admin"), make_person(acme, "approver")
    browser = open_browser(admin_user)
    before = dict(Membership.objects.filter(tenant_id=acme.id).values_list("user__email", "role"))
    if who == "new":
        answer = browser.post("/console/tenants/membership/add/", {"email": "boss@example.org", "role": "tenant_owner"})
    else:
        target = Membership.objects.get(tenant_id=acme.id, user=admin_user if who == "self" else other)
        answer = browser.post(pages.url("tenants.Membership", "change", target.pk), {"role": "tenant_owner"})
    assert answer.status_code == 200 and "tenant_owner" not in dict(
        answer.context["adminform"].form.fields["role"].choices
    )
    assert dict(Membership.objects.filter(tenant_id=acme.id).values_list("user__email", "role")) == before


@pytest.mark.case("T098")
def test_T098_the_broker_refuses_what_the_form_would_have_let_through(acme, monkeypatch):
    from apps.entrypoints.console.admins import people

    monkeypatch.setattr(people, "ROLE_ACTIONS", dict.fromkeys(people.ROLE_ACTIONS, frozenset()))
    browser = open_browser(make_person(acme, "tenant_admin"))
    answer = browser.post("/console/tenants/membership/add/", {"email": "boss@example.org", "role": "tenant_owner"})
    assert answer.status_code == 200 and "above your own" in answer.content.decode()
    assert [r.reason for r in trail(acme, action="member.add", outcome="denied")] == ["grant_above_own"]


@pytest.mark.case("T098")
def test_T098_nobody_takes_a_role_above_their_own_away(acme):
    owner_user, other = make_person(acme, "tenant_owner"), make_person(acme, "approver")
    browser = open_browser(make_person(acme, "tenant_admin"))
    target = Membership.objects.get(tenant_id=acme.id, user=owner_user)
    page = browser.get(pages.url("tenants.Membership", "change", target.pk)).content.decode()
    assert owner_user.email in page and 'name="_save"' not in page and "/delete/" not in page
    assert browser.post(pages.url("tenants.Membership", "change", target.pk), {"role": "approver"}).status_code == 403
    assert browser.post(pages.url("tenants.Membership", "delete", target.pk), {"post": "yes"}).status_code == 403
    target.refresh_from_db()
    assert target.role == "tenant_owner"
    below = Membership.objects.get(tenant_id=acme.id, user=other)
    assert browser.post(pages.url("tenants.Membership", "change", below.pk), {"role": "end_user"}).status_code == 302


@pytest.mark.case("T100")
def test_T100_nothing_can_be_posted_to_a_list(acme, owner):
    with tenant_scope(acme.id):
        agent = SAMPLES["agents.Agent"]()
    forged = {
        "action": "delete_selected", "_selected_action": [str(agent.pk)], "post": "yes", "index": "0", "_save": "1",
        "form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": str(agent.pk), "form-0-status": "suspended",
        "select_across": "1",
    }  # fmt: skip
    for label in pages.shown():
        assert owner.post(pages.list_url(label), forged).status_code in (403, 405)
    (row,) = rows(acme, Agent, id=agent.pk)
    assert row.status == "active"


@pytest.mark.case("T100")
def test_T100_saving_as_new_is_no_way_to_copy_or_add(acme, owner):
    with tenant_scope(acme.id):
        issuer = SAMPLES["authn.TrustedIssuer"]()
        agent = SAMPLES["agents.Agent"]()
    browser = open_browser(make_person(acme, "security_auditor"))
    for label, row in (("authn.TrustedIssuer", issuer), ("agents.Agent", agent)):
        forged = {"_saveasnew": "1", "name": "copied-agent", "audiences": "a", "discovery_url": "https://x.example/"}
        assert browser.post(pages.url(label, "change", row.pk), forged).status_code in (400, 403)
    answer = owner.post(pages.url("agents.Agent", "change", agent.pk), {"_saveasnew": "1", "name": "copied-agent"})
    assert answer.status_code == 400
    assert rows(acme, Agent, name="copied-agent") == []


@pytest.mark.case("T102")
@pytest.mark.parametrize(
    "query",
    ["tenant__id__exact=x", "tenant_id=x", "user__password__regex=^a", "digest__startswith=a", "status__exact=active",
     "secret__startswith=a", "agent__tenant__slug=x", "id__in=1", "pk=1", "principal__subject__startswith=a",
     "tenant__pseudonym_key__isnull=0", "details__contains=x", "_to_field=client_id"],
)  # fmt: skip
def test_T102_lookups_nobody_offered_are_refused(query, acme, owner):
    with tenant_scope(acme.id):
        for label in SAMPLES:
            SAMPLES[label]()
    for label in sorted(SAMPLES):
        answer = owner.get(f"{pages.list_url(label)}?{query}")
        assert answer.status_code == 400, (label, answer.status_code)
        assert b"data-id=" not in answer.content


@pytest.mark.case("T102")
@pytest.mark.parametrize("query", ["o=-1", "o=-secret", "o=99.-98", "p=999999999", "p=x", "all=", "_popup=1", "e=1"])
def test_T102_ordering_and_paging_cannot_be_steered(query, acme, owner):
    with tenant_scope(acme.id):
        names = sorted(SAMPLES["agents.Agent"]().name for _ in range(3))
    answer = owner.get(f"/console/agents/agent/?{query}")
    assert answer.status_code == 200
    assert [row.name for row in answer.context["cl"].result_list] == names


@pytest.mark.parametrize(
    "query", ["status=other", "status=%00", "kind=x", "time=9y", "agent=not-an-id", "after=!!", "after=e30"]
)
def test_values_that_no_filter_has_select_nothing_and_break_nothing(query, acme, owner):
    for label in ("agents.Agent", "audit.AuditRecord", "connections.Connection", "providers.Provider"):
        answer = owner.get(f"{pages.list_url(label)}?{query}")
        assert answer.status_code in (200, 302, 400)
        if answer.status_code == 302:
            assert answer["Location"].endswith("?e=1")


@pytest.mark.parametrize("text", ["a\x00b", "%", "_", "'\"\\", "x" * 3000, "𝔘𝔫𝔦", "\u202e"])
def test_search_takes_any_text(text, acme, owner):
    for label in ("agents.Agent", "audit.AuditRecord", "tenants.Membership"):
        assert owner.get(pages.list_url(label), {"q": text}).status_code in (200, 400)
    assert owner.get("/console/search/", {"s": text, "extended": "1"}).status_code == 200


@pytest.mark.case("T105")
@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "{{1234567*7654321}}", "javascript:alert(1)",
             "' x-data='alert(1)' x-init='alert(1)", "<b hx-get=/console/logout/ hx-trigger=load>"]
)  # fmt: skip
def test_T105_what_others_wrote_stays_text(text, acme, owner):
    from apps.audit.models import AuditRecord
    from apps.connections.models import Connection
    from apps.tenants.models import Tenant

    Tenant.objects.filter(id=acme.id).update(name=text)
    User.objects.filter(memberships__tenant_id=acme.id).update(name=text[:190])
    with tenant_scope(acme.id):
        agent, provider = SAMPLES["agents.Agent"](), SAMPLES["providers.Provider"]()
        Agent.objects.filter(id=agent.pk).update(
            name=text, description=text, return_urls=[text], tags={text: text, "k": text}
        )
        type(provider).objects.filter(id=provider.pk).update(name=text, client_id=text, endpoints={"issuer": text})
        principal = SAMPLES["connections.Principal"]()
        type(principal).objects.filter(id=principal.pk).update(subject=text, issuer=text)
        connection = SAMPLES["connections.Connection"](agent=agent, provider=provider, principal=principal)
        Connection.objects.filter(id=connection.pk).update(
            granted_scopes=[text],
            requested_scopes=[text],
            status_reason=text[:80],
            params={text: text, "custom": {text: 1}},
        )
        event = AuditRecord.objects.bulk_create(
            [AuditRecord(action="agent.read", outcome="denied", actor_kind="x", actor=text, reason=text[:80],
                         agent_name=text, provider_name=text, request_id=text[:64], details={text: text})]
        )[0]  # fmt: skip
        key = SAMPLES["authn.AccessKey"]()
        type(key).objects.filter(id=key.pk).update(label=text)
    seen = 0
    for label, pk in (
        ("agents.Agent", agent.pk), ("providers.Provider", provider.pk), ("connections.Connection", connection.pk),
        ("connections.Principal", principal.pk), ("audit.AuditRecord", event.pk), ("authn.AccessKey", key.pk),
        ("tenants.Tenant", acme.id),
    ):  # fmt: skip
        page = pages.shown()[label]
        for address in [*pages.addresses(page, pk), "/console/", "/console/search/?extended=1&s=a"]:
            html = owner.get(address).content.decode()
            seen += 1
            for raw in ("<script>alert", "<img src=x", "<b hx-get", "' x-data='alert", 'href="javascript:'):
                assert raw not in html, (address, raw)
            assert "9449772114007" not in html  # too long to be in an id or a time by chance
    assert seen > 20


@pytest.mark.case("T105")
def test_T105_a_typed_text_comes_back_as_text(acme, owner):
    text = '"><script>alert(1)</script>'
    answer = owner.post("/console/agents/agent/add/", {"name": text, "return_urls": text, "tags": text})
    assert answer.status_code == 200 and "<script>alert" not in answer.content.decode()
