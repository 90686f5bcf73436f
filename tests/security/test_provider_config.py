"""Providers' settings: secrets go in and never come out, and belong to the server they were given for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.security import oracle
from tests.security.calls import SUCCEEDS, github
from tests.security.lab import RETURN, Lab, denied, must
from tests.security.thief import Thief

CREATE, GET, UPDATE = (f"{verb}Oauth2CredentialProvider" for verb in ("Create", "Get", "Update"))
INVALID = (400, "ValidationException")
NULL = object()


def custom(members: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The same request with other settings; None leaves one out, NULL sends null."""
    inner = {**members["oauth2ProviderConfigInput"]["customOauth2ProviderConfig"], **changes}
    inner = {key: None if value is NULL else value for key, value in inner.items() if value is not None}
    return {**members, "oauth2ProviderConfigInput": {"customOauth2ProviderConfig": inner}}


def metadata(url: str, **changes: str) -> dict[str, Any]:
    """Settings by metadata instead of discovery."""
    return {
        "authorizationServerMetadata": {
            "issuer": url,
            "authorizationEndpoint": f"{url}/authorize",
            "tokenEndpoint": f"{url}/token",
            **changes,
        }
    }


@pytest.fixture
def thief() -> Iterator[Thief]:
    with Thief() as server:
        yield server


@pytest.mark.case("T075")
def test_T075_secrets_are_in_no_answer(lab: Lab) -> None:
    secret = lab.client.client_secret
    replies = [
        lab.wire.call(CREATE, lab.provider_input("shown")),
        lab.wire.call(GET, {"name": "shown"}),
        lab.wire.call(UPDATE, lab.provider_input("shown")),
        lab.wire.call("ListOauth2CredentialProviders"),
        lab.wire.call("GetApiKeyCredentialProvider", {"name": "weather"}),
        lab.wire.call("UpdateApiKeyCredentialProvider", {"name": "weather", "apiKey": lab.api_key}),
        lab.wire.call("ListApiKeyCredentialProviders"),
    ]
    for reply in replies:
        must(reply)
        assert secret not in reply.body.decode() and lab.api_key not in reply.body.decode()
        assert secret[-8:] not in reply.body.decode() and lab.api_key[-8:] not in reply.body.decode()


@pytest.mark.case("T075")
def test_T075_an_update_that_leaves_the_secret_out_keeps_it(own_lab: Lab) -> None:
    lab = own_lab
    flow = lab.connect()
    without = custom(lab.provider_input(), clientSecret=None)
    must(lab.wire.call(UPDATE, without))
    assert must(lab.ask(flow.wat))["accessToken"]
    lab.works()
    must(lab.wire.call("UpdateApiKeyCredentialProvider", {"name": "weather", "apiKey": lab.api_key}))
    assert must(lab.ask_api_key(lab.wat()))["apiKey"] == lab.api_key


@pytest.mark.case("T075")
def test_T075_an_empty_or_null_secret_is_no_secret(lab: Lab) -> None:
    """AWS's default for a secret is the empty text: it keeps what is there, and never clears it."""
    base = lab.provider_input()
    for value in (5, ["x"], {"x": 1}, NULL):
        with lab.refuses("field_invalid"):
            denied(lab.wire.call(UPDATE, custom(base, clientSecret=value)), *INVALID)
        with lab.refuses("field_invalid"):
            members = {"name": "weather", "apiKey": None if value is NULL else value}
            denied(lab.wire.call("UpdateApiKeyCredentialProvider", members), *INVALID)
    with oracle.refused(lab.tenant, reason="client_secret_missing"):
        denied(lab.wire.call(CREATE, {**custom(base, clientSecret=""), "name": "without"}), *INVALID)
    with lab.refuses({"api_key_missing", "field_invalid"}):
        denied(lab.wire.call("CreateApiKeyCredentialProvider", {"name": "without", "apiKey": ""}), *INVALID)
    must(lab.wire.call(UPDATE, custom(base, clientSecret="")))
    must(lab.wire.call("UpdateApiKeyCredentialProvider", {"name": "weather", "apiKey": ""}))
    assert must(lab.ask_api_key(lab.wat()))["apiKey"] == lab.api_key
    lab.works()


@pytest.mark.case("T075")
def test_T075_unknown_members_are_refused_at_every_level(lab: Lab) -> None:
    base = lab.provider_input()
    mutations = [
        {**base, "tenantId": "x"},
        custom(base, redirectUri="https://evil.example/"),
        custom(base, callbackUrl="https://evil.example/"),
        custom(base, verifyTls="false"),
        custom(base, oauthDiscovery={**metadata(lab.hub.url), "x": 1}),
        custom(base, oauthDiscovery=metadata(lab.hub.url, jwksUri=f"{lab.hub.url}/jwks")),
    ]
    for wrong in mutations:
        with lab.refuses({"unknown_field", "field_invalid"}):
            denied(lab.wire.call(UPDATE, wrong), *INVALID)
    both = {
        **base["oauth2ProviderConfigInput"],
        "githubOauth2ProviderConfig": {"clientId": "x", "clientSecret": "y"},
    }
    with lab.refuses({"unknown_field", "field_invalid"}):
        denied(lab.wire.call(UPDATE, {**base, "oauth2ProviderConfigInput": both}), *INVALID)
    lab.works()


@pytest.mark.case("T075")
@pytest.mark.parametrize(
    "name",
    ["a b", "../x", "hub/", "h\u200bub", "hüb", "ｈub", "hub\n", "hub\x00", "", "x" * 129, "<b>", "hub%20", "hub."],
)
def test_T075_a_name_is_plain_letters_digits_dashes_and_underscores(lab: Lab, name: str) -> None:
    for operation, members in (
        (CREATE, github(name)),
        ("CreateApiKeyCredentialProvider", {"name": name, "apiKey": "k"}),
    ):
        with lab.refuses("field_invalid"):
            denied(lab.wire.call(operation, members), *INVALID)


@pytest.mark.case("T075")
def test_T075_names_are_unique_per_kind_and_case_is_told_apart(lab: Lab) -> None:
    must(lab.wire.call(CREATE, github("twice")))
    with lab.refuses("name_taken"):
        denied(lab.wire.call(CREATE, github("twice")), 409, "ConflictException")
    must(lab.wire.call("CreateApiKeyCredentialProvider", {"name": "twice", "apiKey": "k"}))
    with lab.refuses("name_taken"):
        again = {"name": "twice", "apiKey": "k2"}
        denied(lab.wire.call("CreateApiKeyCredentialProvider", again), 409, "ConflictException")
    wat = lab.wat()
    assert must(lab.ask_api_key(wat, name="twice"))["apiKey"] == "k"
    denied(lab.ask_api_key(wat, name="Twice"), 404, "ResourceNotFoundException")


@pytest.mark.case("T075")
def test_T075_a_catalogue_vendors_addresses_cannot_be_given(lab: Lab) -> None:
    for option in ("tokenEndpoint", "authorizationEndpoint", "issuer", "oauthDiscovery", "tokenUrl"):
        with lab.refuses({"unknown_field", "field_invalid"}):
            members = github("catalogue", **{option: "https://evil.example/token"})
            denied(lab.wire.call(CREATE, members), *INVALID)
    must(lab.wire.call(CREATE, github("catalogue")))


# --- a secret belongs to the server it was given for --------------------------------------------------------------


@pytest.mark.case("T075")
@pytest.mark.case("T061")
def test_finding_3_a_kept_secret_is_never_sent_to_another_server(own_lab: Lab, thief: Thief) -> None:
    """Keycloak CVE-2026-15943: the token URL changed, the stored secret stayed, and the next call gave it away."""
    lab = own_lab
    flow = lab.connect()
    stolen = metadata(thief.url, issuer=lab.hub.url)
    with lab.refuses("secret_needed_again"):
        denied(lab.wire.call(UPDATE, custom(lab.provider_input(), oauthDiscovery=stolen, clientSecret=None)), *INVALID)
    for endpoint in ("issuer", "authorizationEndpoint", "tokenEndpoint"):
        moved = metadata(lab.hub.url, **{endpoint: f"{thief.url}/x"})
        with lab.refuses("secret_needed_again"):
            members = custom(lab.provider_input(), oauthDiscovery=moved, clientSecret=None)
            denied(lab.wire.call(UPDATE, members), *INVALID)
    with oracle.refused(lab.tenant, reason="secret_needed_again"):
        members = custom(lab.provider_input(), clientId="somebody-else", clientSecret=None)
        denied(lab.wire.call(UPDATE, members), *INVALID)
    assert set(oracle.calls_to(lab.hub)) <= {"openid_configuration"}, "settings are read again, no secret is sent"
    assert must(lab.ask(flow.wat))["accessToken"]
    assert thief.taken == []


@pytest.mark.case("T075")
@pytest.mark.case("T061")
def test_finding_3_moving_a_provider_parks_what_was_made_under_the_old_address(own_lab: Lab, thief: Thief) -> None:
    lab = own_lab
    flow, waiting = lab.connect(), lab.start()
    old_token = must(lab.ask(flow.wat))["accessToken"]
    machine = {"oauth2Flow": "M2M", "scopes": ["status:read"]}
    own = lab.wat()
    must(lab.ask(own, **machine))
    oracle.execute("UPDATE connections_connection SET refresh_after = now() WHERE tenant_id = %s", lab.tenant.id)
    stolen = custom(lab.provider_input(), oauthDiscovery=metadata(thief.url), clientSecret="for-the-thief")
    must(lab.wire.call(UPDATE, stolen))
    # The stored tokens go neither to the caller nor, as a refresh token, to the new server.
    reply = must(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN))
    assert "accessToken" not in reply
    assert lab.dana.open(waiting.url).status in (403, 410)
    lab.ask(own, **machine)
    stolen_goods = thief.everything()
    assert lab.client.client_secret not in stolen_goods and old_token not in stolen_goods
    assert {taken.grant_type for taken in thief.taken} <= {"client_credentials"}, "a refresh token went astray"
    states = lab.rows(
        "SELECT DISTINCT status, status_reason FROM connections_connection WHERE flow = 'user_federation' "
        "AND tenant_id = %s"
    )
    assert states == [("needs_reconsent", "provider_changed")]
    [note] = lab.rows(
        "SELECT details FROM audit_auditrecord WHERE action = 'oauth_provider.update' AND outcome = 'allowed' "
        "AND tenant_id = %s"
    )
    assert note[0]["after"] == f"{thief.url}/token" and note[0]["before"] == f"{lab.hub.url}/token"
    assert note[0]["connections_parked"] >= 1
    # Moving it back does not bring them back: the person consents again.
    must(lab.wire.call(UPDATE, lab.provider_input()))
    assert "accessToken" not in must(lab.ask(flow.wat))
    lab.works()


@pytest.mark.case("T075")
def test_T075_changing_only_the_secret_moves_nobody(own_lab: Lab) -> None:
    lab = own_lab
    flow = lab.connect()
    changed = lab.hub.change_client(lab.client, new_secret=True)
    must(lab.wire.call(UPDATE, custom(lab.provider_input(), clientSecret=changed.client_secret)))
    assert must(lab.ask(flow.wat))["accessToken"]
    oracle.execute("UPDATE connections_connection SET refresh_after = now() WHERE tenant_id = %s", lab.tenant.id)
    assert must(lab.ask(flow.wat))["accessToken"]


MEMBERS = "tenant tenant_id owner created_by id status is_admin kek_id createdTime arn accountId".split()


@pytest.mark.case("T089")
@pytest.mark.parametrize("operation", sorted(SUCCEEDS))
def test_T089_no_operation_takes_a_member_it_does_not_have(lab: Lab, neighbour: Lab, operation: str) -> None:
    """The request as such would succeed; it is never carried out, so that it still would."""
    good = SUCCEEDS[operation](lab)
    value = str(neighbour.tenant.id)
    with oracle.watching(lab.tenant, neighbour.tenant) as watch:
        for member in MEMBERS:
            reply = lab.wire.call(operation, {**good, member: value})
            assert (reply.status, reply.code) == INVALID, member
            assert value not in reply.body.decode()
    assert watch.changed == set()
    assert sum(watch.reasons()[reason] for reason in ("unknown_field", "field_invalid", "body_not_expected")) == len(
        MEMBERS
    )
    must(lab.wire.call(operation, good))
