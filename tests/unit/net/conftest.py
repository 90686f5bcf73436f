"""A lab per test: one good provider at a public address behind real TLS, and a transport that trusts the test CA."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from apps.core.errors import PortalError
from apps.core.net.guarded import GuardedTransport
from tests.fakes.hostile_acts import json_answer
from tests.fakes.hostile_lab import HostileLab
from tests.fakes.hostile_server import HostileServer

NAME = "idp.example.com"
URL = f"https://{NAME}/config"


@dataclass
class Net:
    lab: HostileLab
    server: HostileServer
    transport: GuardedTransport
    ca: trustme.CA

    def get(self, url: str = URL, **options: float) -> dict[str, object]:
        return self.transport.get_json(url, **options)  # type: ignore[arg-type]

    def proves_good(self) -> None:
        """The untouched request works, before and after whatever a test does."""
        self.server.answer(json_answer({"good": True}))
        assert self.get() == {"good": True}

    def refuses(self, call: Callable[[], object]) -> PortalError:
        with pytest.raises(PortalError) as caught:
            call()
        return caught.value


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_bundle(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
def good_cert(ca: trustme.CA) -> trustme.LeafCert:
    return ca.issue_cert(NAME, "other.example.com")


def server_context(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


@pytest.fixture
def net(ca: trustme.CA, ca_bundle: Path, good_cert: trustme.LeafCert) -> Iterator[Net]:
    lab = HostileLab()
    with HostileServer(tls=server_context(good_cert)) as server:
        lab.add(NAME, server)
        transport = GuardedTransport(resolver=lab.resolve, dial=lab.dial, ca_bundle=ca_bundle)
        yield Net(lab, server, transport, ca)
