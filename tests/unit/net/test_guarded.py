"""The transport against real, misbehaving servers."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from apps.core.errors import Code, Invalid, PortalError, Throttled, UpstreamRefused, UpstreamUnavailable
from apps.core.net import process
from apps.core.net.failures import NoAnswer
from apps.core.net.guarded import GuardedTransport
from apps.core.net.messages import Outbound
from apps.core.secret import Secret
from tests.fakes.hostile_acts import (
    body,
    cut_short,
    drip,
    endless_chunks,
    endless_continue,
    endless_trailer,
    head,
    header_flood,
    json_answer,
    long_header,
    negative_chunk,
    raw,
    redirect,
    silence,
    zipped,
)
from tests.fakes.hostile_lab import PUBLIC, PUBLIC_2, HostileLab
from tests.fakes.hostile_server import Act, HostileServer
from tests.unit.net.conftest import NAME, URL, Net

# The real limits are 5 and 10 seconds (checked in test_the_limits_are_those_of_the_specification); the same watchdog
# is driven here with a shorter one to keep the suite quick.
SHORT_S = 0.6
GRACE_S = 1.0  # a busy machine schedules late; the specified half second is measured in the slow test


def post(net: Net, **options: object) -> Outbound:
    fields = (("grant_type", "authorization_code"), ("code", Secret("c0de")))
    return Outbound(method="POST", url=URL, form=fields, **options)  # type: ignore[arg-type]


# --- what a good request looks like -----------------------------------------------------------------------------


def test_a_request_says_what_it_must_and_nothing_else(net: Net) -> None:
    net.server.answer(json_answer({"ok": True}))
    answer = net.transport.post_form(
        f"https://{NAME}/token?x=1", (("a", "b c"), ("code", Secret("s&cret"))), basic_auth=("id:1", Secret("p w/ü"))
    )
    assert (answer.status, answer.body) == (200, b'{"ok": true}')
    [seen] = net.server.seen
    assert (seen.method, seen.target, seen.server_name) == ("POST", "/token?x=1", NAME)
    assert seen.form == {"a": "b c", "code": "s&cret"}
    assert {name.lower() for name, _ in seen.headers} == {
        "host",
        "connection",
        "accept",
        "accept-encoding",
        "user-agent",
        "content-type",
        "content-length",
        "authorization",
    }
    assert seen.header("Host") == NAME
    assert seen.header("Accept-Encoding") == "identity"
    # RFC 6749 section 2.3.1: form-encoded before base64: "id%3A1" and "p+w%2F%C3%BC".
    assert seen.header("Authorization") == "Basic aWQlM0ExOnArdyUyRiVDMyVCQw=="


def test_a_bearer_and_a_json_body_are_sent(net: Net) -> None:
    net.server.answer(json_answer({}))
    net.transport.send(Outbound(method="DELETE", url=URL, json=(("access_token", Secret("t")),), bearer=Secret("b")))
    [seen] = net.server.seen
    assert (seen.method, seen.body, seen.header("Authorization")) == ("DELETE", b'{"access_token": "t"}', "Bearer b")


@pytest.mark.parametrize(
    "name", ["Host", "Cookie", "Content-Length", "Transfer-Encoding", "Accept-Encoding", "X\r\nY", "X Y"]
)
def test_no_caller_can_set_headers_that_steer_the_request(net: Net, name: str) -> None:
    with pytest.raises(ValueError, match="not the caller's"):
        net.transport.send(Outbound(method="GET", url=URL, headers={name: "x"}))
    assert net.server.connects == 0


def test_no_header_value_can_start_a_new_header(net: Net) -> None:
    for value in ("x\r\nCookie: y", "x\ny", "x\0", "ü"):
        with pytest.raises(ValueError, match="characters") as caught:
            net.transport.send(Outbound(method="GET", url=URL, bearer=Secret(value)))
        assert value not in str(caught.value)
    assert net.server.connects == 0


def test_secrets_do_not_show_in_messages() -> None:
    outbound = Outbound(
        method="POST", url=URL, headers={"X-Key": "hush"}, form=(("a", "hush"),), basic_auth=("id", Secret("hush"))
    )
    assert "hush" not in repr(outbound)


def test_a_request_has_one_body_and_one_authorization() -> None:
    with pytest.raises(ValueError, match="one body"):
        Outbound(method="POST", url=URL, form=(), raw=b"")
    with pytest.raises(ValueError, match="one Authorization"):
        Outbound(method="POST", url=URL, basic_auth=("a", Secret("b")), bearer=Secret("c"))


def test_errors_of_the_provider_are_answers_not_exceptions(net: Net) -> None:
    net.server.answer(json_answer({"error": "invalid_grant"}, status=400))
    assert net.transport.send(post(net)).status == 400


def test_the_limits_are_those_of_the_specification() -> None:
    outbound = Outbound(method="POST", url=URL)
    assert (outbound.deadline_s, outbound.max_bytes) == (10.0, 64_000)
    defaults = GuardedTransport.get_json.__kwdefaults__
    assert (defaults["deadline_s"], defaults["max_bytes"]) == (5.0, 256_000)


# --- names -------------------------------------------------------------------------------------------------------


@pytest.mark.case("T064")
@pytest.mark.parametrize(
    "answers",
    [
        ["10.0.0.5"],
        [PUBLIC, "127.0.0.1"],
        [PUBLIC, "::1"],
        ["127.0.0.1", PUBLIC],
        [*[f"93.184.216.{at}" for at in range(1, 64)], "192.168.0.1"],
        ["169.254.169.254"],
        ["::ffff:10.0.0.5"],
        ["fe80::1%lo"],
        ["64:ff9b::7f00:1"],
    ],
)
def test_T064_a_name_with_one_bad_address_is_refused_whole(net: Net, answers: list[str]) -> None:
    net.proves_good()
    before = net.server.connects
    net.lab.names["inside.example.com"] = answers
    for call in (
        lambda: net.get("https://inside.example.com/"),
        lambda: net.transport.vet("https://inside.example.com/"),
    ):
        refused = net.refuses(call)
        assert (refused.code, refused.reason) == (Code.INVALID, "url_forbidden_address")
    assert net.server.connects == before
    assert len(net.lab.dialled) == 1
    net.proves_good()


@pytest.mark.case("T064")
def test_T064_a_name_is_resolved_once_and_the_checked_address_is_dialled(net: Net) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])  # a rebinding name server: public when checked, loopback afterwards
    net.lab.names["rebind.example.com"] = lambda: next(answers)
    net.lab.hosts[PUBLIC] = net.server
    net.server.answer(json_answer({}))
    assert (
        net.refuses(lambda: net.get("https://rebind.example.com/")).reason == "tls_error"
    )  # its name is not on the cert
    assert net.lab.dialled == [(PUBLIC, 443)]
    assert net.lab.looked_up == ["rebind.example.com"]


@pytest.mark.case("T064")
def test_T064_an_unknown_name_is_said_to_be_unknown(net: Net) -> None:
    refused = net.refuses(lambda: net.get("https://nowhere.example.com/"))
    assert (refused.code, refused.reason) == (Code.UPSTREAM_UNAVAILABLE, "upstream_name_unknown")
    net.lab.names["empty.example.com"] = []
    assert net.refuses(lambda: net.get("https://empty.example.com/")).reason == "upstream_name_unknown"
    assert net.lab.dialled == []


@pytest.mark.case("T064")
def test_T064_at_most_four_of_many_addresses_are_tried(net: Net) -> None:
    net.lab.names["many.example.com"] = [f"93.184.217.{at}" for at in range(1, 65)]
    refused = net.refuses(lambda: net.get("https://many.example.com/"))
    assert (refused.reason, getattr(refused, "request_sent", None)) == ("upstream_unreachable", False)
    assert len(net.lab.dialled) == 4


def test_the_next_address_is_tried_when_one_is_down(net: Net) -> None:
    net.lab.add(NAME, net.server, PUBLIC_2)
    net.lab.names[NAME] = ["93.184.217.1", PUBLIC_2]
    net.server.answer(json_answer({"ok": 1}))
    assert net.get() == {"ok": 1}
    assert [address for address, _ in net.lab.dialled] == ["93.184.217.1", PUBLIC_2]


@pytest.mark.case("T070")
def test_T070_a_slow_name_server_does_not_hold_the_caller(net: Net) -> None:
    release = threading.Event()

    def slow() -> list[str]:
        release.wait(10)
        return [PUBLIC]

    net.lab.names["slow.example.com"] = slow
    started = time.monotonic()
    assert net.refuses(lambda: net.get("https://slow.example.com/", deadline_s=SHORT_S)).reason == "upstream_timeout"
    assert time.monotonic() - started < SHORT_S + GRACE_S
    release.set()
    assert net.lab.dialled == []


# --- redirects ---------------------------------------------------------------------------------------------------


@pytest.mark.case("T065")
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize(
    "location", ["https://other.example.com/token", "https://127.0.0.1/token", "http://idp.example.com/", "//x", ""]
)
def test_T065_redirects_are_refused_and_credentials_sent_once(net: Net, status: int, location: str) -> None:
    net.proves_good()
    net.lab.add("other.example.com", net.server, PUBLIC_2)
    net.server.answer(redirect(status, location))
    before = len(net.server.seen)
    refused = net.refuses(lambda: net.transport.send(post(net)))
    assert (refused.code, refused.reason) == (Code.UPSTREAM_REFUSED, "upstream_redirect")
    assert len(net.server.seen) == before + 1
    assert {address for address, _ in net.lab.dialled} == {PUBLIC}
    assert "other" not in refused.public + refused.private
    net.proves_good()


@pytest.mark.case("T065")
def test_T065_refresh_headers_and_meta_refresh_are_not_followed(net: Net) -> None:
    net.server.answer(json_answer({"ok": 1}, extra=[("Refresh", "0; url=https://other.example.com/")]))
    assert net.refuses(net.get).reason == "upstream_redirect"
    page = b'<html><meta http-equiv="refresh" content="0; url=https://other.example.com/"></html>'
    net.server.answer(body(page, media_type="text/html"))
    assert net.refuses(net.get).reason == "upstream_not_json"
    assert net.server.connects == 2
    net.proves_good()


# --- slow and large ----------------------------------------------------------------------------------------------

SLOW: dict[str, Act] = {
    "silence": silence(),
    "dripping body": drip(b" ", first=head(200, [("Content-Type", "application/json")]), every_s=0.1),
    "dripping sized body": drip(b" ", first=head(200, [("Content-Length", "1000")]), every_s=0.1),
    "dripping headers": drip(b"X: y\r\n", first=b"HTTP/1.1 200 OK\r\n", every_s=0.1),
    "dripping status": drip(b"H", every_s=0.1),
    "dripping chunks": drip(b"1\r\n \r\n", first=head(200, [("Transfer-Encoding", "chunked")]), every_s=0.02),
}


@pytest.mark.case("T070")
@pytest.mark.parametrize("how", SLOW)
def test_T070_the_watchdog_ends_slow_answers_at_the_deadline(net: Net, how: str) -> None:
    net.proves_good()
    net.server.answer(SLOW[how])
    started = time.monotonic()
    refused = net.refuses(lambda: net.transport.send(post(net, deadline_s=SHORT_S)))
    took = time.monotonic() - started
    assert SHORT_S - 0.1 <= took < SHORT_S + GRACE_S
    assert isinstance(refused, NoAnswer)
    assert (refused.code, refused.reason) == (Code.UPSTREAM_UNAVAILABLE, "upstream_timeout")
    assert refused.request_sent
    net.proves_good()


@pytest.mark.slow
@pytest.mark.case("T070")
def test_T070_the_real_limits_hold_to_half_a_second(net: Net) -> None:
    net.server.answer(drip(b" ", first=head(200, [("Content-Type", "application/json")]), every_s=0.5))
    for call, limit_s in ((net.get, 5), (lambda: net.transport.send(post(net)), 10)):
        started = time.monotonic()
        assert net.refuses(call).reason == "upstream_timeout"
        assert limit_s - 0.1 <= time.monotonic() - started < limit_s + 0.5


@pytest.mark.case("T070")
def test_T070_a_body_without_a_length_that_the_watchdog_cut_is_not_taken_for_complete(net: Net) -> None:
    """Cut in the middle of "12", the rest is valid JSON by itself: nothing but the watchdog knows it is not whole."""

    def act_drip(line: object) -> None:
        drip(b" ", first=head(200, [("Content-Type", "application/json")]) + b'{"a": 1}', every_s=0.1)(line)  # type: ignore[arg-type]

    net.server.answer(act_drip)
    assert net.refuses(lambda: net.get(deadline_s=SHORT_S)).reason == "upstream_timeout"


@pytest.mark.case("T070")
@pytest.mark.parametrize("tls", [True, False])
def test_T070_a_server_that_accepts_and_says_nothing(tls: bool) -> None:
    """With TLS this is a handshake that never finishes."""
    lab = HostileLab()
    with HostileServer(mute=True) as server:
        lab.add(NAME, server)
        transport = GuardedTransport(
            resolver=lab.resolve, dial=lab.dial, allowed_private=frozenset() if tls else frozenset({(NAME, 80)})
        )
        started = time.monotonic()
        with pytest.raises(NoAnswer) as caught:
            transport.get_json(f"{'https' if tls else 'http'}://{NAME}/", deadline_s=SHORT_S)
        assert time.monotonic() - started < SHORT_S + GRACE_S
        assert (caught.value.reason, caught.value.request_sent) == ("upstream_timeout", not tls)
        assert server.connects == 1


@pytest.mark.case("T070")
def test_T070_a_server_that_never_reads_cannot_hold_the_sender() -> None:
    lab = HostileLab()
    with HostileServer(mute=True) as server:
        lab.add(NAME, server)
        transport = GuardedTransport(resolver=lab.resolve, dial=lab.dial, allowed_private=frozenset({(NAME, 80)}))
        started = time.monotonic()
        with pytest.raises(NoAnswer) as caught:
            transport.send(Outbound(method="POST", url=f"http://{NAME}/", raw=b"x" * 20_000_000, deadline_s=SHORT_S))
        assert time.monotonic() - started < SHORT_S + GRACE_S
        assert caught.value.reason == "upstream_timeout"


@pytest.mark.case("T070")
@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (body(b'{"a": "' + b"x" * 1_000_000 + b'"}'), "upstream_too_large"),
        (raw(head(200, [("Content-Type", "application/json")]) + b'{"a": "' + b"x" * 1_000_000), "upstream_too_large"),
        (endless_chunks(), "upstream_too_large"),
        (endless_chunks(1), "upstream_too_large"),
        (endless_trailer(), "upstream_too_large"),
        (endless_continue(), "upstream_too_large"),
        (negative_chunk(), "upstream_too_large"),
        (header_flood(200), "upstream_too_large"),
        (long_header(40_000), "upstream_too_large"),
        (long_header(70_000), "upstream_too_large"),
        (zipped({"a": 1}, padding=5_000_000), "upstream_encoding"),
        (zipped({"a": 1}, times=3, label="gzip,gzip,gzip"), "upstream_encoding"),
        (body(b"{}", extra=[("Content-Encoding", "br")]), "upstream_encoding"),
        (body(b"{}", extra=[("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]), "upstream_encoding"),
        (body(b"{}", extra=[("Transfer-Encoding", "gzip, chunked")]), "upstream_encoding"),
        (raw(head(200, [("Transfer-Encoding", "chunked")]) + b"-5\r\nhello"), "upstream_malformed"),
        (raw(b"<html>no status line</html>\r\n\r\n"), "upstream_malformed"),
        (raw(b"HTTP/2 200\r\n\r\n"), "upstream_malformed"),
        (raw(b"HTTP/1.1 abc\r\n\r\n"), "upstream_malformed"),
    ],
)
def test_T070_large_encoded_and_broken_answers_are_refused_early(net: Net, act: Act, reason: str) -> None:
    net.proves_good()
    net.server.answer(act)
    started = time.monotonic()
    refused = net.refuses(lambda: net.get(deadline_s=5))
    assert (refused.code, refused.reason) == (Code.UPSTREAM_REFUSED, reason)
    assert time.monotonic() - started < 3
    net.proves_good()


@pytest.mark.case("T070")
def test_T070_a_body_of_exactly_the_limit_is_taken(net: Net) -> None:
    content = b'{"a": "' + b"x" * (1000 - 9) + b'"}'
    net.server.answer(body(content))
    assert net.get(max_bytes=1000)
    assert net.refuses(lambda: net.get(max_bytes=999)).reason == "upstream_too_large"


@pytest.mark.parametrize(
    "act",
    [
        cut_short(b'{"a": 1}', promised=100),
        raw(b""),
        raw(b"HTTP/1.1 200 OK\r\nContent-"),
        raw(head(200, [("Transfer-Encoding", "chunked")]) + b"64\r\nabc"),
    ],
)
def test_an_answer_that_breaks_off_is_no_answer(net: Net, act: Act) -> None:
    net.server.answer(act)
    refused = net.refuses(lambda: net.transport.send(post(net)))
    assert isinstance(refused, NoAnswer)
    assert (refused.reason, refused.request_sent) == ("upstream_unreachable", True)
    assert len(net.server.seen) == 1  # never sent twice: the code in it may have been used up
    net.proves_good()


def test_statuses_are_told_apart_for_documents(net: Net) -> None:
    for status, code in (
        (404, Code.UPSTREAM_REFUSED),
        (201, Code.UPSTREAM_REFUSED),
        (204, Code.UPSTREAM_REFUSED),
        (429, Code.UPSTREAM_UNAVAILABLE),
        (503, Code.UPSTREAM_UNAVAILABLE),
    ):
        net.server.answer(json_answer({}, status=status))
        assert net.refuses(net.get).code == code


# --- environment -------------------------------------------------------------------------------------------------


@pytest.mark.case("T072")
def test_T072_nothing_of_the_environment_is_used(net: Net, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with HostileServer(mute=True) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        monkeypatch.setenv("NO_PROXY", "")
        (tmp_path / ".netrc").write_text(f"machine {NAME} login ambient password ambient\n")
        (tmp_path / ".netrc").chmod(0o600)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        net.server.answer(json_answer({"ok": 1}, extra=[("Set-Cookie", "a=b; Path=/; Secure")]))
        assert net.get() == {"ok": 1}
        assert net.get() == {"ok": 1}
        assert proxy.connects == 0
    for seen in net.server.seen:
        assert seen.header("Authorization") is None
        assert seen.header("Cookie") is None
        assert seen.header("Proxy-Authorization") is None


@pytest.mark.case("T072")
def test_T072_SSL_CERT_FILE_adds_no_authority_and_SSLKEYLOGFILE_no_log(
    net: Net, ca_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    net.proves_good()
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_bundle))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    without = GuardedTransport(resolver=net.lab.resolve, dial=net.lab.dial)
    with pytest.raises(UpstreamUnavailable) as caught:
        without.get_json(URL)
    assert caught.value.reason == "tls_error"
    assert not (tmp_path / "keys").exists()
    net.proves_good()


# --- many callers ------------------------------------------------------------------------------------------------


def test_a_tenant_whose_provider_hangs_leaves_room_for_others(net: Net, ca_bundle: Path) -> None:
    transport = GuardedTransport(
        resolver=net.lab.resolve, dial=net.lab.dial, ca_bundle=ca_bundle, per_tenant=2, tenant_wait_s=0.05
    )
    net.server.at("/hang", silence())
    net.server.at("/good", json_answer({"ok": 1}))
    ended: list[str] = []

    def hang() -> None:
        try:
            transport.get_json(f"https://{NAME}/hang", deadline_s=1.5, for_tenant="slow")
        except PortalError as refused:
            ended.append(refused.reason)

    threads = [threading.Thread(target=hang) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(net.server.seen_at("/hang")) < 2:
        time.sleep(0.01)
    with pytest.raises(Throttled) as caught:
        transport.get_json(f"https://{NAME}/good", for_tenant="slow")
    assert caught.value.reason == "outbound_concurrency"
    assert caught.value.retry_after_s
    assert transport.get_json(f"https://{NAME}/good", for_tenant="other") == {"ok": 1}
    for thread in threads:
        thread.join()
    assert ended == ["upstream_timeout"] * 2
    assert transport.get_json(f"https://{NAME}/good", for_tenant="slow") == {"ok": 1}
    assert transport._lanes._busy == {}


def test_threads_and_sockets_are_given_back(net: Net) -> None:
    net.proves_good()
    net.server.answer(silence())
    for _ in range(5):
        net.refuses(lambda: net.get(deadline_s=0.1))
    deadline = time.monotonic() + 3
    while any("Timer" in thread.name or thread.name == "name-lookup" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    net.proves_good()


# --- private providers and wiring --------------------------------------------------------------------------------


def test_an_allowed_private_provider_is_called_over_plain_http() -> None:
    with HostileServer() as server, HostileServer() as neighbour:
        server.answer(json_answer({"ok": 1}))
        transport = GuardedTransport(allowed_private=frozenset({server.address}))
        assert transport.get_json(server.url("/config")) == {"ok": 1}
        assert server.seen[0].header("Host") == f"127.0.0.1:{server.port}"
        for url, reason in (
            (neighbour.url("/config"), "url_scheme"),
            (neighbour.url("/config").replace("http:", "https:"), "url_forbidden_address"),
        ):
            with pytest.raises(Invalid) as caught:
                transport.get_json(url)
            assert caught.value.reason == reason
        assert neighbour.connects == 0


def test_an_allowed_name_may_resolve_inside_but_not_to_metadata() -> None:
    with HostileServer() as server:
        server.answer(json_answer({"ok": 1}))
        answers = {"idp.corp.internal": ["127.0.0.1"], "bad.corp.internal": ["169.254.169.254"]}
        transport = GuardedTransport(
            allowed_private=frozenset({("idp.corp.internal", server.port), ("bad.corp.internal", server.port)}),
            resolver=lambda host, port: answers[host],
        )
        assert transport.get_json(f"http://idp.corp.internal:{server.port}/") == {"ok": 1}
        with pytest.raises(Invalid) as caught:
            transport.get_json(f"http://bad.corp.internal:{server.port}/")
        assert caught.value.reason == "url_forbidden_address"
        assert server.connects == 1


def test_the_approved_list_binds_the_transport(net: Net) -> None:
    net.proves_good()
    strict = GuardedTransport(
        resolver=net.lab.resolve, dial=net.lab.dial, approved_hosts=frozenset({"Other.example.com"})
    )
    dialled = list(net.lab.dialled)
    with pytest.raises(Invalid) as caught:
        strict.get_json(URL)
    assert caught.value.reason == "url_host_not_approved"
    assert net.lab.dialled == dialled


def test_vetting_looks_up_but_does_not_connect(net: Net) -> None:
    assert str(net.transport.vet(URL)) == URL
    assert (net.lab.looked_up, net.lab.dialled, net.server.connects) == ([NAME], [], 0)


def test_the_process_has_one_configured_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_transport", None)
    with pytest.raises(RuntimeError, match="configure"):
        process.transport()
    made = process.configure(allowed_private=frozenset({("127.0.0.1", 9)}))
    assert process.transport() is made
    assert made.rules.allowed_private == {("127.0.0.1", 9)}


def test_public_sentences_say_what_to_do_and_never_quote_the_provider(net: Net) -> None:
    canary = "CANARY7f3a"
    for act in (
        body(canary.encode(), media_type="text/html"),
        body(b'{"' + canary.encode() + b'": nope}'),
        redirect(302, f"https://{canary}.example.com/"),
        raw(canary.encode() + b"\r\n\r\n"),
        json_answer({"error": canary}, status=500),
        body(b"{}", extra=[("Content-Encoding", canary)]),
    ):
        net.server.answer(act)
        refused = net.refuses(net.get)
        assert isinstance(refused, UpstreamRefused | UpstreamUnavailable)
        assert canary not in f"{refused} {refused.public} {refused.private}"
        assert refused.public.endswith(".")
