"""The three-legged flow end to end: real portal, real provider, unmodified boto3, a person with a cookie jar."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError

from apps.connections.models import Connection
from tests.support import control, data, rows, trail

RETURN = "http://127.0.0.1:9/cb"


@pytest.fixture
def setting(portal, hub):
    """A tenant with an agent and a provider that is Demo Hub."""
    return Setting(portal, hub, portal.new_tenant(dev=True))


class Setting:
    def __init__(self, portal, hub, tenant):
        self.portal, self.hub, self.tenant = portal, hub, tenant
        self.control, self.data = control(tenant, portal.url), data(tenant, portal.url)
        self.control.create_workload_identity(name="bot", allowedResourceOauth2ReturnUrls=[RETURN])
        self.client = hub.register_client(name="Portal", redirect_uris=["http://127.0.0.1:9/none"])
        made = self.control.create_oauth2_credential_provider(
            name="hub",
            credentialProviderVendor="CustomOauth2",
            oauth2ProviderConfigInput={
                "customOauth2ProviderConfig": {
                    "oauthDiscovery": {"discoveryUrl": f"{hub.url}/.well-known/openid-configuration"},
                    "clientId": self.client.client_id,
                    "clientSecret": self.client.client_secret,
                }
            },
        )
        hub.change_client(self.client, redirect_uris=[made["callbackUrl"]])

    def token_for(self, user_id="dana", agent="bot"):
        return self.data.get_workload_access_token_for_user_id(workloadName=agent, userId=user_id)[
            "workloadAccessToken"
        ]

    def ask(self, wat, scopes=("repo:read",), **more):
        more.setdefault("oauth2Flow", "USER_FEDERATION")
        return self.data.get_resource_oauth2_token(
            workloadIdentityToken=wat, resourceCredentialProviderName="hub", scopes=list(scopes), **more
        )

    def person(self, name="dana"):
        return self.hub.person(name, stop_at=[RETURN])

    def consent(self, url, name="dana"):
        person = self.person(name)
        person.open(url)
        return person.walk()


def test_application_verified_consent_and_what_follows(setting):
    wat = setting.token_for()
    asked = setting.ask(wat, resourceOauth2ReturnUrl=RETURN, customState="my state")
    assert asked["authorizationUrl"].startswith(f"{setting.portal.url}/connect/acs_")
    page = setting.consent(asked["authorizationUrl"])
    back = parse_qs(urlsplit(page.url).query)
    assert page.url.startswith(RETURN)
    assert back["session_id"] == [asked["sessionUri"]] and back["state"] == ["my state"]
    assert rows(setting.tenant, Connection) == []  # nothing before the application vouches
    polled = setting.ask(wat, sessionUri=asked["sessionUri"], resourceOauth2ReturnUrl=RETURN)
    assert "accessToken" not in polled and polled["sessionUri"] == asked["sessionUri"]

    setting.data.complete_resource_token_auth(sessionUri=asked["sessionUri"], userIdentifier={"userId": "dana"})
    polled = setting.ask(wat, sessionUri=asked["sessionUri"], resourceOauth2ReturnUrl=RETURN)
    assert polled["accessToken"]
    again = setting.ask(wat)
    assert again["accessToken"] == polled["accessToken"]

    actions = [(r.action, r.outcome) for r in trail(setting.tenant)]
    for wanted in ("consent.open", "consent.decide", "oauth.callback", "consent.complete", "connection.store"):
        assert (wanted, "allowed") in actions
    fetch = trail(setting.tenant, action="credential.fetch_oauth", outcome="allowed")[-1]
    assert fetch.agent_name == "bot" and fetch.on_behalf_of.startswith("p_") and fetch.provider_name == "hub"


def test_another_user_and_another_agent_get_a_consent_of_their_own(setting):
    wat = setting.token_for()
    asked = setting.ask(wat, resourceOauth2ReturnUrl=RETURN)
    setting.consent(asked["authorizationUrl"])
    setting.data.complete_resource_token_auth(sessionUri=asked["sessionUri"], userIdentifier={"userId": "dana"})
    setting.control.create_workload_identity(name="other", allowedResourceOauth2ReturnUrls=[RETURN])
    for stranger in (setting.token_for("lee"), setting.token_for("dana", "other")):
        answer = setting.ask(stranger, resourceOauth2ReturnUrl=RETURN)
        assert "accessToken" not in answer
        assert answer["authorizationUrl"] != asked["authorizationUrl"]
    assert setting.ask(wat)["accessToken"]


def test_an_expired_token_is_refreshed_silently_and_once(setting):
    wat = setting.token_for()
    asked = setting.ask(wat, resourceOauth2ReturnUrl=RETURN)
    setting.consent(asked["authorizationUrl"])
    setting.data.complete_resource_token_auth(sessionUri=asked["sessionUri"], userIdentifier={"userId": "dana"})
    first = setting.ask(wat)["accessToken"]
    row = rows(setting.tenant, Connection)[0]
    from apps.core import clock
    from apps.tenants.scope import tenant_scope

    with tenant_scope(setting.tenant.id):
        Connection.objects.filter(id=row.id).update(refresh_after=clock.now(), access_expires_at=clock.now())
    second = setting.ask(wat)["accessToken"]
    assert second != first
    assert setting.ask(wat)["accessToken"] == second
    assert rows(setting.tenant, Connection)[0].generation == row.generation + 1


def test_force_authentication_asks_again_and_keeps_the_old_one_until_then(setting):
    wat = setting.token_for()
    asked = setting.ask(wat, resourceOauth2ReturnUrl=RETURN)
    setting.consent(asked["authorizationUrl"])
    setting.data.complete_resource_token_auth(sessionUri=asked["sessionUri"], userIdentifier={"userId": "dana"})
    first = setting.ask(wat)["accessToken"]
    forced = setting.ask(wat, resourceOauth2ReturnUrl=RETURN, forceAuthentication=True)
    assert "accessToken" not in forced
    assert setting.ask(wat)["accessToken"] == first
    assert "accessToken" not in setting.ask(wat, resourceOauth2ReturnUrl=RETURN, sessionUri=forced["sessionUri"])
    setting.consent(forced["authorizationUrl"])
    setting.data.complete_resource_token_auth(sessionUri=forced["sessionUri"], userIdentifier={"userId": "dana"})
    assert setting.ask(wat, sessionUri=forced["sessionUri"])["accessToken"] != first


def test_a_declined_consent_ends_the_poll_with_a_sentence(setting):
    wat = setting.token_for()
    asked = setting.ask(wat, resourceOauth2ReturnUrl=RETURN)
    person = setting.person()
    person.open(asked["authorizationUrl"])
    page = person.walk(press=["consent-decline"])
    assert page.url.startswith(RETURN) and parse_qs(urlsplit(page.url).query)["error"] == ["access_denied"]
    with pytest.raises(ClientError) as refused:
        setting.ask(wat, sessionUri=asked["sessionUri"])
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "declined" in refused.value.response["Error"]["Message"]


def test_machine_to_machine_is_cached_and_needs_nobody(setting):
    wat = setting.data.get_workload_access_token(workloadName="bot")["workloadAccessToken"]
    first = setting.ask(wat, ("status:read",), oauth2Flow="M2M")["accessToken"]
    assert setting.ask(wat, ("status:read",), oauth2Flow="M2M")["accessToken"] == first


def test_api_keys_are_released_to_the_agent(setting):
    setting.control.create_api_key_credential_provider(name="weather", apiKey="k-123456")
    wat = setting.data.get_workload_access_token(workloadName="bot")["workloadAccessToken"]
    answer = setting.data.get_resource_api_key(workloadIdentityToken=wat, resourceCredentialProviderName="weather")
    assert answer["apiKey"] == "k-123456"
