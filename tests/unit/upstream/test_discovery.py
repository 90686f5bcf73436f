"""OpenID Connect Discovery and RFC 8414: whose document is it, and where would it send us?"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from apps.core.errors import Code, Invalid, PortalError
from apps.core.net.guarded import GuardedTransport
from apps.core.net.urls import UrlRules
from apps.upstream import client
from apps.upstream.protocol import discovery
from apps.upstream.protocol.types import Endpoints
from tests.fakes.hostile_acts import body, json_answer, redirect, silence, zipped
from tests.fakes.hostile_server import Act, HostileServer
from tests.unit.upstream.conftest import TENANT

RULES = UrlRules()
WELL_KNOWN = "/.well-known/openid-configuration"
URL = f"https://as.example.com{WELL_KNOWN}"
GOOD: dict[str, object] = {
    "issuer": "https://as.example.com",
    "authorization_endpoint": "https://login.example.com/authorize",
    "token_endpoint": "https://as.example.com/token",
    "jwks_uri": "https://keys.example.com/jwks",
    "revocation_endpoint": "https://as.example.com/revoke",
    "userinfo_endpoint": "https://as.example.com/me",
    "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
    "code_challenge_methods_supported": ["S256"],
    "id_token_signing_alg_values_supported": ["ES256"],
    "authorization_response_iss_parameter_supported": True,
    "something_else": {"a": [1]},
}


def read(document: dict[str, object], url: str = URL, rules: UrlRules = RULES) -> Endpoints:
    return discovery.read(document, discovery_url=url, rules=rules)


def refusal(document: dict[str, object], url: str = URL) -> Invalid:
    assert read(GOOD).issuer == "https://as.example.com"
    with pytest.raises(Invalid) as caught:
        read(document, url)
    return caught.value


def test_a_good_document_is_read_whole() -> None:
    assert read(GOOD) == Endpoints(
        issuer="https://as.example.com",
        authorization_endpoint="https://login.example.com/authorize",
        token_endpoint="https://as.example.com/token",
        revocation_endpoint="https://as.example.com/revoke",
        jwks_uri="https://keys.example.com/jwks",
        userinfo_endpoint="https://as.example.com/me",
        token_endpoint_auth_methods=("client_secret_post", "private_key_jwt"),
        iss_parameter_supported=True,
        code_challenge_methods=("S256",),
        id_token_algs=("ES256",),
    )


def test_what_is_left_out_has_the_defaults_of_the_standards() -> None:
    least = {name: GOOD[name] for name in ("issuer", "authorization_endpoint", "token_endpoint")}
    found = read(least)
    assert (found.jwks_uri, found.revocation_endpoint, found.iss_parameter_supported) == (None, None, False)
    assert found.token_endpoint_auth_methods == ("client_secret_basic",)
    for odd in ("true", 1, [True]):
        assert not read({**least, "authorization_response_iss_parameter_supported": odd}).iss_parameter_supported


@pytest.mark.parametrize(
    ("url", "fetched", "issuer"),
    [
        (f"https://h.example.com{WELL_KNOWN}", f"https://h.example.com{WELL_KNOWN}", "https://h.example.com"),
        (
            f"https://h.example.com/t/1{WELL_KNOWN}",
            f"https://h.example.com/t/1{WELL_KNOWN}",
            "https://h.example.com/t/1",
        ),
        (
            f"https://h.example.com{WELL_KNOWN}/t/1",
            f"https://h.example.com{WELL_KNOWN}/t/1",
            "https://h.example.com/t/1",
        ),
        (
            "https://h.example.com/.well-known/oauth-authorization-server/t",
            "https://h.example.com/.well-known/oauth-authorization-server/t",
            "https://h.example.com/t",
        ),
        (f"https://H.Example.com:443{WELL_KNOWN}", f"https://h.example.com{WELL_KNOWN}", "https://h.example.com"),
        (f"https://h.example.com/{WELL_KNOWN}", f"https://h.example.com{WELL_KNOWN}", "https://h.example.com/"),
        (
            f"https://h.example.com/o/app/{WELL_KNOWN}",
            f"https://h.example.com/o/app{WELL_KNOWN}",
            "https://h.example.com/o/app/",
        ),
    ],
)
def test_the_address_stands_for_one_issuer(url: str, fetched: str, issuer: str) -> None:
    found = discovery.address(url, RULES)
    assert found.fetch_url == fetched
    # One terminating slash is removed when the address is formed, so it stands for the issuer that has one, too.
    assert found.issuers == ((issuer,) if issuer.endswith("/") else (issuer, f"{issuer}/"))


@pytest.mark.parametrize(
    "url",
    [
        "https://h.example.com/",
        "https://h.example.com/openid-configuration",
        f"https://h.example.com{WELL_KNOWN}?tenant=x",
        f"https://h.example.com{WELL_KNOWN}x",
        f"https://h.example.com{WELL_KNOWN}/",
        f"https://h.example.com/a{WELL_KNOWN}/b",
        "https://h.example.com/.well-known/jwks.json",
    ],
)
def test_other_addresses_are_no_discovery_addresses(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        discovery.address(url, RULES)
    assert (caught.value.reason, caught.value.fields[0].name) == ("url_invalid", "discovery_url")


@pytest.mark.case("T068")
@pytest.mark.parametrize(
    "issuer",
    [
        "https://other.example.com",
        "https://as.example.com//",
        "https://as.example.com/.",
        "https://as.example.com/ ",
        "http://as.example.com",
        "https://AS.example.com",
        "https://as.example.com:443",
        "https://as.example.com/tenant",
        "https://as.example.com.evil.example",
        ["https://as.example.com"],
        {"https://as.example.com": 1},
        None,
        "",
        5,
        ...,
    ],
)
def test_T068_the_issuer_is_exactly_the_one_asked_for(issuer: object) -> None:
    bent = {**GOOD, "issuer": issuer}
    if issuer is ...:
        del bent["issuer"]
    refused = refusal(bent)
    assert (refused.reason, refused.fields[0].name) == ("issuer_mismatch", "discovery_url")
    assert "other.example" not in refused.public


@pytest.mark.case("T068")
def test_T068_a_document_of_another_path_is_refused() -> None:
    assert refusal(GOOD, f"https://as.example.com/tenant{WELL_KNOWN}").reason == "issuer_mismatch"
    assert refusal(GOOD, f"https://as.example.com{WELL_KNOWN}/tenant").reason == "issuer_mismatch"
    tenant = {**GOOD, "issuer": "https://as.example.com/tenant"}
    assert read(tenant, f"https://as.example.com{WELL_KNOWN}/tenant").issuer == "https://as.example.com/tenant"


@pytest.mark.case("T068")
def test_T068_an_issuer_that_ends_in_a_slash_keeps_it_and_needs_nothing_special() -> None:
    """Auth0: the issuer `https://t.auth0.com/` publishes at `https://t.auth0.com/.well-known/openid-configuration`."""
    auth0 = {**GOOD, "issuer": "https://as.example.com/"}
    assert read(auth0).issuer == "https://as.example.com/"
    assert read(GOOD).issuer == "https://as.example.com"
    path = {**GOOD, "issuer": "https://as.example.com/t/"}
    for url in (f"https://as.example.com/t{WELL_KNOWN}", f"https://as.example.com{WELL_KNOWN}/t"):
        assert read(path, url).issuer == "https://as.example.com/t/"


@pytest.mark.case("T068")
def test_T068_a_final_slash_that_was_asked_for_has_to_be_there() -> None:
    auth0 = {**GOOD, "issuer": "https://as.example.com/"}
    assert read(auth0, f"https://as.example.com/{WELL_KNOWN}").issuer == "https://as.example.com/"
    assert refusal(GOOD, f"https://as.example.com/{WELL_KNOWN}").reason == "issuer_mismatch"
    assert refusal({**GOOD, "issuer": "https://as.example.com/t"}, f"https://as.example.com{WELL_KNOWN}/t/").reason == (
        "issuer_mismatch"
    )


POISON = [
    "http://as.example.com/x",
    "https://user:pw@as.example.com/x",
    "https://127.0.0.1/x",
    "https://[::1]/x",
    "https://169.254.169.254/x",
    "https://localhost/x",
    "https://as.example.com:8443/x",
    "https://as.example.com/x#y",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "//as.example.com/x",
    "",
    5,
    ["https://as.example.com/x"],
    {"a": 1},
]
MEMBERS = ["authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint", "userinfo_endpoint"]


@pytest.mark.case("T069")
@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("value", POISON, ids=str)
def test_T069_a_poisoned_endpoint_is_refused_by_name(member: str, value: object) -> None:
    refused = refusal({**GOOD, member: value})
    assert refused.code == Code.INVALID
    assert refused.fields[0].name == member
    assert member in refused.public


@pytest.mark.case("T069")
@pytest.mark.parametrize("member", ["authorization_endpoint", "token_endpoint"])
def test_T069_the_two_endpoints_must_be_there(member: str) -> None:
    refused = refusal({name: value for name, value in GOOD.items() if name != member})
    assert (refused.reason, refused.fields[0].name) == ("metadata_malformed", member)


@pytest.mark.parametrize("value", ["client_secret_post", [5], {"a": 1}, ["x"] * 51])
def test_lists_are_lists_of_words(value: object) -> None:
    refused = refusal({**GOOD, "token_endpoint_auth_methods_supported": value})
    assert refused.fields[0].name == "token_endpoint_auth_methods_supported"


def test_endpoints_given_by_hand_are_checked_the_same_way() -> None:
    given = {
        "issuer": "https://as.example.com",
        "authorization_endpoint": "https://as.example.com/a",
        "token_endpoint": "https://as.example.com/t",
    }
    assert discovery.explicit(**given, rules=RULES).issuer == "https://as.example.com"
    for member in given:
        for bad in ("http://as.example.com/", "https://10.0.0.1/", "javascript:x", ""):
            with pytest.raises(Invalid) as caught:
                discovery.explicit(**{**given, member: bad}, rules=RULES)
            assert caught.value.fields[0].name == member


# --- the whole way, over the network -----------------------------------------------------------------------------


class Provider:
    """An issuer on a hostile server, its document and its transport."""

    def __init__(self, server: HostileServer) -> None:
        self.server = server
        self.url = server.url(WELL_KNOWN)
        self.names: dict[str, list[str]] = {}
        self.looked_up: list[str] = []
        self.transport = GuardedTransport(allowed_private=frozenset({server.address}), resolver=self.resolve)
        self.document: dict[str, object] = {
            "issuer": server.url("").rstrip("/"),
            "authorization_endpoint": server.url("/authorize"),
            "token_endpoint": server.url("/token"),
            "jwks_uri": server.url("/jwks"),
        }

    def resolve(self, host: str, port: int) -> list[str]:
        self.looked_up.append(host)
        if host not in self.names:
            raise OSError("unknown")
        return self.names[host]

    def discover(self, act: Act | None = None, **changes: object) -> Endpoints:
        self.server.at(WELL_KNOWN, act or json_answer({**self.document, **changes}))
        return client.discover(self.url, tenant_id=TENANT, via=self.transport)

    def refuses(self, call: Callable[[], object]) -> PortalError:
        assert self.discover().token_endpoint == self.server.url("/token")
        with pytest.raises(PortalError) as caught:
            call()
        assert self.discover().token_endpoint == self.server.url("/token")
        return caught.value


@pytest.fixture
def provider(server: HostileServer) -> Provider:
    return Provider(server)


@pytest.mark.case("T068")
@pytest.mark.case("T069")
def test_T069_nothing_is_called_but_the_document(provider: Provider) -> None:
    with HostileServer() as inside:
        inside.answer(json_answer({"keys": []}))
        for member in ("jwks_uri", "token_endpoint", "authorization_endpoint"):
            refused = provider.refuses(lambda member=member: provider.discover(**{member: inside.url("/x")}))  # type: ignore[misc]
            assert isinstance(refused, Invalid)
            assert refused.fields[0].name == member
        assert inside.connects == 0
    assert {seen.path for seen in provider.server.seen} == {WELL_KNOWN}
    assert provider.refuses(lambda: provider.discover(issuer="https://other.example.com")).reason == "issuer_mismatch"


@pytest.mark.case("T064")
@pytest.mark.case("T069")
def test_T064_names_that_lead_inside_are_refused_when_saving(provider: Provider) -> None:
    provider.names = {"out.example.com": ["93.184.216.34"], "in.example.com": ["93.184.216.34", "10.0.0.5"]}
    assert provider.discover(jwks_uri="https://out.example.com/jwks").jwks_uri == "https://out.example.com/jwks"
    for host, reason in (("in.example.com", "url_forbidden_address"), ("none.example.com", "upstream_name_unknown")):
        refused = provider.refuses(lambda host=host: provider.discover(jwks_uri=f"https://{host}/jwks"))  # type: ignore[misc]
        assert isinstance(refused, Invalid)
        assert (refused.reason, refused.fields[0].name) == (reason, "jwks_uri")


@pytest.mark.case("T071")
@pytest.mark.parametrize(
    "act",
    [
        body(b"[]"),
        body(b"\xef\xbb\xbf{}"),
        body(b'{"issuer": 1, "issuer": 2}'),
        body(b"<html>", media_type="text/html"),
        json_answer({}, status=404),
    ],
)
def test_T071_a_document_that_is_none_is_a_fault_of_the_address(provider: Provider, act: Act) -> None:
    refused = provider.refuses(lambda: provider.discover(act))
    assert isinstance(refused, Invalid)
    assert refused.fields[0].name == "discovery_url"


@pytest.mark.case("T065")
@pytest.mark.case("T070")
@pytest.mark.parametrize(
    ("act", "code"),
    [
        (redirect(302, "https://127.0.0.1/"), Code.UPSTREAM_REFUSED),
        (body(b"{" + b" " * 300_000 + b"}"), Code.UPSTREAM_REFUSED),
        (zipped({}), Code.UPSTREAM_REFUSED),
        (json_answer({}, status=503), Code.UPSTREAM_UNAVAILABLE),
    ],
)
def test_T070_a_provider_in_trouble_is_no_fault_of_the_caller(provider: Provider, act: Act, code: Code) -> None:
    assert provider.refuses(lambda: provider.discover(act)).code == code


@pytest.mark.case("T070")
def test_T070_a_silent_provider_is_given_up(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONFIG_DEADLINE_S", 0.3)
    refused = provider.refuses(lambda: provider.discover(silence()))
    assert refused.reason == "upstream_timeout"
    assert threading.active_count() < 50


def test_a_final_slash_is_fetched_without_it(provider: Provider) -> None:
    issuer = provider.server.url("/app/")
    provider.server.at(f"/app{WELL_KNOWN}", json_answer({**provider.document, "issuer": issuer}))
    for address in (f"/app{WELL_KNOWN}", f"/app/{WELL_KNOWN}"):
        found = client.discover(provider.server.url(address), via=provider.transport)
        assert found.issuer == issuer
