"""An allowed call waits for the database once. Counted on the wire between the portal and PostgreSQL, where
nothing a driver or a framework does can hide."""

from __future__ import annotations

from datetime import datetime

import pytest

from apps.entrypoints.aws_wire.handler import WireHandler
from benchmarks.inprocess import environ_of
from benchmarks.traffic import ANSWERS, Traffic
from benchmarks.wiretap import tapped
from tests.support import trail

# Bind, Describe, Execute, Sync: a prepared statement in autocommit. No Parse, no BEGIN.
PREPARED = ["B", "D", "E", "S"]
WARM_UP = 4


@pytest.mark.parametrize("kind", ["fetch", "api_key", "mint"])
def test_an_allowed_call_is_one_prepared_round_trip(calls, manifest, kind):
    token = manifest.tokens[0]
    call = getattr(calls, kind)
    with tapped() as tap:
        for _ in range(WARM_UP):
            call(token)
        tap.clear()
        assert call(token)
        assert [message for message, _ in tap.messages] == PREPARED
        assert tap.round_trips == 1


@pytest.mark.parametrize("kind", ["fetch", "api_key", "mint"])
def test_the_whole_signed_request_is_one_round_trip(manifest, issuer, kind):
    raws = Traffic(manifest, issuer, count=WARM_UP + 1, seed=7).signed(kind, "http://127.0.0.1")
    raws = [raws[0]] * (WARM_UP + 1)
    with tapped() as tap:
        for raw in raws[:-1]:
            send(raw)
        tap.clear()
        status, body = send(raws[-1])
        assert status == "200 OK" and ANSWERS[kind] in body
        assert [message for message, _ in tap.messages] == PREPARED


def test_the_one_round_trip_leaves_the_one_record(calls, manifest):
    token = manifest.tokens[1]
    calls.fetch(token)
    tenant = TenantOf(manifest.tenants[token.tenant].id)
    before = trail(tenant)
    with tapped():
        calls.fetch(token)
    [record] = trail(tenant)[len(before) :]
    assert (record.action, record.outcome) == ("credential.fetch_oauth", "allowed")
    assert record.digest and isinstance(record.at, datetime)


def test_the_wiretap_counts_what_it_should(calls, manifest):
    """The same call by the slow path is many round trips, and shows as such."""
    from apps.broker import contracts as c
    from apps.broker.data_plane import api_key
    from apps.broker.work import Work
    from apps.core.secret import Secret
    from benchmarks.calls import caller_of

    token = manifest.tokens[0]
    command = c.FetchApiKey(workload_token=Secret(token.text), provider="weather")
    with tapped() as tap:
        calls.api_key(token)
        tap.clear()
        work = Work(command.action, caller_of(manifest.tenants[token.tenant]))
        api_key.fetch(command, work)
        work.finish()
        assert tap.round_trips > 8
        assert any(text.startswith("BEGIN") for _, text in tap.messages)


class TenantOf:
    def __init__(self, tenant_id: str) -> None:
        self.id = tenant_id


def send(raw: bytes) -> tuple[str, str]:
    said: list[str] = []
    body = WireHandler()(environ_of(raw), lambda status, headers: said.append(status))
    return said[0], b"".join(body).decode()
