"""The calls the broker makes, against a provider over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from apps.core.errors import Code, Invalid, PortalError, UpstreamRefused
from apps.core.net import process
from apps.core.net.failures import NoAnswer
from apps.core.net.guarded import GuardedTransport
from apps.core.secret import Secret
from apps.upstream import client
from apps.upstream.catalogue.catalogue import vendor
from apps.upstream.protocol.errors import ClientRefused, GrantRefused, RetryLater
from apps.upstream.protocol.types import ClientCredentials, Dialect, Endpoints, Revocation, TokenSet
from tests.fakes.hostile_acts import body, json_answer, redirect, silence
from tests.fakes.hostile_server import HostileServer
from tests.unit.upstream.conftest import CLIENT, TENANT, endpoints_of
from tests.unit.upstream.id_tokens import ACCESS, NONCE, RSA_KEY, claims, public, sign

GOOD = {"access_token": ACCESS, "token_type": "bearer", "expires_in": 3600, "refresh_token": "rt-1", "scope": "a"}


def redeem(server: HostileServer, transport: GuardedTransport, **changes: object) -> TokenSet:
    given: dict[str, object] = {
        "endpoints": endpoints_of(server),
        "client": CLIENT,
        "code": Secret("c0de"),
        "redirect_uri": "https://portal.example.com/connect/callback/abc",
        "verifier": Secret("v3rifier"),
        "tenant_id": TENANT,
        "via": transport,
    }
    return client.exchange_code(**{**given, **changes})  # type: ignore[arg-type]


def test_a_code_becomes_tokens(server: HostileServer, transport: GuardedTransport) -> None:
    server.at("/token", json_answer(GOOD))
    before = datetime.now(UTC)
    found = redeem(server, transport)
    assert found.access_token.reveal() == ACCESS
    assert found.expires_at is not None
    assert timedelta(seconds=3599) <= found.expires_at - before <= timedelta(seconds=3605)
    [seen] = server.seen
    assert seen.form == {
        "grant_type": "authorization_code",
        "code": "c0de",
        "redirect_uri": "https://portal.example.com/connect/callback/abc",
        "code_verifier": "v3rifier",
    }
    assert seen.header("Accept") == "application/json"


@pytest.mark.case("T059")
@pytest.mark.case("T065")
@pytest.mark.parametrize(
    "act",
    [
        json_answer({"error": "invalid_grant"}, status=400),
        json_answer({"error": "x"}),
        json_answer({"token_type": "bearer"}),
        body(b"", status=204),
        body(b"<html>", media_type="text/html"),
        body(b'{"access_token": "' + b"x" * 1_000_000 + b'"}'),
        redirect(307, "https://127.0.0.1/token"),
        json_answer({}, status=503),
    ],
)
def test_T059_a_code_is_sent_once_whatever_the_answer(
    server: HostileServer, transport: GuardedTransport, act: object
) -> None:
    server.at("/token", json_answer(GOOD))
    assert redeem(server, transport).access_token
    server.at("/token", act)  # type: ignore[arg-type]
    with pytest.raises(PortalError) as caught:
        redeem(server, transport)
    assert caught.value.code in (Code.UPSTREAM_REFUSED, Code.UPSTREAM_UNAVAILABLE)
    assert len(server.seen_at("/token")) == 2


@pytest.mark.case("T070")
def test_T070_a_silent_token_endpoint_is_given_up_and_said_to_be_open(
    server: HostileServer, transport: GuardedTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (client.TOKEN_DEADLINE_S, client.CONFIG_DEADLINE_S) == (10, 5)
    monkeypatch.setattr(client, "TOKEN_DEADLINE_S", 0.3)
    server.at("/token", silence())
    with pytest.raises(NoAnswer) as caught:
        redeem(server, transport)
    assert (caught.value.reason, caught.value.request_sent) == ("upstream_timeout", True)
    assert len(server.seen_at("/token")) == 1


@pytest.mark.case("T064")
def test_T064_an_address_that_became_forbidden_is_the_providers_trouble(server: HostileServer) -> None:
    """Saved while it was public; now its name leads inside."""
    rebound = GuardedTransport(resolver=lambda host, port: ["10.0.0.5"])
    endpoints = Endpoints(
        issuer="https://as.example.com",
        authorization_endpoint="https://as.example.com/a",
        token_endpoint="https://as.example.com/t",
    )
    with pytest.raises(UpstreamRefused) as caught:
        redeem(server, rebound, endpoints=endpoints)
    assert (caught.value.code, caught.value.reason) == (Code.UPSTREAM_REFUSED, "url_forbidden_address")
    assert server.connects == 0


# --- ID tokens ---------------------------------------------------------------------------------------------------


def oidc(server: HostileServer) -> Endpoints:
    return endpoints_of(server, jwks_uri=server.url("/jwks"))


def serve_oidc(server: HostileServer, **changes: object) -> None:
    issuer = server.url("").rstrip("/")
    token = sign(claims(datetime.now(UTC), iss=issuer, **changes)).reveal()
    server.at("/jwks", json_answer({"keys": [public(RSA_KEY)]}))
    server.at("/token", json_answer({**GOOD, "scope": "openid a", "id_token": token}))


def test_a_good_id_token_is_verified_and_kept(server: HostileServer, transport: GuardedTransport) -> None:
    serve_oidc(server)
    found = redeem(server, transport, endpoints=oidc(server), nonce=Secret(NONCE))
    assert found.id_token is not None


@pytest.mark.case("T060")
@pytest.mark.parametrize(
    "changes", [{"nonce": "other"}, {"nonce": ...}, {"aud": "other"}, {"iss": "https://evil.example"}, {"at_hash": "x"}]
)
def test_T060_a_bad_id_token_costs_the_access_token(
    server: HostileServer, transport: GuardedTransport, changes: dict[str, object]
) -> None:
    serve_oidc(server)
    assert redeem(server, transport, endpoints=oidc(server), nonce=Secret(NONCE))
    issuer = server.url("").rstrip("/")
    token = sign(claims(datetime.now(UTC), **{"iss": issuer, **changes})).reveal()
    server.at("/token", json_answer({**GOOD, "id_token": token}))
    with pytest.raises(UpstreamRefused) as caught:
        redeem(server, transport, endpoints=oidc(server), nonce=Secret(NONCE))
    assert caught.value.reason == "id_token_invalid"


@pytest.mark.case("T060")
def test_T060_a_token_that_was_asked_for_cannot_just_be_left_out(
    server: HostileServer, transport: GuardedTransport
) -> None:
    serve_oidc(server)
    server.at("/token", json_answer({**GOOD, "scope": "openid a"}))
    with pytest.raises(UpstreamRefused) as caught:
        redeem(server, transport, endpoints=oidc(server), nonce=Secret(NONCE))
    assert caught.value.reason == "id_token_invalid"
    server.at("/token", json_answer({**GOOD, "scope": "a"}))  # openid was not granted
    assert redeem(server, transport, endpoints=oidc(server), nonce=Secret(NONCE)).id_token is None


def test_an_id_token_nobody_can_check_is_dropped(server: HostileServer, transport: GuardedTransport) -> None:
    serve_oidc(server)
    assert redeem(server, transport, endpoints=endpoints_of(server), nonce=Secret(NONCE)).id_token is None
    assert redeem(server, transport, endpoints=oidc(server)).id_token is None
    unknown = endpoints_of(server, jwks_uri=server.url("/jwks"), issuer_known=False)
    assert redeem(server, transport, endpoints=unknown, nonce=Secret(NONCE)).id_token is None
    assert server.seen_at("/jwks") == []


def test_missing_keys_leave_the_code_unspent(server: HostileServer, transport: GuardedTransport) -> None:
    serve_oidc(server)
    server.at("/jwks", json_answer({}, status=503))
    with pytest.raises(PortalError):
        redeem(server, transport, endpoints=oidc(server), nonce=Secret(NONCE))
    assert server.seen_at("/token") == []


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": "x"}, {"key": []}])
def test_a_key_set_has_a_list_of_keys(
    server: HostileServer, transport: GuardedTransport, document: dict[str, object]
) -> None:
    server.at("/jwks", json_answer({"keys": []}))
    assert client.fetch_jwks(server.url("/jwks"), via=transport) == {"keys": []}
    server.at("/jwks", json_answer(document))
    with pytest.raises(UpstreamRefused) as caught:
        client.fetch_jwks(server.url("/jwks"), via=transport)
    assert caught.value.reason == "upstream_not_json"


# --- the other grants --------------------------------------------------------------------------------------------


def test_a_refresh_keeps_what_it_must(server: HostileServer, transport: GuardedTransport) -> None:
    server.at(
        "/token",
        json_answer({"access_token": "at-2", "expires_in": 60}),
        json_answer({**GOOD, "refresh_token": "rt-2"}),
    )
    given = {"refresh_token": Secret("rt-1"), "tenant_id": TENANT, "via": transport}
    first = client.refresh(endpoints_of(server), CLIENT, **given)  # type: ignore[arg-type]
    second = client.refresh(endpoints_of(server), CLIENT, **given)  # type: ignore[arg-type]
    assert [found.refresh_token.reveal() for found in (first, second) if found.refresh_token] == ["rt-1", "rt-2"]
    assert server.seen[0].form == {"grant_type": "refresh_token", "refresh_token": "rt-1"}


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [("invalid_grant", 400, GrantRefused), ("invalid_client", 401, ClientRefused), ("invalid_grant", 500, RetryLater)],
)
def test_a_failed_refresh_says_who_can_help(
    server: HostileServer, transport: GuardedTransport, error: str, status: int, kind: type[PortalError]
) -> None:
    server.at("/token", json_answer({"error": error}, status=status))
    with pytest.raises(kind):
        client.refresh(endpoints_of(server), CLIENT, refresh_token=Secret("rt-1"), tenant_id=TENANT, via=transport)


def test_a_machine_gets_a_token(server: HostileServer, transport: GuardedTransport) -> None:
    server.at("/token", json_answer(GOOD))
    posted = ClientCredentials("client-1", Secret("s3cret"), "client_secret_post")
    found = client.client_credentials(
        endpoints_of(server),
        posted,
        scopes=["a", "b"],
        resources=["https://api.example.com"],
        tenant_id=TENANT,
        via=transport,
    )
    assert found.refresh_token is None
    assert server.seen[0].form == {
        "grant_type": "client_credentials",
        "scope": "a b",
        "resource": "https://api.example.com",
        "client_id": "client-1",
        "client_secret": "s3cret",
    }
    assert server.seen[0].header("Authorization") is None


@pytest.mark.case("T050")
@pytest.mark.parametrize("name", ["grant_type", "client_secret", "scope", "audience", "assertion"])
def test_T050_no_grant_takes_reserved_parameters(server: HostileServer, transport: GuardedTransport, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        client.client_credentials(
            endpoints_of(server), CLIENT, scopes=[], custom={name: "x"}, tenant_id=TENANT, via=transport
        )
    assert caught.value.reason == "reserved_parameter"
    with pytest.raises(Invalid):
        client.exchange_token(
            endpoints_of(server),
            CLIENT,
            grant_type="token_exchange",
            subject_token=Secret("x"),
            custom={name: "x"},
            tenant_id=TENANT,
            via=transport,
        )
    assert server.connects == 0


def test_a_persons_token_is_exchanged(server: HostileServer, transport: GuardedTransport) -> None:
    server.at("/token", json_answer({**GOOD, "id_token": "a.b.c", "issued_token_type": "urn:x"}))
    found = client.exchange_token(
        endpoints_of(server),
        CLIENT,
        grant_type="token_exchange",
        subject_token=Secret("their-token"),
        actor_token=Secret("our-token"),
        audiences=["api"],
        tenant_id=TENANT,
        via=transport,
    )
    assert found.metadata["issued_token_type"] == "urn:x"
    assert found.id_token is None
    form = server.seen[0].form
    assert (form["subject_token"], form["actor_token"], form["audience"]) == ("their-token", "our-token", "api")
    assert form["subject_token_type"] == form["actor_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    client.exchange_token(
        endpoints_of(server),
        CLIENT,
        grant_type="token_exchange",
        subject_token=Secret("x"),
        custom={"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"},
        tenant_id=TENANT,
        via=transport,
    )
    assert server.seen[1].form["subject_token_type"] == "urn:ietf:params:oauth:token-type:jwt"
    assert server.seen[1].body.count(b"subject_token_type") == 1
    client.exchange_token(
        endpoints_of(server),
        CLIENT,
        grant_type="jwt_bearer",
        subject_token=Secret("x"),
        custom={"requested_token_use": "on_behalf_of"},
        tenant_id=TENANT,
        via=transport,
    )
    assert (server.seen[2].form["assertion"], server.seen[2].form["requested_token_use"]) == ("x", "on_behalf_of")


# --- revocation --------------------------------------------------------------------------------------------------


def revoke(
    server: HostileServer, transport: GuardedTransport, dialect: Dialect = Dialect(), **changes: object
) -> bool | None:
    given: dict[str, object] = {
        "endpoints": endpoints_of(server, revocation_endpoint=server.url("/revoke/{client_id}")),
        "client": CLIENT,
        "access_token": Secret("at"),
        "refresh_token": Secret("rt"),
        "dialect": dialect,
        "tenant_id": TENANT,
        "via": transport,
    }
    return client.revoke(**{**given, **changes})  # type: ignore[arg-type]


def test_revocation_follows_RFC_7009(server: HostileServer, transport: GuardedTransport) -> None:
    server.answer(body(b"", media_type=None))
    assert revoke(server, transport) is True
    [seen] = server.seen
    assert (seen.method, seen.path, seen.form) == (
        "POST",
        "/revoke/client-1",
        {"token": "rt", "token_type_hint": "refresh_token"},
    )
    assert seen.header("Authorization")
    assert revoke(server, transport, refresh_token=None) is True
    assert server.seen[1].form == {"token": "at", "token_type_hint": "access_token"}
    assert revoke(server, transport, endpoints=endpoints_of(server, revocation_endpoint=None)) is None


def test_revocation_answers_are_told_apart(server: HostileServer, transport: GuardedTransport) -> None:
    for status, said in ((200, True), (204, True), (404, True), (400, False), (403, False)):
        server.answer(json_answer({"error": "unsupported_token_type"}, status=status))
        assert revoke(server, transport) is said
    for status, kind in ((401, ClientRefused), (429, RetryLater), (503, RetryLater)):
        server.answer(json_answer({}, status=status))
        with pytest.raises(kind):
            revoke(server, transport)


def test_vendors_that_revoke_in_their_own_way(server: HostileServer, transport: GuardedTransport) -> None:
    server.answer(json_answer({"ok": True}))
    assert revoke(server, transport, vendor("GithubOauth2").dialect()) is True
    assert revoke(server, transport, vendor("SlackOauth2").dialect()) is True
    assert revoke(server, transport, vendor("TwitchOauth2").dialect()) is True
    assert revoke(server, transport, vendor("NotionOauth2").dialect()) is True
    assert revoke(server, transport, vendor("HubspotOauth2").dialect()) is True
    assert revoke(server, transport, Dialect(revocation=Revocation(authenticate=False))) is True
    github, slack, twitch, notion, hubspot, bare = server.seen
    assert (github.method, json.loads(github.body)) == ("DELETE", {"access_token": "at"})
    assert (
        github.header(
            "Authorization",
        )
        is not None
    )
    assert (slack.header("Authorization"), slack.body) == ("Bearer at", b"")
    assert twitch.form == {"token": "at", "client_id": "client-1"}
    assert twitch.header("Authorization") is None
    assert json.loads(notion.body) == {"token": "at"}
    assert notion.header("Notion-Version") == "2022-06-28"
    assert (hubspot.form["token"], hubspot.form["client_secret"]) == ("rt", "s3cret")
    assert bare.header("Authorization") is None
    server.answer(json_answer({"ok": False, "error": "token_revoked"}))
    assert revoke(server, transport, vendor("SlackOauth2").dialect()) is False


def test_the_process_wide_transport_is_used_unless_another_is_given(
    server: HostileServer, transport: GuardedTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_transport", None)
    with pytest.raises(RuntimeError):
        redeem(server, transport, via=None)
    process.install(transport)
    server.at("/token", json_answer(GOOD))
    assert redeem(server, transport, via=None).access_token.reveal() == ACCESS
