"""Which addresses may be called. The tables are checked from both ends, and the measured traps one by one."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.net.addresses import _IANA_SPECIAL, why_forbidden

ORDINARY = ["93.184.216.34", "8.8.8.8", "1.1.1.1", "223.255.255.254", "2606:4700::1111", "2a00:1450:4001:81b::200e"]

# is_global says True to each of these on some supported Python.
TRAPS = [
    "224.0.0.1",
    "239.255.255.250",
    "192.0.0.192",
    "168.63.129.16",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "3fff::1",
    "5f00::1",
    "100:0:0:1::1",
    "4000::1",
    "fe80::1%eth0",
]


@pytest.mark.parametrize("address", ORDINARY)
def test_ordinary_public_addresses_may_be_called(address: str) -> None:
    assert why_forbidden(address) is None
    assert why_forbidden(ip_address(address)) is None


@pytest.mark.case("T063")
@pytest.mark.parametrize("address", TRAPS)
def test_T063_addresses_that_only_look_global_are_refused(address: str) -> None:
    assert why_forbidden(address)


@pytest.mark.case("T063")
@pytest.mark.parametrize(("network", "name"), _IANA_SPECIAL)
def test_T063_every_special_purpose_network_is_refused_at_both_ends(network: str, name: str) -> None:
    block = ip_network(network)
    assert why_forbidden(block[0])
    assert why_forbidden(block[-1])


@pytest.mark.case("T074")
@pytest.mark.parametrize("private_ok", [False, True])
@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"],
)
def test_T074_metadata_services_stay_closed_even_on_an_allowed_host(address: str, private_ok: bool) -> None:
    assert why_forbidden(address, private_ok=private_ok)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "::1", "fc00::1"]
)
def test_an_operator_may_open_private_addresses(address: str) -> None:
    assert why_forbidden(address)
    assert why_forbidden(address, private_ok=True) is None


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "::ffff:10.0.0.1", "64:ff9b::a00:1"]
)
def test_an_operator_cannot_open_what_is_no_host(address: str) -> None:
    assert why_forbidden(address, private_ok=True)


def test_text_that_is_no_address_is_forbidden() -> None:
    assert why_forbidden("idp.example.com")
    assert why_forbidden("")


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_nothing_the_standard_library_calls_local_gets_through(address: object) -> None:
    found = ip_address(str(address))
    if (
        found.is_private
        or found.is_loopback
        or found.is_multicast
        or found.is_link_local
        or found.is_reserved
        or found.is_unspecified
    ):
        assert why_forbidden(found)
