"""The whole set-up by mouse: every form, what it stores, what it leaves in the trail, what it refuses."""

from __future__ import annotations

import re
import secrets
from html import unescape

import pytest
from django.contrib.auth.hashers import make_password

from apps.agents.models import Agent
from apps.authn.models import AccessKey, TrustedIssuer
from apps.connections.models import Connection, PrincipalLink
from apps.policy.models import Binding
from apps.providers.models import Provider
from apps.tenants.models import Membership, Tenant, User
from apps.tenants.scope import tenant_scope
from apps.vault.models import SealedSecret
from tests.console import pages
from tests.console.conftest import make_person, open_browser
from tests.support import client, rows, trail
from tests.walls.samples import SAMPLES

RETURN = "http://127.0.0.1:9/cb"


def element(html: str, name: str) -> str:
    """The text of the element with this data-testid."""
    found = re.search(rf'data-testid="{name}"[^>]*>([^<]*)<', html)
    assert found, f"no {name} on the page"
    return unescape(found[1])


def page_of(browser, label, row) -> str:
    return browser.get(pages.url(label, "change", row.pk)).content.decode()


def test_from_nothing_to_the_first_token_without_a_command_line(portal, hub):
    """An owner clicks; an unmodified boto3 then gets a token with the key made here, and only what it may."""
    tenant = portal.new_tenant(dev=True)
    owner = open_browser(make_person(tenant, "tenant_owner"))
    assert "setup-checklist" in owner.get("/console/").content.decode()

    app = hub.register_client(name="Portal", redirect_uris=["http://127.0.0.1:9/none"])
    made = owner.post(
        "/console/providers/provider/add/?kind=oauth2",
        {"name": "hub", "vendor": "CustomOauth2", "client_id": app.client_id, "client_secret": app.client_secret,
         "discovery_url": f"{hub.url}/.well-known/openid-configuration"},
    )  # fmt: skip
    assert made.status_code == 302, made.content.decode()[-3000:]
    callback = element(owner.get(made["Location"]).content.decode(), "provider-callback-url")
    hub.change_client(app, redirect_uris=[callback])
    assert owner.post("/console/agents/agent/add/", {"name": "bot-1", "return_urls": RETURN}).status_code == 302
    account = tenant.account_id
    grants = "\n".join(
        f"bedrock-agentcore:{action} arn:aws:bedrock-agentcore:*:{account}:*"
        for action in ("GetWorkloadAccessTokenForUserId", "GetResourceOauth2Token", "CompleteResourceTokenAuth")
    )
    shown = owner.post(
        "/console/authn/accesskey/add/", {"label": "app", "life": "30", "grants": grants}
    ).content.decode()
    key = (element(shown, "access-key-id"), element(shown, "secret-access-key"))

    data = client("bedrock-agentcore", tenant, portal.url, key=key)
    wat = data.get_workload_access_token_for_user_id(workloadName="bot-1", userId="dana")["workloadAccessToken"]
    ask = {"workloadIdentityToken": wat, "resourceCredentialProviderName": "hub", "scopes": ["repo:read"],
           "oauth2Flow": "USER_FEDERATION"}  # fmt: skip
    asked = data.get_resource_oauth2_token(**ask, resourceOauth2ReturnUrl=RETURN)
    person = hub.person("dana", stop_at=[RETURN])
    person.open(asked["authorizationUrl"])
    person.walk()
    data.complete_resource_token_auth(sessionUri=asked["sessionUri"], userIdentifier={"userId": "dana"})
    assert data.get_resource_oauth2_token(**ask)["accessToken"]

    overview = owner.get("/console/").content.decode()
    assert "setup-checklist" not in overview
    (connection,) = rows(tenant, Connection)
    shown = page_of(owner, "connections.Connection", connection)
    assert 'data-state="active"' in shown and "repo:read" in shown

    # And back: suspended by mouse, the very next call is refused; resumed, it works again.
    (agent,) = rows(tenant, Agent)
    owner.post(pages.url("agents.Agent", "suspend", agent.pk), {"why": "drill"})
    with pytest.raises(data.exceptions.ClientError):
        data.get_resource_oauth2_token(**ask)
    owner.post(pages.url("agents.Agent", "resume", agent.pk), {})
    fresh = data.get_workload_access_token_for_user_id(workloadName="bot-1", userId="dana")["workloadAccessToken"]
    assert data.get_resource_oauth2_token(**{**ask, "workloadIdentityToken": fresh})["accessToken"]
    owner.post(pages.url("connections.Connection", "revoke", connection.pk), {"why": "drill"})
    assert "accessToken" not in data.get_resource_oauth2_token(**{**ask, "workloadIdentityToken": fresh})


def test_an_agent_is_added_changed_suspended_resumed_and_deleted(acme, owner):
    form = {
        "name": "bot-2",
        "return_urls": f" {RETURN} \n\n{RETURN}\nhttps://a.example/x",
        "tags": "team=a\nenv = prod",
    }
    assert owner.post("/console/agents/agent/add/", form).status_code == 302
    (agent,) = rows(acme, Agent, name="bot-2")
    assert agent.return_urls == [RETURN, "https://a.example/x"] and agent.tags == {"team": "a", "env": "prod"}
    html = page_of(owner, "agents.Agent", agent)
    assert element(html, "agent-arn").endswith(
        f":{acme.account_id}:workload-identity-directory/default/workload-identity/bot-2"
    )

    change = pages.url("agents.Agent", "change", agent.pk)
    bad = owner.post(change, {"return_urls": "http://public.example/x"})
    assert bad.status_code == 200 and "must use https" in bad.content.decode()
    assert owner.post(change, {"return_urls": "https://b.example/"}).status_code == 302
    assert rows(acme, Agent, name="bot-2")[0].return_urls == ["https://b.example/"]

    suspend = pages.url("agents.Agent", "suspend", agent.pk)
    assert 'data-testid="agent-suspend"' in html and 'data-testid="agent-resume"' not in html
    assert owner.post(suspend, {"why": "  "}).status_code == 200
    assert rows(acme, Agent, name="bot-2")[0].status == "active"
    assert owner.post(suspend, {"why": "incident 7"}).status_code == 302
    html = page_of(owner, "agents.Agent", agent)
    assert 'data-state="suspended"' in html and 'data-testid="agent-resume"' in html
    assert owner.post(pages.url("agents.Agent", "resume", agent.pk), {"why": ""}).status_code == 302
    delete = pages.url("agents.Agent", "delete", agent.pk)
    assert "dialog-impact" in owner.get(delete).content.decode()
    assert owner.post(delete, {"post": "yes"}).status_code == 302
    assert rows(acme, Agent, name="bot-2") == []
    done = [r.action for r in trail(acme, agent_name="bot-2", outcome="allowed")]
    assert done == ["agent.create", "agent.update", "agent.suspend", "agent.resume", "agent.delete"]
    assert trail(acme, action="agent.suspend", outcome="allowed")[0].details["why"] == "incident 7"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": "x"}, "at least 3"),
        ({"name": "bad name"}, "Only letters"),
        ({"name": "bot-9", "tags": "novalue"}, "key=value"),
        ({"name": "bot-9", "return_urls": "javascript:alert(1)"}, "return URL"),
        ({"name": ""}, "required"),
    ],
)
def test_a_wrong_agent_is_explained_at_its_field(form, said, acme, owner):
    answer = owner.post("/console/agents/agent/add/", form)
    assert answer.status_code == 200 and said in unescape(answer.content.decode())
    assert rows(acme, Agent) == []


def test_the_form_of_a_provider_knows_the_25_vendors(owner):
    chooser = owner.get("/console/providers/provider/add/").content.decode()
    assert chooser.count('data-testid="provider-card"') == 26  # and the API key
    form = owner.get("/console/providers/provider/add/?kind=oauth2&vendor=SlackOauth2").content.decode()
    assert '<option value="SlackOauth2" selected' in form
    assert owner.get("/console/providers/provider/add/?kind=nonsense").content.decode().count("provider-card") == 26


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"vendor": "CustomOauth2"}, "Give a discovery URL"),
        ({"vendor": "CustomOauth2", "issuer": "https://a.example"}, "together"),
        ({"vendor": "CustomOauth2", "discovery_url": "https://a.example/x", "issuer": "https://a.example"}, "not both"),
        ({"vendor": "CustomOauth2", "discovery_url": "http://169.254.169.254/latest"}, ""),
        ({"vendor": "OktaOauth2"}, "token_endpoint"),
        ({"vendor": "MicrosoftOauth2", "tenant_id": "../evil"}, "directory"),
        ({"vendor": "GithubOauth2", "client_secret": ""}, "required"),
        ({"vendor": "Nobody"}, "valid choice"),
    ],
)
def test_a_wrong_provider_is_explained_and_not_stored(form, said, acme, owner):
    valid = {"name": "p1", "client_id": "c", "client_secret": "s3cret"}
    answer = owner.post("/console/providers/provider/add/?kind=oauth2", {**valid, **form})
    assert answer.status_code == 200 and said in unescape(answer.content.decode())
    assert "errornote" in answer.content.decode() and "s3cret" not in answer.content.decode()
    assert rows(acme, Provider) == []
    good = owner.post("/console/providers/provider/add/?kind=oauth2", {**valid, "vendor": "GithubOauth2"})
    assert good.status_code == 302


def test_a_vendors_own_options_reach_its_addresses(acme, owner):
    directory = "11111111-2222-3333-4444-555555555555"
    form = {"name": "ms", "vendor": "MicrosoftOauth2", "client_id": "c", "client_secret": "s", "tenant_id": directory,
            "discovery_url": "https://left.over.example/from-another-vendor"}  # fmt: skip
    made = owner.post("/console/providers/provider/add/?kind=oauth2", form)
    assert made.status_code == 302
    (row,) = rows(acme, Provider, name="ms")
    assert directory in row.endpoints["token_endpoint"] and "discovery_url" not in row.config
    assert f'value="{directory}"' in owner.get(made["Location"]).content.decode()


def test_a_provider_keeps_its_secret_unless_it_would_go_somewhere_else(acme, owner, hub):
    form = {"name": "srv", "vendor": "CustomOauth2", "client_id": "c1", "client_secret": "first",
            "issuer": hub.url, "authorization_endpoint": f"{hub.url}/authorize",
            "token_endpoint": f"{hub.url}/token"}  # fmt: skip
    owner.post("/console/providers/provider/add/?kind=oauth2", form)
    (row,) = rows(acme, Provider, name="srv")
    change = pages.url("providers.Provider", "change", row.pk)
    html = owner.get(change).content.decode()
    assert f'value="{hub.url}/token"' in html
    same = {**form, "client_secret": ""}
    assert owner.post(change, same).status_code == 302
    moved = owner.post(change, {**same, "token_endpoint": f"{hub.url}/elsewhere"})
    assert moved.status_code == 200 and "Give the secret again" in moved.content.decode()
    assert rows(acme, Provider, name="srv")[0].endpoints["token_endpoint"] == f"{hub.url}/token"
    assert owner.post(change, {**same, "client_id": "c2", "client_secret": "second"}).status_code == 302
    assert rows(acme, Provider, name="srv")[0].config_version == 2


def test_what_the_page_of_a_provider_does_not_show_survives_a_change(acme, owner, hub):
    form = {"name": "srv", "vendor": "CustomOauth2", "client_id": "c1", "client_secret": "first",
            "issuer": hub.url, "authorization_endpoint": f"{hub.url}/authorize",
            "token_endpoint": f"{hub.url}/token"}  # fmt: skip
    owner.post("/console/providers/provider/add/?kind=oauth2", form)
    (row,) = rows(acme, Provider, name="srv")
    with tenant_scope(acme.id):
        Provider.objects.filter(id=row.pk).update(
            config={**row.config, "on_behalf_of": {"grantType": "TOKEN_EXCHANGE"}}
        )
    assert (
        owner.post(pages.url("providers.Provider", "change", row.pk), {**form, "client_secret": ""}).status_code == 302
    )
    assert rows(acme, Provider, name="srv")[0].config["on_behalf_of"] == {"grantType": "TOKEN_EXCHANGE"}


def test_both_kinds_of_provider_are_suspended_resumed_and_deleted(acme, owner):
    owner.post("/console/providers/provider/add/?kind=api_key", {"name": "weather", "api_key": "k"})
    owner.post("/console/providers/provider/add/?kind=oauth2",
               {"name": "weather", "vendor": "GithubOauth2", "client_id": "c", "client_secret": "s"})  # fmt: skip
    for row in rows(acme, Provider, name="weather"):
        suspend = pages.url("providers.Provider", "suspend", row.pk)
        assert owner.post(suspend, {"why": "rotated"}).status_code == 302
        assert 'data-state="suspended"' in page_of(owner, "providers.Provider", row)
        assert owner.post(pages.url("providers.Provider", "resume", row.pk), {}).status_code == 302
        assert owner.post(pages.url("providers.Provider", "delete", row.pk), {"post": "yes"}).status_code == 302
        assert rows(acme, SealedSecret, row_id=row.pk) == []
    deleted = {r.action for r in trail(acme, outcome="allowed") if r.action.endswith(".delete")}
    assert deleted == {"api_key_provider.delete", "oauth_provider.delete"}


def test_a_key_has_exactly_the_permissions_typed(acme, owner):
    grants = "bedrock-agentcore:GetResourceApiKey arn:aws:bedrock-agentcore:*:*:*\nbedrock-agentcore:Get* *"
    for bad, said in (("one-word", "two words"), ("s3:GetObject *", "An action looks like"), ("a b c", "two words"),
                      ("bedrock-agentcore:NoSuchThing *", "An action looks like")):  # fmt: skip
        answer = owner.post("/console/authn/accesskey/add/", {"label": "k", "life": "", "grants": bad})
        assert answer.status_code == 200 and said in unescape(answer.content.decode())
        assert "secret-access-key" not in answer.content.decode()
    assert rows(acme, AccessKey, label="k") == []
    owner.post("/console/authn/accesskey/add/", {"label": "k", "life": "90", "grants": grants})
    (key,) = rows(acme, AccessKey, label="k")
    assert key.expires_at is not None and not key.full_access
    html = page_of(owner, "authn.AccessKey", key)
    assert "bedrock-agentcore:GetResourceApiKey arn:aws:bedrock-agentcore:*:*:*" in html
    assert owner.post(pages.url("authn.AccessKey", "disable", key.pk), {}).status_code == 302
    assert rows(acme, AccessKey, label="k")[0].status == "disabled"
    assert "key-disable" not in page_of(owner, "authn.AccessKey", key)
    assert owner.post(pages.url("authn.AccessKey", "delete", key.pk), {"post": "yes"}).status_code == 302
    assert rows(acme, AccessKey, label="k") == []


def test_only_an_owner_makes_a_key_that_may_do_everything(acme, owner):
    form = {"label": "all", "life": "30", "full_access": "on"}
    below = open_browser(make_person(acme, "tenant_admin"))
    assert "full_access" not in below.get("/console/authn/accesskey/add/").content.decode()
    below.post("/console/authn/accesskey/add/", form)
    owner.post("/console/authn/accesskey/add/", form)
    assert sorted(key.full_access for key in rows(acme, AccessKey, label="all")) == [False, True]


def test_an_issuer_is_trusted_narrowed_and_distrusted(acme, owner, hub):
    owner.post("/console/agents/agent/add/", {"name": "bot-3"})
    (agent,) = rows(acme, Agent)
    url = f"{hub.url}/.well-known/openid-configuration"
    add = "/console/authn/trustedissuer/add/"
    assert owner.post(add, {"discovery_url": url}).status_code == 200  # an audience is needed
    gone = owner.post(add, {"discovery_url": f"{hub.url}/nothing/.well-known/openid-configuration", "audiences": "a"})
    assert gone.status_code == 200 and "errornote" in gone.content.decode()
    assert rows(acme, TrustedIssuer) == []
    assert owner.post(add, {"discovery_url": url, "audiences": "app-1", "agent": str(agent.pk)}).status_code == 302
    (issuer,) = rows(acme, TrustedIssuer)
    assert (issuer.agent_id, issuer.audiences) == (agent.pk, ["app-1"])
    change = pages.url("authn.TrustedIssuer", "change", issuer.pk)
    assert owner.post(change, {"audiences": "app-1\napp-2", "clients": "c1"}).status_code == 302
    (issuer,) = rows(acme, TrustedIssuer)
    assert (issuer.audiences, issuer.clients, issuer.agent_id) == (["app-1", "app-2"], ["c1"], agent.pk)
    assert owner.post(pages.url("authn.TrustedIssuer", "delete", issuer.pk), {"post": "yes"}).status_code == 302
    assert rows(acme, TrustedIssuer) == []


def test_a_binding_is_set_narrowed_and_removed(acme, owner):
    with tenant_scope(acme.id):
        agent, provider = SAMPLES["agents.Agent"](), SAMPLES["providers.Provider"]()
    form = {"agent": str(agent.pk), "provider": str(provider.pk), "flows": ["m2m"], "scope_ceiling": "repo:read"}
    assert owner.post("/console/policy/binding/add/", form).status_code == 302
    (binding,) = rows(acme, Binding)
    assert (binding.flows, binding.scope_ceiling) == (["m2m"], ["repo:read"])
    change = pages.url("policy.Binding", "change", binding.pk)
    assert owner.post(change, {"flows": [], "scope_ceiling": ""}).status_code == 302
    (binding,) = rows(acme, Binding)
    assert (binding.flows, binding.scope_ceiling, binding.constrained) == ([], None, False)
    everything = {
        "flows": ["user_federation"], "scope_ceiling": "repo:read", "resources": "https://r.example\nhttps://s.example",
        "audiences": "api", "custom_parameters": "ui\nlogin_hint=dana|erin", "people": "uid:dana\nself",
        "valid_from": "2027-01-01T00:00", "valid_until": "2028-01-01T00:00:00", "connection_life_s": "3600",
        "connection_uses": "5",
    }  # fmt: skip
    assert owner.post(change, everything).status_code == 302
    (binding,) = rows(acme, Binding)
    assert binding.constrained and binding.resources == ["https://r.example", "https://s.example"]
    assert binding.custom_parameters == {"login_hint": ["dana", "erin"], "ui": None}
    assert (binding.connection_life_s, binding.connection_uses, binding.valid_from.year) == (3600, 5, 2027)
    html = unescape(owner.get(change).content.decode())
    for shown in ("uid:dana", "self", "login_hint=dana|erin", "2028-01-01T00:00:00", "https://s.example"):
        assert shown in html
    before = rows(acme, Binding)[0]
    for field, wrong in (
        ("people", "somebody"), ("people", "uid:"), ("custom_parameters", "redirect_uri"), ("connection_uses", "0"),
        ("valid_until", "2026-01-01T00:00"), ("scope_ceiling", 'a"b'), ("connection_life_s", "5"),
    ):  # fmt: skip
        answer = owner.post(change, {**everything, field: wrong})
        assert answer.status_code == 200 and "errornote" in answer.content.decode(), (field, wrong)
    assert rows(acme, Binding)[0].valid_until == before.valid_until
    assert owner.post(change, {"no_parameters": "on"}).status_code == 302
    (binding,) = rows(acme, Binding)
    assert (binding.custom_parameters, binding.people_listed, binding.resources) == ({}, False, None)
    assert owner.post(change, {"flows": ["telepathy"]}).status_code == 200
    assert owner.post(pages.url("policy.Binding", "delete", binding.pk), {"post": "yes"}).status_code == 302
    assert rows(acme, Binding) == []


def test_members_come_change_and_go_but_the_last_owner_stays(acme, owner):
    email = f"new@{acme.slug}.example"
    add = {"email": email, "name": "New", "role": "approver", "password": "a long enough passphrase"}
    assert owner.post("/console/tenants/membership/add/", add).status_code == 302
    member = Membership.objects.get(tenant_id=acme.id, user__email=email)
    change = pages.url("tenants.Membership", "change", member.pk)
    assert owner.post(change, {"role": "security_auditor"}).status_code == 302
    member.refresh_from_db()
    assert member.role == "security_auditor"
    assert owner.post(pages.url("tenants.Membership", "delete", member.pk), {"post": "yes"}).status_code == 302
    last = Membership.objects.get(tenant_id=acme.id, role="tenant_owner")
    refused = owner.post(pages.url("tenants.Membership", "delete", last.pk), {"post": "yes"})
    assert refused.status_code == 200 and "last owner" in refused.content.decode()
    assert Membership.objects.filter(pk=last.pk).exists()
    (record,) = trail(acme, action="member.remove", outcome="denied")
    assert record.reason == "last_owner"


def test_adding_a_member_does_not_tell_whether_the_address_has_an_account_elsewhere(acme, globex, owner, monkeypatch):
    known, unknown = make_person(globex, "end_user"), f"{secrets.token_hex(6)}@example.org"
    known.set_password("the first long passphrase")
    known.save()
    from apps.broker.control_plane import people

    hashed = []
    monkeypatch.setattr(people, "make_password", lambda clear: hashed.append(clear) or make_password(clear))
    answers = {}
    for email in (known.email, unknown):
        add = {"email": email, "name": "New", "role": "approver", "password": "short"}
        weak = owner.post("/console/tenants/membership/add/", add)
        add["password"] = "another long passphrase"
        done = owner.post("/console/tenants/membership/add/", add)
        row = Membership.objects.get(tenant_id=acme.id, user__email=email)
        listed = owner.get("/console/tenants/membership/?q=" + email).content.decode()
        (record,) = trail(acme, action="member.add", outcome="allowed", details__account=str(row.user_id))
        own = owner.get(pages.url("tenants.Membership", "change", row.pk)).content.decode()
        texts = [weak.content.decode(), done["Location"], listed, own]
        for private in (email, str(row.pk), str(row.user_id)):
            texts = [text.replace(private, "-") for text in texts]
        # What a person reads: tags hold tokens and times that differ on every page.
        texts = [re.sub(r"<[^>]*>|\d\d:\d\d:\d\d|\s+", " ", text) for text in texts]
        answers[email] = (weak.status_code, done.status_code, texts, sorted(record.details), record.reason)
    assert answers[known.email] == answers[unknown]
    assert known.name not in str(answers)
    assert hashed == ["another long passphrase"] * 2  # the same work, so the same time
    known.refresh_from_db()
    assert known.check_password("the first long passphrase")  # nobody's account was taken over
    assert User.objects.get(email=unknown).check_password("another long passphrase")


def test_an_account_is_linked_to_a_user_id_or_a_tokens_subject(acme, owner):
    email = make_person(acme, "end_user").email
    add = "/console/connections/principallink/add/"
    assert "needed here" in owner.post(add, {"email": email, "kind": "uid"}).content.decode()
    assert (
        "needed here"
        in owner.post(add, {"email": email, "kind": "jwt", "issuer": "https://i.example"}).content.decode()
    )
    assert owner.post(add, {"email": email, "kind": "uid", "user_id": "dana"}).status_code == 302
    jwt = {"email": email, "kind": "jwt", "issuer": "https://i.example", "subject": "s1", "user_id": "left-over"}
    assert owner.post(add, jwt).status_code == 302
    with tenant_scope(acme.id):
        found = set(PrincipalLink.objects.values_list("principal__kind", "principal__issuer", "principal__subject"))
    assert found == {("uid", "", "dana"), ("jwt", "https://i.example", "s1")}
    other = make_person(acme, "end_user").email
    taken = owner.post(add, {"email": other, "kind": "uid", "user_id": "dana"})
    assert taken.status_code == 200 and "linked to this identity already" in taken.content.decode()
    stranger = owner.post(add, {"email": make_person().email, "kind": "uid", "user_id": "lee"})
    assert stranger.status_code == 200 and "no such person in this tenant" in stranger.content.decode()


def test_the_tenants_settings_are_changed_by_its_owner(acme, owner):
    change = pages.url("tenants.Tenant", "change", acme.id)
    with tenant_scope(acme.id):
        connection = SAMPLES["connections.Connection"]()
    assert "/console/bindings-in-use/" in owner.get(change).content.decode()
    pair = f"{connection.agent.name} → {connection.provider.name}"
    assert pair in owner.get("/console/bindings-in-use/").content.decode()
    form = {"name": "Acme Ltd", "binding_mode": "closed", "workload_token_life_s": "600",
            "consent_session_life_s": "300", "stale_issuer_keys_s": "0"}  # fmt: skip
    wrong = owner.post(change, {**form, "workload_token_life_s": "1"})
    assert wrong.status_code == 200 and "errornote" in wrong.content.decode()
    assert owner.post(change, form).status_code == 302
    tenant = Tenant.objects.get(id=acme.id)
    assert (tenant.name, tenant.binding_mode, tenant.workload_token_life_s) == ("Acme Ltd", "closed", 600)
    assert tenant.slug == acme.slug
    (record,) = trail(acme, action="tenant.update", outcome="allowed")
    assert record.details["before"]["binding_mode"] == "open"


def test_platform_staff_make_a_tenant_and_see_its_key_once(staff, acme):
    slug = f"new-{acme.slug}"
    made = staff.post("/console/tenants/tenant/add/", {"slug": slug, "name": "New", "closed": "on"})
    html = made.content.decode()
    assert made.status_code == 200 and made["Cache-Control"] == "no-store"
    tenant = Tenant.objects.get(slug=slug)
    assert tenant.account_id in html and tenant.binding_mode == "closed" and not tenant.claim_user_ids
    secret = element(html, "secret-access-key")
    assert secret not in staff.get("/console/tenants/tenant/").content.decode()
    again = staff.post("/console/tenants/tenant/add/", {"slug": slug, "name": "New"})
    assert again.status_code == 200 and "with this slug already" in again.content.decode()
    bad = staff.post("/console/tenants/tenant/add/", {"slug": "Bad Slug", "name": "New"})
    assert bad.status_code == 200 and "lower-case" in bad.content.decode()


def test_platform_staff_change_a_tenant_only_from_inside_it(staff, acme):
    change = pages.url("tenants.Tenant", "change", acme.id)
    page = staff.get(change)
    assert page.status_code == 200 and 'name="_save"' not in page.content.decode()
    assert staff.post(change, {"name": "Taken over"}).status_code == 403
    assert Tenant.objects.get(id=acme.id).name != "Taken over"
