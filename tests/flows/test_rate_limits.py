"""Rate limits: counted here, told to Redis, and never a wall that falls with it."""

from __future__ import annotations

import secrets
import threading

import pytest
from django.core.cache import cache

from apps.authn.rate_limits import Counters, RateLimited


@pytest.fixture
def same_second(monkeypatch):
    """A second that does not end while the test counts."""
    monkeypatch.setattr("apps.authn.rate_limits.time.time", lambda: 1_900_000_000.0 + secrets.randbelow(10**6))
    moment = 1_900_000_000 + secrets.randbelow(10**6)
    monkeypatch.setattr("apps.authn.rate_limits.time.time", lambda: float(moment))


def quiet(limit: int) -> Counters:
    made = Counters({"credential": limit})
    made._thread = threading.current_thread()  # the test syncs by hand
    return made


def test_the_limit_holds_and_only_the_first_refusal_asks_for_a_record(same_second):
    counters = quiet(10)
    for _ in range(10):
        counters.hit("credential", "k")
    firsts = []
    for _ in range(3):
        with pytest.raises(RateLimited) as refused:
            counters.hit("credential", "k")
        firsts.append(refused.value.first)
        assert refused.value.retry_after_s == 1.0
    assert firsts == [True, False, False]
    counters.hit("credential", "another")


def test_two_processes_hear_of_each_other(same_second):
    one, two, name = quiet(100), quiet(100), secrets.token_hex(4)
    for _ in range(60):
        one.hit("credential", name)
        two.hit("credential", name)
    one.sync(), two.sync(), one.sync()
    with pytest.raises(RateLimited):
        two.hit("credential", name)


def test_without_redis_a_process_counts_on_alone(same_second, monkeypatch):
    def gone(*args, **kwargs):
        raise ConnectionError

    monkeypatch.setattr(cache, "add", gone, raising=False)
    monkeypatch.setattr("apps.authn.rate_limits.cache.add", gone)
    counters = quiet(10)
    for _ in range(10):
        counters.hit("credential", "k")
    counters.sync()
    with pytest.raises(RateLimited):
        counters.hit("credential", "k")


def test_a_kind_without_a_limit_is_not_counted(same_second):
    counters = quiet(1)
    for _ in range(5):
        counters.hit("elsewhere", "k")
