"""The guarded transport: the only code that calls other machines over HTTP.

The order for each request: read the URL strictly, take a lane of the tenant, resolve the name once, check every
address, connect to a checked address, verify TLS against the name, send once, read one bounded answer. A watchdog
ends all of it at the deadline. Nothing is retried after the first byte was sent, because it may have been a
one-time code or a rotating refresh token.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path

from apps.core.errors import UpstreamRefused
from apps.core.net import exchange, failures
from apps.core.net.deadlines import Deadline
from apps.core.net.lanes import Lanes
from apps.core.net.messages import Fields, Inbound, Outbound
from apps.core.net.resolving import Resolver, system_resolver, vetted_addresses
from apps.core.net.strict_json import read_object
from apps.core.net.tls import client_context
from apps.core.net.urls import OutboundUrl, UrlRules
from apps.core.secret import Secret

Dial = Callable[[str, int, float], socket.socket]
_LEAST_CONNECT_S = 1.0


def tcp_dial(address: str, port: int, timeout_s: float) -> socket.socket:
    """Connect to an address, not a name."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


class GuardedTransport:
    """Sends requests to providers and issuers that tenants named, and trusts none of them.

    `allowed_private` and `approved_hosts` are the operator's (see UrlRules). `ca_bundle` is a PEM file of further
    authorities. `resolver` and `dial` stand in for the network's name service and connections in tests.
    Safe to share between threads.
    """

    def __init__(
        self,
        *,
        allowed_private: frozenset[tuple[str, int]] = frozenset(),
        approved_hosts: frozenset[str] | None = None,
        resolver: Resolver = system_resolver,
        ca_bundle: Path | None = None,
        dial: Dial = tcp_dial,
        per_tenant: int = 8,
        tenant_wait_s: float = 0.5,
    ) -> None:
        approved = None if approved_hosts is None else frozenset(host.lower() for host in approved_hosts)
        self.rules = UrlRules(allowed_private, approved)
        self._resolver = resolver
        self._dial = dial
        self._ca_bundle = ca_bundle
        self._lanes = Lanes(per_tenant, wait_s=tenant_wait_s)
        self._tls: ssl.SSLContext | None = None
        self._tls_lock = threading.Lock()

    def send(self, outbound: Outbound, *, for_tenant: Hashable | None = None) -> Inbound:
        """Send one request and return its answer, whatever its status, redirects excepted.

        Raises Invalid (`url_*`): the address must be changed. NoAnswer (`upstream_timeout`,
        `upstream_unreachable`, `upstream_name_unknown`, `tls_error`): nothing usable came back; look at
        `request_sent`. UpstreamRefused (`upstream_redirect`, `upstream_too_large`, `upstream_encoding`,
        `upstream_malformed`): the provider answers wrongly. Throttled: this tenant has too many calls under way.
        """
        url = self.rules.read(outbound.url)
        request = exchange.write_request(outbound, url)
        with self._lanes.enter(for_tenant), Deadline(outbound.deadline_s) as deadline:
            return self._exchange(url, request, outbound, deadline)

    def get_json(
        self,
        url: str,
        *,
        deadline_s: float = 5.0,
        max_bytes: int = 256_000,
        for_tenant: Hashable | None = None,
    ) -> dict[str, object]:
        """Fetch one JSON object, such as a discovery document or a key set. Anything but status 200 is refused.

        Raises what `send` raises, and UpstreamRefused `upstream_not_json` or `upstream_status`, or
        UpstreamUnavailable `upstream_busy` for 429 and 5xx.
        """
        answer = self.send(
            Outbound(method="GET", url=url, deadline_s=deadline_s, max_bytes=max_bytes), for_tenant=for_tenant
        )
        if answer.status == 429 or answer.status >= 500:
            raise failures.busy(answer.status)
        if answer.status != 200:
            raise failures.wrong_status(answer.status)
        return read_object(answer)

    def post_form(
        self,
        url: str,
        fields: Fields,
        *,
        headers: Mapping[str, str] | None = None,
        basic_auth: tuple[str, Secret] | None = None,
        deadline_s: float = 10.0,
        max_bytes: int = 64_000,
        for_tenant: Hashable | None = None,
    ) -> Inbound:
        """POST form fields, such as a token request. Raises what `send` raises."""
        outbound = Outbound(
            method="POST",
            url=url,
            headers=headers or {},
            form=fields,
            basic_auth=basic_auth,
            deadline_s=deadline_s,
            max_bytes=max_bytes,
        )
        return self.send(outbound, for_tenant=for_tenant)

    def vet(self, url: str, *, deadline_s: float = 5.0) -> OutboundUrl:
        """Judge a URL as `send` would, name resolution included, without connecting to it.

        For the moment a configuration is saved. It does not replace the check at each use: answers change.
        Raises Invalid (`url_*`) or NoAnswer (`upstream_name_unknown`, `upstream_timeout`).
        """
        read = self.rules.read(url)
        with Deadline(deadline_s) as deadline:
            try:
                vetted_addresses(read, self._resolver, deadline)
            except TimeoutError:
                raise failures.timed_out(request_sent=False, private="name look-up") from None
        return read

    def _exchange(self, url: OutboundUrl, request: bytes, outbound: Outbound, deadline: Deadline) -> Inbound:
        sock: socket.socket | None = None
        sent = False
        try:
            addresses = vetted_addresses(url, self._resolver, deadline)
            sock = self._connect(addresses, url.port, deadline)
            if url.scheme == "https":
                sock = self._secure(sock, url.host, deadline)
            sock.settimeout(deadline.left_s())
            sent = True
            sock.sendall(request)
            answer = exchange.read_answer(sock, method=outbound.method, max_bytes=outbound.max_bytes)
            if deadline.over:
                # The watchdog's shutdown reads like a clean end of the body: what we hold may be cut short.
                raise TimeoutError("cut by the watchdog")
            return answer
        except UpstreamRefused:
            if deadline.over:  # likewise: half a status line looks like nonsense
                raise failures.timed_out(request_sent=sent, private=url.origin) from None
            raise
        except (OSError, http.client.HTTPException) as problem:
            if deadline.over or isinstance(problem, TimeoutError):
                raise failures.timed_out(request_sent=sent, private=url.origin) from problem
            if isinstance(problem, ssl.SSLError):
                raise failures.tls_failed(request_sent=sent, private=f"{url.origin}: {problem.reason}") from problem
            private = f"{url.origin}: {type(problem).__name__}"
            raise failures.unreachable(request_sent=sent, private=private) from problem
        finally:
            if sock is not None:
                # The watchdog may still be about to act on this socket: take it away first, then close.
                deadline.release()
                sock.close()

    def _connect(self, addresses: list[str], port: int, deadline: Deadline) -> socket.socket:
        problem: OSError = OSError("no address")
        for at, address in enumerate(addresses):
            # A fair share each, so that one dead address does not use up the time of the others.
            share = max(_LEAST_CONNECT_S, deadline.left_s() / (len(addresses) - at))
            try:
                sock = self._dial(address, port, min(share, deadline.left_s()))
            except OSError as failed:
                problem = failed
                continue
            deadline.watch(sock)
            return sock
        if isinstance(problem, TimeoutError) and not deadline.over:
            raise OSError("connect timed out") from problem
        raise problem

    def _secure(self, sock: socket.socket, host: str, deadline: Deadline) -> ssl.SSLSocket:
        sock.settimeout(deadline.left_s())
        with self._tls_lock:
            if self._tls is None:
                self._tls = client_context(self._ca_bundle)
        # Without the handshake first: until the new socket object is under the watchdog's eyes, nothing may block.
        secured = self._tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        deadline.watch(secured)
        try:
            secured.do_handshake()
        except BaseException:
            deadline.release()
            secured.close()
            raise
        return secured
