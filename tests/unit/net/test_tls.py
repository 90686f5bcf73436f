"""TLS is verified, always."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
import trustme

from apps.core.errors import Code
from apps.core.net.failures import NoAnswer
from apps.core.net.guarded import GuardedTransport
from apps.core.net.tls import client_context
from tests.fakes.hostile_acts import json_answer
from tests.fakes.hostile_lab import HostileLab
from tests.fakes.hostile_server import HostileServer
from tests.unit.net.conftest import NAME, URL, Net, server_context


def refused_by(context: ssl.SSLContext, ca_bundle: Path) -> None:
    lab = HostileLab()
    with HostileServer(tls=context) as server:
        server.answer(json_answer({"ok": 1}))
        lab.add(NAME, server)
        transport = GuardedTransport(resolver=lab.resolve, dial=lab.dial, ca_bundle=ca_bundle)
        with pytest.raises(NoAnswer) as caught:
            transport.get_json(URL, deadline_s=3)
        assert (caught.value.code, caught.value.reason) == (Code.UPSTREAM_UNAVAILABLE, "tls_error")
        assert not caught.value.request_sent
        assert server.seen == []


@pytest.mark.case("T073")
def test_T073_self_signed(net: Net, ca_bundle: Path) -> None:
    net.proves_good()
    refused_by(server_context(trustme.CA().issue_cert(NAME)), ca_bundle)


@pytest.mark.case("T073")
def test_T073_expired(net: Net, ca: trustme.CA, ca_bundle: Path) -> None:
    net.proves_good()
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    refused_by(server_context(ca.issue_cert(NAME, not_after=yesterday)), ca_bundle)


@pytest.mark.case("T073")
@pytest.mark.parametrize("name", ["evil.example.com", "*.idp.example.com", "example.com", "93.184.216.34"])
def test_T073_wrong_name(net: Net, ca: trustme.CA, ca_bundle: Path, name: str) -> None:
    net.proves_good()
    refused_by(server_context(ca.issue_cert(name)), ca_bundle)


@pytest.mark.case("T073")
def test_T073_missing_intermediate(net: Net, ca: trustme.CA, ca_bundle: Path) -> None:
    net.proves_good()
    cert = ca.create_child_ca().issue_cert(NAME)
    whole = server_context(cert)
    lab = HostileLab()
    with HostileServer(tls=whole) as server:
        server.answer(json_answer({"ok": 1}))
        lab.add(NAME, server)
        assert GuardedTransport(resolver=lab.resolve, dial=lab.dial, ca_bundle=ca_bundle).get_json(URL) == {"ok": 1}
    lacking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with cert.private_key_pem.tempfile() as key, cert.cert_chain_pems[0].tempfile() as leaf:
        lacking.load_cert_chain(leaf, key)
    refused_by(lacking, ca_bundle)


@pytest.mark.case("T073")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_T073_tls_1_1(net: Net, good_cert: trustme.LeafCert, ca_bundle: Path) -> None:
    net.proves_good()
    old = server_context(good_cert)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    refused_by(old, ca_bundle)


@pytest.mark.case("T073")
def test_T073_plain_http_on_the_tls_port(ca_bundle: Path) -> None:
    lab = HostileLab()
    with HostileServer() as server:
        server.answer(json_answer({"ok": 1}))
        lab.add(NAME, server)
        with pytest.raises(NoAnswer):
            GuardedTransport(resolver=lab.resolve, dial=lab.dial, ca_bundle=ca_bundle).get_json(URL, deadline_s=1)


@pytest.mark.case("T073")
def test_T073_there_is_no_way_to_turn_verification_off(ca_bundle: Path) -> None:
    context = client_context(ca_bundle)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.keylog_filename is None
