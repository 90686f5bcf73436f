"""One strict reading of the URLs that strangers give us. Pure.

Parsed once, with one parser: what is checked here is what is dialled and what is sent as Host. Anything that two
parsers could read in two ways is refused instead of repaired.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from apps.core.errors import Invalid
from apps.core.net.addresses import Address, why_forbidden

MAX_LENGTH = 2048
HTTPS_PORT = 443

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_NEVER_IN_A_URL = re.compile(r'[\\#"<>^`{|}]')
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?")
_DOTTED_QUAD = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
# "Ends in a number": resolvers read 2130706433, 0x7f.1, 0177.0.0.1 and 127.1 as loopback.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"0|[1-9][0-9]{0,8}")

# Names that mean this machine, this network or a metadata service, whatever the resolver says today.
_LOCAL_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"})
_LOCAL_SUFFIXES = (".localhost", ".local", ".localdomain", ".internal", ".intranet", ".lan", ".home.arpa", ".corp")


@dataclass(frozen=True, slots=True)
class OutboundUrl:
    """An address that passed the rules. `host` is lower case, without brackets; `path_and_query` starts with `/`.

    `private_ok` is set when an operator allowed exactly this host and port.
    """

    scheme: str
    host: str
    port: int
    path_and_query: str
    private_ok: bool = False

    @property
    def literal(self) -> Address | None:
        """The host as an address, if it is one."""
        if ":" in self.host:
            return IPv6Address(self.host)
        return IPv4Address(self.host) if _DOTTED_QUAD.fullmatch(self.host) else None

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = HTTPS_PORT if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host_header}"

    def __str__(self) -> str:
        return f"{self.origin}{self.path_and_query}"


@dataclass(frozen=True, slots=True)
class UrlRules:
    """Which URLs may be called.

    `allowed_private` holds exact (host, port) pairs the operator opened: there `http`, that port and private
    addresses are fine. `approved_hosts`, if given, is the operator's complete list of further hosts; host names in
    it are exact, because prefix and suffix matching is how such lists get bypassed (Keycloak CVE-2026-18211).
    """

    allowed_private: frozenset[tuple[str, int]] = frozenset()
    approved_hosts: frozenset[str] | None = None

    def read(self, url: str) -> OutboundUrl:
        """Parse and judge one URL, without any look-up.

        Raises Invalid with reason `url_invalid`, `url_scheme`, `url_port`, `url_forbidden_address` or
        `url_host_not_approved`. Whoever configured the address can fix it, except the last and private hosts,
        which an operator has to allow.
        """
        if not url or len(url) > MAX_LENGTH or not _VISIBLE.fullmatch(url):
            raise _invalid()
        scheme, rest = _split_scheme(url)
        if not rest.startswith("//") or _NEVER_IN_A_URL.search(rest):
            raise _invalid()
        authority, tail = _split_authority(rest[2:])
        host, port = _host_and_port(authority, scheme)
        private_ok = (host, port) in self.allowed_private
        if scheme != "https" and not private_ok:
            raise _scheme()
        read = OutboundUrl(scheme, host, port, tail, private_ok)
        _judge_host(read)
        if port != HTTPS_PORT and not private_ok:
            raise Invalid(
                "Only port 443 can be used. For a private provider an operator can allow one host and port with "
                "IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS.",
                reason="url_port",
            )
        if self.approved_hosts is not None and host not in self.approved_hosts and not private_ok:
            raise Invalid(
                "The operator of this portal has not approved this host. Ask the operator to add it.",
                reason="url_host_not_approved",
            )
        return read


def read_allow_list(text: str) -> frozenset[tuple[str, int]]:
    """Read `host:port,host:port`, as in IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS. IPv6 hosts stand in brackets.

    Raises ValueError naming the entry that is wrong.
    """
    pairs = set()
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            if ":" not in entry.rpartition("]")[2]:
                raise Invalid("no port", reason="url_port")
            host, port = _host_and_port(entry, "https")
        except Invalid:
            raise ValueError(f"not a host:port pair: {entry!r}") from None
        pairs.add((host, port))
    return frozenset(pairs)


def forbidden_address(private: str) -> Invalid:
    """The refusal of a host inside. `private` says why, for the operator's log."""
    return Invalid(
        "This address lies in a network the portal must not call. If it is a private provider of yours, an operator "
        "can allow its exact host and port with IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS.",
        reason="url_forbidden_address",
        private=private,
    )


def _invalid() -> Invalid:
    return Invalid(
        "This is not a plain absolute URL: it needs https:// and a host name in ASCII, and no user name, blank, "
        "backslash, fragment or final dot, at most 2048 characters.",
        reason="url_invalid",
    )


def _scheme() -> Invalid:
    return Invalid("The address must start with https://.", reason="url_scheme")


def _split_scheme(url: str) -> tuple[str, str]:
    match = _SCHEME.match(url)
    if match is None or match.group(1).lower() not in ("https", "http"):
        raise _scheme()
    return match.group(1).lower(), url[match.end() :]


def _split_authority(text: str) -> tuple[str, str]:
    cut = min((at for at in (text.find("/"), text.find("?")) if at >= 0), default=len(text))
    authority, tail = text[:cut], text[cut:]
    if _BAD_ESCAPE.search(tail):
        raise _invalid()
    return authority, tail if tail.startswith("/") else f"/{tail}"


def _host_and_port(authority: str, scheme: str) -> tuple[str, int]:
    # "@" is a user name, even an empty one; "%" an escaped host or an IPv6 zone.
    if not authority or "@" in authority or "%" in authority:
        raise _invalid()
    port: int | None = None
    if authority.startswith("["):
        inside, bracket, after = authority[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise _invalid()
        host = _ipv6(inside)
        if after:
            port = _port(after[1:])
    else:
        name, colon, digits = authority.partition(":")
        host = _name(name.lower())
        if colon:
            port = _port(digits)
    if port is None:
        port = HTTPS_PORT if scheme == "https" else 80
    return host, port


def _port(digits: str) -> int:
    if not digits.isdigit() or not digits.isascii():
        raise _invalid()
    if not _PORT.fullmatch(digits) or not 1 <= int(digits) <= 65535:
        raise Invalid("The port must be between 1 and 65535.", reason="url_port")
    return int(digits)


def _ipv6(text: str) -> str:
    try:
        return IPv6Address(text).compressed
    except ValueError:
        raise _invalid() from None


def _name(host: str) -> str:
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _invalid()
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        if not _DOTTED_QUAD.fullmatch(host):
            raise forbidden_address("number that is not a dotted quad")
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise forbidden_address("number that is not an address") from None
    return host


def _judge_host(url: OutboundUrl) -> None:
    if url.literal is not None:
        if why := why_forbidden(url.literal, private_ok=url.private_ok):
            raise forbidden_address(why)
    elif not url.private_ok and _is_local_name(url.host):
        raise forbidden_address("local name")


def _is_local_name(host: str) -> bool:
    return "." not in host or host in _LOCAL_NAMES or host.endswith(_LOCAL_SUFFIXES)
