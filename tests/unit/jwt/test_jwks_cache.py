"""T008, T019, T020: how often an issuer is asked, and what serves when it does not answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from apps.authn.jwt import JwksCache
from apps.core.errors import PortalError, Unauthenticated, Unavailable, UpstreamUnavailable
from tests.unit.jwt.issuing import check, jwk, token

URI = "https://login.acme.example/keys"
ACME, GLOBEX = uuid4(), uuid4()


class Issuer:
    """Stands for the guarded transport: counts requests, answers what it is told."""

    def __init__(self, *names: str) -> None:
        self.names: tuple[str, ...] = names
        self.body: bytes | None = None
        self.fault: Exception | None = None
        self.requests: list[str] = []
        self.gate: threading.Event | None = None

    def __call__(self, uri: str) -> bytes:
        self.requests.append(uri)
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        return self.body or json.dumps({"keys": [jwk(name) for name in self.names]}).encode()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    def __init__(self, **options: Any) -> None:
        self.issuer, self.clock = Issuer("rsa"), Clock()
        self.problems: list[tuple[UUID, str, str]] = []
        self.cache = JwksCache(self.issuer, clock=self.clock, report=self.note, **options)

    def note(self, tenant_id: UUID, uri: str, problem: PortalError) -> None:
        self.problems.append((tenant_id, uri, problem.reason))

    def kids(self, kid: str | None = "rsa", tenant: UUID = ACME, **how: Any) -> list[str | None]:
        return [key.kid for key in self.cache.keys_for(tenant, URI, kid=kid, **how).keys]

    @property
    def requests(self) -> int:
        return len(self.issuer.requests)

    def outage(self) -> None:
        self.issuer.fault = UpstreamUnavailable("The issuer does not answer.", reason="upstream_timeout")


@pytest.fixture
def world() -> World:
    return World()


def test_keys_are_fetched_once_and_parsed_once(world: World) -> None:
    first = world.cache.keys_for(ACME, URI, kid="rsa")
    world.clock.now += 599
    assert world.cache.keys_for(ACME, URI, kid="rsa") is first
    assert world.cache.keys_for(ACME, URI, kid=None) is first
    assert world.issuer.requests == [URI]


def test_keys_are_fetched_again_after_ten_minutes(world: World) -> None:
    world.kids()
    world.clock.now += 601
    world.kids()
    assert world.requests == 2


def test_tenants_do_not_share_keys(world: World) -> None:
    world.kids(tenant=ACME)
    world.issuer.names = ("rsa/globex",)
    assert world.kids("rsa/globex", tenant=GLOBEX) == ["rsa/globex"]
    assert world.kids(tenant=ACME) == ["rsa"]


@pytest.mark.case("T008")
def test_T008_a_thousand_unknown_key_ids_cause_one_request(world: World) -> None:
    world.kids()
    for number in range(1000):
        world.clock.now += 0.01
        world.kids(f"unknown-{number}")
    assert world.requests == 2
    world.clock.now += 60
    for number in range(10):
        world.kids(f"unknown-{number}")
    assert world.requests == 3
    assert world.kids() == ["rsa"]


@pytest.mark.case("T008")
def test_T008_a_key_id_published_but_unusable_causes_none(world: World) -> None:
    world.issuer.body = json.dumps({"keys": [jwk("rsa"), jwk("rsa/other", kid="enc", use="enc")]}).encode()
    world.kids()
    world.kids("enc")
    assert world.requests == 1


@pytest.mark.case("T020")
def test_T020_a_new_key_is_accepted_after_one_refresh_and_a_removed_one_no_more(world: World) -> None:
    assert check(token(), keys=world.cache.keys_for(ACME, URI, kid="rsa")).subject == "alice"
    world.issuer.names = ("rsa/new",)
    keys = world.cache.keys_for(ACME, URI, kid="rsa/new")
    assert check(token(key="rsa/new"), keys=keys).subject == "alice"
    with pytest.raises(Unauthenticated) as caught:
        check(token(), keys=world.cache.keys_for(ACME, URI, kid="rsa"))
    assert caught.value.reason == "kid_unknown"


@pytest.mark.case("T020")
@pytest.mark.parametrize(("stale_max_s", "hours"), [(86_400.0, 24), (259_200.0, 72)])
def test_T020_in_an_outage_the_last_good_keys_serve_for_a_while(world: World, stale_max_s: float, hours: int) -> None:
    world.kids()
    world.outage()
    for _ in range(hours - 1):
        world.clock.now += 3600
        assert world.kids(stale_max_s=stale_max_s) == ["rsa"]
    world.clock.now += 3601
    with pytest.raises(Unavailable) as caught:
        world.kids(stale_max_s=stale_max_s)
    assert caught.value.reason == "issuer_keys_unavailable"
    assert caught.value.retry_after_s is not None
    world.issuer.fault = None
    world.clock.now += 6
    assert world.kids() == ["rsa"]


@pytest.mark.case("T020")
def test_T020_a_tenant_may_want_no_stale_keys_at_all(world: World) -> None:
    world.kids(stale_max_s=0)
    world.outage()
    world.clock.now += 599
    assert world.kids(stale_max_s=0) == ["rsa"]
    world.clock.now += 2
    with pytest.raises(Unavailable):
        world.kids(stale_max_s=0)
    assert world.kids() == ["rsa"]  # the same keys, for whoever allows them


@pytest.mark.case("T019")
@pytest.mark.parametrize("body", [b"<html>", b'{"keys":[]}', b"{}" + b" " * 2_000_000])
def test_T019_a_bad_document_keeps_the_last_good_keys_and_is_reported_once_a_minute(world: World, body: bytes) -> None:
    world.kids()
    world.issuer.body = body
    world.clock.now += 601
    for _ in range(50):
        assert world.kids() == ["rsa"]
        world.kids("unknown")
    assert world.problems == [(ACME, URI, "jwks_invalid")]
    assert world.requests == 2
    world.clock.now += 61
    world.kids()
    assert len(world.problems) == 2


def test_an_issuer_that_never_answered_is_asked_again_soon_but_not_at_once(world: World) -> None:
    world.outage()
    for _ in range(20):
        with pytest.raises(Unavailable):
            world.kids()
    assert world.requests == 1
    world.issuer.fault = None
    world.clock.now += 5
    assert world.kids() == ["rsa"]
    assert [reason for _, _, reason in world.problems] == ["upstream_timeout"]


def test_a_fault_in_the_transport_itself_does_not_block_the_issuer_for_ever(world: World) -> None:
    world.issuer.fault = RuntimeError("broken")
    with pytest.raises(RuntimeError):
        world.kids()
    world.issuer.fault = None
    world.clock.now += 5
    assert world.kids() == ["rsa"]


def test_a_changed_issuer_can_be_forgotten_at_once(world: World) -> None:
    world.kids()
    world.cache.forget(ACME, URI)
    world.cache.forget(GLOBEX, URI)
    world.kids()
    assert world.requests == 2


def test_the_cache_is_bounded_and_drops_what_was_not_used_longest() -> None:
    world = World(max_entries=3)
    tenants = [uuid4() for _ in range(4)]
    for tenant in tenants[:3]:
        world.kids(tenant=tenant)
    world.kids(tenant=tenants[0])
    world.kids(tenant=tenants[3])
    assert world.requests == 4
    world.kids(tenant=tenants[0])
    assert world.requests == 4
    world.kids(tenant=tenants[1])
    assert world.requests == 5


def in_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except PortalError as refused:
            results.append(refused.reason)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    return results


def test_one_thread_asks_and_the_others_wait_for_its_answer() -> None:
    world = World(max_waiting=20)
    world.issuer.gate = threading.Event()
    threading.Timer(0.1, world.issuer.gate.set).start()
    assert in_threads(12, world.kids) == [["rsa"]] * 12
    assert world.requests == 1


@pytest.mark.parametrize(("max_waiting", "wait_s"), [(0, 60.0), (2, 0.2)])
def test_a_slow_issuer_parks_only_a_few_threads_and_not_for_long(max_waiting: int, wait_s: float) -> None:
    world = World(max_waiting=max_waiting, wait_s=wait_s)
    world.issuer.gate = threading.Event()
    leader = threading.Thread(target=world.kids)
    leader.start()
    while not world.requests:
        pass
    assert in_threads(12, world.kids) == ["issuer_keys_unavailable"] * 12
    assert world.requests == 1
    world.issuer.gate.set()
    leader.join(10)
    assert world.kids() == ["rsa"]


def test_while_one_thread_refreshes_the_others_go_on_with_the_keys_there_are(world: World) -> None:
    world.kids()
    world.clock.now += 601
    world.issuer.gate = threading.Event()
    leader = threading.Thread(target=world.kids)
    leader.start()
    while world.requests < 2:
        pass
    assert in_threads(8, world.kids) == [["rsa"]] * 8
    assert world.requests == 2
    world.issuer.gate.set()
    leader.join(10)


def test_tokens_with_the_new_key_wait_for_the_refresh_that_brings_it(world: World) -> None:
    world.kids()
    world.issuer.names = ("rsa", "rsa/new")
    world.issuer.gate = threading.Event()
    threading.Timer(0.1, world.issuer.gate.set).start()
    assert in_threads(6, lambda: world.kids("rsa/new")) == [["rsa", "rsa/new"]] * 6
    assert world.requests == 2
