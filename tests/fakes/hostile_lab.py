"""A small internet for tests: names, public addresses, and hostile servers behind them.

Real rules on real sockets: the guard sees names that resolve to public addresses and checks them as in production;
only the very last step, dialling, leads to a server on the loopback interface.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from apps.core.net.guarded import tcp_dial
from tests.fakes.hostile_server import HostileServer

PUBLIC = "93.184.216.34"
PUBLIC_2 = "93.184.216.35"


class HostileLab:
    """Give `resolve` and `dial` to a GuardedTransport. Remembers every look-up and every address dialled."""

    def __init__(self) -> None:
        self.names: dict[str, Sequence[str] | Callable[[], Sequence[str]]] = {}
        self.hosts: dict[str, HostileServer] = {}
        self.looked_up: list[str] = []
        self.dialled: list[tuple[str, int]] = []

    def add(self, name: str, server: HostileServer, *addresses: str) -> None:
        """Let this name resolve to these addresses (one public address if none is given), all led to the server."""
        self.names[name] = addresses or (PUBLIC,)
        for address in addresses or (PUBLIC,):
            self.hosts[address] = server

    def resolve(self, host: str, port: int) -> Sequence[str]:
        self.looked_up.append(host)
        known = self.names.get(host)
        if known is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known() if callable(known) else known

    def dial(self, address: str, port: int, timeout_s: float) -> socket.socket:
        self.dialled.append((address, port))
        server = self.hosts.get(address)
        if server is None:
            raise ConnectionRefusedError(address)
        return tcp_dial(server.host, server.port, timeout_s)
