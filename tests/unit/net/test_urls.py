"""Reading URLs strictly: what is accepted, and every way of bending one."""

from __future__ import annotations

import pytest

from apps.core.errors import Invalid
from apps.core.net.guarded import GuardedTransport
from apps.core.net.urls import OutboundUrl, UrlRules, read_allow_list
from tests.unit.net.conftest import Net

RULES = UrlRules()


def refusal(url: str, rules: UrlRules = RULES) -> str:
    with pytest.raises(Invalid) as caught:
        rules.read(url)
    assert caught.value.public.endswith(".")
    return caught.value.reason


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://idp.example.com", OutboundUrl("https", "idp.example.com", 443, "/")),
        ("https://idp.example.com/a/b?c=d&e=%20", OutboundUrl("https", "idp.example.com", 443, "/a/b?c=d&e=%20")),
        ("https://idp.example.com?c=d", OutboundUrl("https", "idp.example.com", 443, "/?c=d")),
        ("https://idp.example.com:443/x", OutboundUrl("https", "idp.example.com", 443, "/x")),
        ("HTTPS://IDP.Example.COM/X", OutboundUrl("https", "idp.example.com", 443, "/X")),
        ("https://xn--bcher-kva.example/", OutboundUrl("https", "xn--bcher-kva.example", 443, "/")),
        ("https://8.8.8.8/", OutboundUrl("https", "8.8.8.8", 443, "/")),
        ("https://[2606:4700::1111]/", OutboundUrl("https", "2606:4700::1111", 443, "/")),
    ],
)
def test_plain_urls_are_read(url: str, expected: OutboundUrl) -> None:
    assert RULES.read(url) == expected


def test_the_parts_say_what_goes_on_the_wire() -> None:
    read = RULES.read("https://[2606:4700::1111]/x?y=z")
    assert (read.host_header, read.origin, str(read)) == (
        "[2606:4700::1111]",
        "https://[2606:4700::1111]",
        "https://[2606:4700::1111]/x?y=z",
    )


@pytest.mark.case("T062")
@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example.com/config",
        "ftp://idp.example.com/config",
        "file:///etc/passwd",
        "gopher://idp.example.com/_x",
        "data:application/json,{}",
        "jar:https://idp.example.com!/x",
        "ws://idp.example.com/",
        "wss://idp.example.com/",
        "unix:/run/docker.sock",
        "javascript:alert(1)",
        "//idp.example.com/config",
        "idp.example.com/config",
        "/config",
        "https",
    ],
)
def test_T062_only_https_is_called(net: Net, url: str) -> None:
    net.proves_good()
    before = net.server.connects
    assert net.refuses(lambda: net.get(url)).reason == "url_scheme"
    assert net.server.connects == before
    assert net.lab.dialled == [("93.184.216.34", 443)]
    assert net.lab.looked_up == ["idp.example.com"]
    net.proves_good()


@pytest.mark.case("T063")
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "0x7f000001",
        "127.1",
        "0",
        "1.2.3.4.5",
        "256.1.1.1",
        "127.0.0.01",
        "localhost",
        "foo.localhost",
        "redis",
        "db.internal",
        "printer.local",
    ],
)
def test_T063_literal_private_addresses_are_refused(net: Net, host: str) -> None:
    net.proves_good()
    dialled = list(net.lab.dialled)
    looked_up = list(net.lab.looked_up)
    assert net.refuses(lambda: net.get(f"https://{host}/config")).reason == "url_forbidden_address"
    assert net.lab.dialled == dialled
    assert net.lab.looked_up == looked_up
    net.proves_good()


@pytest.mark.case("T066")
@pytest.mark.parametrize(
    "url",
    [
        "https://user@idp.example.com/",
        "https://user:password@idp.example.com/",
        "https://@idp.example.com/",
        "https://idp.example.com@evil.example/",
        "https:\\\\idp.example.com/",
        "https://idp.example.com\\@evil.example/",
        "https://idp.example.com/a\\b",
        "https://idp.example.com/a\tb",
        "https://idp.example.com/a\nb",
        "https://idp.exa\nmple.com/",
        "https://idp.example.com/a b",
        " https://idp.example.com/",
        "https://idp.example.com/ ",
        "https://idp.example.com/\x00",
        "https://idp.example.com/#fragment",
        "https://idp.example.com#@evil.example/",
        "https://idp。example.com/",  # ideographic full stop
        "https://ｉdp.example.com/",  # full-width letter
        "https://①②⑦.⓪.⓪.①/",
        "https://bücher.example/",
        "https://idp.example.com./",
        "https://idp%2eexample.com/",
        "https://idp.example.com%00.evil.example/",
        "https://idp.example.com/%zz",
        "https://idp.example.com/%",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 127 + "example/",
        "https://idp.example.com/" + "x" * 3000,
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://[::1]x/",
        "https://[v1.x]/",
        "https://fd00::1/",
        "https:///config",
        "https://",
        "https:idp.example.com",
        "https://-idp.example.com/",
        "https://idp_1.example.com/",
        "https://idp..example.com/",
        "https://.example.com/",
        "https://idp.example.com:/",
        "https://idp.example.com:443x/",
        "https://idp.example.com:+443/",
        "https://idp.example.com:４４３/",
        "https://idp.example.com/{x}",
        "",
    ],
)
def test_T066_bent_syntax_is_refused(url: str) -> None:
    assert RULES.read("https://idp.example.com/").host == "idp.example.com"
    assert refusal(url) == "url_invalid"


@pytest.mark.case("T067")
@pytest.mark.parametrize(
    "port", ["0", "22", "25", "53", "80", "5432", "6379", "11211", "65536", "99999", "8443", "0443", "99999999999"]
)
def test_T067_only_port_443_is_called(port: str) -> None:
    assert RULES.read("https://idp.example.com:443/").port == 443
    assert refusal(f"https://idp.example.com:{port}/") == "url_port"


@pytest.mark.case("T067")
def test_T067_an_operator_allows_one_host_and_port_and_nothing_beside_it() -> None:
    rules = UrlRules(allowed_private=frozenset({("idp.corp.internal", 8443), ("127.0.0.1", 9000), ("::1", 9000)}))
    assert rules.read("https://idp.corp.internal:8443/x").private_ok
    assert rules.read("http://127.0.0.1:9000/x").private_ok
    assert rules.read("http://[::1]:9000/x").private_ok
    assert not rules.read("https://idp.example.com/").private_ok
    assert refusal("https://idp.corp.internal/x", rules) == "url_forbidden_address"
    assert refusal("https://idp.corp.internal:9443/x", rules) == "url_forbidden_address"
    assert refusal("https://evil.idp.corp.internal:8443/x", rules) == "url_forbidden_address"
    assert refusal("https://idp.corp.internal.evil.example:8443/x", rules) == "url_port"
    assert refusal("http://127.0.0.1:9001/x", rules) == "url_scheme"
    assert refusal("http://2130706433:9000/x", rules) == "url_forbidden_address"
    assert refusal("ftp://127.0.0.1:9000/x", rules) == "url_scheme"


@pytest.mark.case("T074")
@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.170.2",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "metadata.google.internal",
        "metadata.goog",
        "instance-data",
        "instance-data.ec2.internal",
    ],
)
def test_T074_metadata_services_are_refused(net: Net, host: str) -> None:
    net.proves_good()
    dialled = list(net.lab.dialled)
    looked_up = list(net.lab.looked_up)
    assert net.refuses(lambda: net.get(f"https://{host}/latest")).reason == "url_forbidden_address"
    assert (net.lab.dialled, net.lab.looked_up) == (dialled, looked_up)
    net.proves_good()


@pytest.mark.case("T074")
def test_T074_an_allow_listed_metadata_address_stays_closed() -> None:
    transport = GuardedTransport(allowed_private=frozenset({("169.254.169.254", 80)}))
    with pytest.raises(Invalid) as caught:
        transport.get_json("http://169.254.169.254/latest")
    assert caught.value.reason == "url_forbidden_address"


def test_an_operators_approved_list_is_exact() -> None:
    rules = UrlRules(approved_hosts=frozenset({"idp.example.com"}), allowed_private=frozenset({("127.0.0.1", 9000)}))
    assert rules.read("https://IDP.example.com/").host == "idp.example.com"
    assert rules.read("http://127.0.0.1:9000/").private_ok
    for host in ("evil.example", "evilidp.example.com", "idp.example.com.evil.example", "a.idp.example.com"):
        assert refusal(f"https://{host}/", rules) == "url_host_not_approved"


def test_the_allow_list_of_the_environment_is_read_or_refused_by_name() -> None:
    assert read_allow_list(" 127.0.0.1:9000, Idp.Internal:8443,[::1]:9001 ,") == {
        ("127.0.0.1", 9000),
        ("idp.internal", 8443),
        ("::1", 9001),
    }
    assert read_allow_list("") == frozenset()
    for bad in ("127.0.0.1", "[::1]", "http://x:1", "a b:1", "x:0", "x:99999", "*:80", "2130706433:80", "u@h:1"):
        with pytest.raises(ValueError, match="host:port"):
            read_allow_list(bad)
