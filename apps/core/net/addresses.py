"""Which IP addresses the portal must never call. Pure.

`ipaddress.is_global` alone is not a filter: it says yes to multicast, to cloud metadata services such as
192.0.0.192 and 168.63.129.16, and to IPv6 forms that carry a private IPv4 address inside. So the rule is the
other way round: an address must be ordinary global unicast *and* in none of the networks listed here.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

# The two IANA special-purpose registries (iana-ipv4-special-registry, iana-ipv6-special-registry) as data.
# All rows are refused, those marked globally reachable too: anycast helpers and translators are no provider.
_IANA_SPECIAL = (
    ("0.0.0.0/8", "this network, RFC 791"),
    ("10.0.0.0/8", "private use, RFC 1918"),
    ("100.64.0.0/10", "shared address space, RFC 6598"),
    ("127.0.0.0/8", "loopback, RFC 1122"),
    ("169.254.0.0/16", "link local, RFC 3927"),
    ("172.16.0.0/12", "private use, RFC 1918"),
    ("192.0.0.0/24", "IETF protocol assignments, RFC 6890"),
    ("192.0.0.0/29", "IPv4 service continuity, RFC 7335"),
    ("192.0.0.8/32", "IPv4 dummy address, RFC 7600"),
    ("192.0.0.9/32", "port control protocol anycast, RFC 7723"),
    ("192.0.0.10/32", "TURN anycast, RFC 8155"),
    ("192.0.0.170/32", "NAT64/DNS64 discovery, RFC 8880"),
    ("192.0.0.171/32", "NAT64/DNS64 discovery, RFC 8880"),
    ("192.0.2.0/24", "documentation, RFC 5737"),
    ("192.31.196.0/24", "AS112, RFC 7535"),
    ("192.52.193.0/24", "AMT, RFC 7450"),
    ("192.88.99.0/24", "6to4 relay anycast, RFC 7526"),
    ("192.168.0.0/16", "private use, RFC 1918"),
    ("192.175.48.0/24", "AS112 direct delegation, RFC 7534"),
    ("198.18.0.0/15", "benchmarking, RFC 2544"),
    ("198.51.100.0/24", "documentation, RFC 5737"),
    ("203.0.113.0/24", "documentation, RFC 5737"),
    ("240.0.0.0/4", "reserved, RFC 1112"),
    ("255.255.255.255/32", "limited broadcast, RFC 919"),
    ("::1/128", "loopback, RFC 4291"),
    ("::/128", "unspecified, RFC 4291"),
    ("::ffff:0:0/96", "IPv4-mapped, RFC 4291"),
    ("64:ff9b::/96", "NAT64, RFC 6052"),
    ("64:ff9b:1::/48", "local NAT64, RFC 8215"),
    ("100::/64", "discard only, RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix, RFC 9780"),
    ("2001::/23", "IETF protocol assignments, RFC 2928"),
    ("2001::/32", "Teredo, RFC 4380"),
    ("2001:1::1/128", "port control protocol anycast, RFC 7723"),
    ("2001:1::2/128", "TURN anycast, RFC 8155"),
    ("2001:1::3/128", "DNS-SD registration anycast, RFC 9665"),
    ("2001:2::/48", "benchmarking, RFC 5180"),
    ("2001:3::/32", "AMT, RFC 7450"),
    ("2001:4:112::/48", "AS112, RFC 7535"),
    ("2001:10::/28", "ORCHID, RFC 4843"),
    ("2001:20::/28", "ORCHIDv2, RFC 7343"),
    ("2001:30::/28", "drone identifiers, RFC 9374"),
    ("2001:db8::/32", "documentation, RFC 3849"),
    ("2002::/16", "6to4, RFC 3056"),
    ("2620:4f:8000::/48", "AS112 direct delegation, RFC 7534"),
    ("3fff::/20", "documentation, RFC 9637"),
    ("5f00::/16", "segment routing, RFC 9602"),
    ("fc00::/7", "unique local, RFC 4193"),
    ("fe80::/10", "link local, RFC 4291"),
)

# Not in those registries, or in them under a wider heading, and still never a provider.
_ALSO_REFUSED = (
    ("224.0.0.0/4", "multicast"),
    ("ff00::/8", "multicast"),
    ("fec0::/10", "site local, RFC 3879"),
    ("::/96", "IPv4-compatible, RFC 4291"),
    ("::ffff:0:0:0/96", "IPv4-translated, RFC 2765"),
)

# Services that hand out credentials of the machine they are asked from. Refused even on an allow-listed host.
_CLOUD_METADATA = (
    ("169.254.0.0/16", "link local, cloud metadata"),
    ("fe80::/10", "link local"),
    ("168.63.129.16/32", "Azure platform"),
    ("192.0.0.192/32", "Oracle Cloud metadata"),
    ("100.100.100.200/32", "Alibaba Cloud metadata"),
    ("fd00:ec2::/32", "AWS metadata"),
    ("fd20:ce::254/128", "Google Cloud metadata"),
)

# What an operator may open for one exact host and port.
_PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")


def _networks(rows: tuple[tuple[str, str], ...]) -> tuple[tuple[_Network, str], ...]:
    return tuple((ip_network(network), name) for network, name in rows)


_METADATA = _networks(_CLOUD_METADATA)
_SPECIAL = _networks(_IANA_SPECIAL + _ALSO_REFUSED)
_MAY_BE_OPENED = tuple(ip_network(network) for network in _PRIVATE)
_IPV6_GLOBAL_UNICAST = ip_network("2000::/3")


def why_forbidden(address: str | Address, *, private_ok: bool = False) -> str | None:
    """The reason this address must not be called, in a few words for the operator's log, or None if it may.

    `private_ok` lets loopback, RFC 1918, RFC 6598 and unique-local addresses through, for a host and port that
    the operator allowed by name; cloud metadata services stay closed. Text that is not an address is forbidden.
    """
    if isinstance(address, str):
        try:
            address = ip_address(address)
        except ValueError:
            return "not an address"
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "zone id"
    if name := _found_in(address, _METADATA):
        return name
    if private_ok and any(address in network for network in _MAY_BE_OPENED):
        return None
    if name := _found_in(address, _SPECIAL):
        return name
    if isinstance(address, IPv6Address) and address not in _IPV6_GLOBAL_UNICAST:
        return "not global unicast"
    if not address.is_global:
        return "not global"
    return None


def _found_in(address: Address, table: tuple[tuple[_Network, str], ...]) -> str | None:
    # Comparing across versions is always false, so one table serves both.
    return next((name for network, name in table if address in network), None)
