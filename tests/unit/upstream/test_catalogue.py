"""The vendor catalogue: complete, in order, and never a reason for a network call."""

from __future__ import annotations

import socket

import msgspec
import pytest
import yaml

from apps.core.errors import Invalid, NotFound
from apps.core.net.urls import UrlRules
from apps.upstream.catalogue.catalogue import _FILE, Vendor, VendorName, catalogue, resolve_endpoints, vendor

OWN = {
    "issuer": "https://id.customer.example",
    "authorization_endpoint": "https://id.customer.example/a",
    "token_endpoint": "https://id.customer.example/t",
}
FIXED = [name for name, entry in catalogue().items() if not entry.has_own_endpoints]
HOSTED_BY_CUSTOMERS = [name for name, entry in catalogue().items() if entry.has_own_endpoints]
RULES = UrlRules()


def config_of(name: VendorName) -> dict[str, str]:
    return dict(OWN) if catalogue()[name].has_own_endpoints else {}


def refusal(name: str, config: dict[str, object]) -> Invalid:
    with pytest.raises(Invalid) as caught:
        resolve_endpoints(name, config)
    return caught.value


def test_all_25_vendors_are_there_with_the_union_member_of_the_wire_contract() -> None:
    assert len(catalogue()) == 25
    own_member = {
        "CustomOauth2": "customOauth2ProviderConfig",
        "GoogleOauth2": "googleOauth2ProviderConfig",
        "GithubOauth2": "githubOauth2ProviderConfig",
        "SlackOauth2": "slackOauth2ProviderConfig",
        "SalesforceOauth2": "salesforceOauth2ProviderConfig",
        "MicrosoftOauth2": "microsoftOauth2ProviderConfig",
        "AtlassianOauth2": "atlassianOauth2ProviderConfig",
        "LinkedinOauth2": "linkedinOauth2ProviderConfig",
    }
    for name, entry in catalogue().items():
        assert entry.config_member == own_member.get(name, "includedOauth2ProviderConfig")
    customers = ["Custom", "Okta", "OneLogin", "PingOne", "CyberArk", "FusionAuth", "Auth0", "Cognito"]
    assert {name.value for name in HOSTED_BY_CUSTOMERS} == {f"{name}Oauth2" for name in customers}


@pytest.mark.parametrize("name", list(catalogue()))
def test_resolving_touches_no_network_and_gives_callable_addresses(
    name: VendorName, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise AssertionError("network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = resolve_endpoints(name, config_of(name))
    for member in (
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "userinfo_endpoint",
        "revocation_endpoint",
    ):
        url = getattr(found, member)
        if url is not None:
            assert RULES.read(url.replace("{client_id}", "x")).port == 443
            assert url.replace("{client_id}", "").count("{") == 0
    entry = catalogue()[name]
    assert entry.name
    if not entry.has_own_endpoints:
        assert entry.host == RULES.read(found.authorization_endpoint).host
    assert found.token_endpoint_auth_methods == (entry.client_auth.method,)
    assert found.jwks_uri is None or found.issuer_known
    assert entry.dialect() is not None


def test_every_block_of_facts_says_whether_it_was_verified() -> None:
    raw = yaml.safe_load(_FILE.read_text())
    for entry in raw.values():
        for block in ("client_auth", "pkce", "refresh", "lifetime"):
            assert isinstance(entry[block]["verified"], bool)
        assert isinstance(entry["verified"], bool)
        if "revocation" in entry:
            assert isinstance(entry["revocation"]["verified"], bool)


def test_a_typing_mistake_in_the_file_is_noticed() -> None:
    raw = yaml.safe_load(_FILE.read_text())["GoogleOauth2"]
    assert msgspec.convert(raw, Vendor)
    for bent in (
        {**raw, "scope_seperator": ","},
        {**raw, "pkce": {"server": "off", "verified": True}},
        {k: v for k, v in raw.items() if k != "verified"},
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(bent, Vendor)


def test_an_unknown_vendor_is_not_found() -> None:
    for name in ("", "googleoauth2", "Google", "x" * 500):
        with pytest.raises(NotFound):
            vendor(name)


@pytest.mark.case("T075")
@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("member", ["issuer", "authorization_endpoint", "token_endpoint"])
def test_T075_fixed_addresses_cannot_be_moved(name: VendorName, member: str) -> None:
    """The client secret belongs to the vendor's server: moving the endpoint would send it elsewhere."""
    assert resolve_endpoints(name, {member: None})
    refused = refusal(name, {member: "https://evil.example/t"})
    assert (refused.reason, refused.fields[0].name) == ("endpoints_fixed", member)


def test_microsoft_is_one_directory_or_common() -> None:
    default = resolve_endpoints("MicrosoftOauth2", {})
    assert default.token_endpoint == "https://login.microsoftonline.com/common/oauth2/v2.0/token"
    assert default.expected_issuer is None
    directory = "9122040d-6c67-4c5b-b112-36a304b66dad"
    found = resolve_endpoints("MicrosoftOauth2", {"tenant_id": directory.upper()})
    assert found.expected_issuer == f"https://login.microsoftonline.com/{directory}/v2.0"
    assert found.jwks_uri == f"https://login.microsoftonline.com/{directory}/discovery/v2.0/keys"
    assert resolve_endpoints("MicrosoftOauth2", {"tenant_id": "contoso.onmicrosoft.com"}).jwks_uri is None
    for bad in ("../evil", "a/b", "a b", "a?b", "@evil.example", "x" * 200, "{issuer}", ".", 5, "ü"):
        assert refusal("MicrosoftOauth2", {"tenant_id": bad}).fields[0].name == "tenant_id"
    assert refusal("GoogleOauth2", {"tenant_id": "x"}).reason == "endpoints_fixed"


@pytest.mark.parametrize(
    ("name", "issuer", "authorization", "token"),
    [
        (
            "OktaOauth2",
            "https://acme.okta.com",
            "https://acme.okta.com/oauth2/v1/authorize",
            "https://acme.okta.com/oauth2/v1/token",
        ),
        (
            "OktaOauth2",
            "https://acme.okta.com/oauth2/default",
            "https://acme.okta.com/oauth2/default/v1/authorize",
            "https://acme.okta.com/oauth2/default/v1/token",
        ),
        (
            "Auth0Oauth2",
            "https://acme.eu.auth0.com",
            "https://acme.eu.auth0.com/authorize",
            "https://acme.eu.auth0.com/oauth/token",
        ),
        (
            "OneLoginOauth2",
            "https://acme.onelogin.com/oidc/2",
            "https://acme.onelogin.com/oidc/2/auth",
            "https://acme.onelogin.com/oidc/2/token",
        ),
        (
            "PingOneOauth2",
            "https://auth.pingone.eu/e1/as",
            "https://auth.pingone.eu/e1/as/authorize",
            "https://auth.pingone.eu/e1/as/token",
        ),
        (
            "FusionAuthOauth2",
            "https://id.acme.example",
            "https://id.acme.example/oauth2/authorize",
            "https://id.acme.example/oauth2/token",
        ),
    ],
)
def test_endpoints_follow_from_the_issuer_where_the_vendor_has_a_pattern(
    name: str, issuer: str, authorization: str, token: str
) -> None:
    found = resolve_endpoints(name, {"issuer": issuer})
    assert (found.authorization_endpoint, found.token_endpoint) == (authorization, token)
    given = resolve_endpoints(name, {"issuer": issuer, "token_endpoint": "https://elsewhere.example/t"})
    assert (given.authorization_endpoint, given.token_endpoint) == (authorization, "https://elsewhere.example/t")


@pytest.mark.parametrize("name", ["CognitoOauth2", "CyberArkOauth2", "CustomOauth2"])
def test_where_nothing_can_be_derived_the_missing_endpoint_is_named(name: str) -> None:
    assert resolve_endpoints(name, OWN)
    for member in ("authorization_endpoint", "token_endpoint"):
        refused = refusal(name, {key: value for key, value in OWN.items() if key != member})
        assert (refused.reason, refused.fields[0].name) == ("endpoint_missing", member)


def test_an_issuer_may_be_left_out_where_aws_examples_do() -> None:
    found = resolve_endpoints("CyberArkOauth2", {key: value for key, value in OWN.items() if key != "issuer"})
    assert (found.issuer, found.expected_issuer) == ("https://id.customer.example", None)


def test_auth0_issuers_end_in_a_slash_however_they_were_typed() -> None:
    for issuer in ("https://acme.auth0.com", "https://acme.auth0.com/"):
        assert resolve_endpoints("Auth0Oauth2", {"issuer": issuer}).expected_issuer == "https://acme.auth0.com/"


def test_nothing_derived_from_the_issuer_lies_on_another_server_than_the_token_endpoint() -> None:
    """Revocation carries the client secret: it must not follow an issuer that is named on another host."""
    for name in ("OktaOauth2", "Auth0Oauth2", "OneLoginOauth2", "PingOneOauth2"):
        home = resolve_endpoints(name, {"issuer": "https://a.example.com"})
        assert home.revocation_endpoint
        apart = resolve_endpoints(
            name, {"issuer": "https://a.example.com", "token_endpoint": "https://b.example.com/t"}
        )
        assert apart.revocation_endpoint is None
        assert apart.userinfo_endpoint is None
    cognito = resolve_endpoints("CognitoOauth2", {**OWN, "issuer": "https://cognito-idp.eu-west-1.amazonaws.com/pool"})
    assert cognito.revocation_endpoint == "https://id.customer.example/oauth2/revoke"
    assert cognito.jwks_uri == "https://cognito-idp.eu-west-1.amazonaws.com/pool/.well-known/jwks.json"


@pytest.mark.case("T069")
@pytest.mark.parametrize("name", HOSTED_BY_CUSTOMERS)
@pytest.mark.parametrize("member", ["issuer", "authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize(
    "bad",
    [
        "http://id.customer.example/",
        "https://127.0.0.1/",
        "javascript:alert(1)",
        "https://u@id.customer.example/",
        "https://metadata.google.internal/",
    ],
)
def test_T069_a_given_address_is_checked_and_named(name: VendorName, member: str, bad: str) -> None:
    assert resolve_endpoints(name, OWN)
    refused = refusal(name, {**OWN, member: bad})
    assert refused.fields[0].name == member


def test_the_operators_rules_apply() -> None:
    rules = UrlRules(allowed_private=frozenset({("127.0.0.1", 9000)}))
    local = {
        "issuer": "http://127.0.0.1:9000",
        "authorization_endpoint": "http://127.0.0.1:9000/a",
        "token_endpoint": "http://127.0.0.1:9000/t",
    }
    assert resolve_endpoints("CustomOauth2", local, rules).token_endpoint == "http://127.0.0.1:9000/t"
    assert refusal("CustomOauth2", dict(local)).reason == "url_scheme"


def test_a_custom_provider_is_basic_unless_it_says_otherwise() -> None:
    assert resolve_endpoints("CustomOauth2", OWN).token_endpoint_auth_methods == ("client_secret_basic",)
    posted = resolve_endpoints("CustomOauth2", {**OWN, "token_endpoint_auth_methods": ["client_secret_post"]})
    assert posted.token_endpoint_auth_methods == ("client_secret_post",)
