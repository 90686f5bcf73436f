"""A real Demo Hub process, and what tests ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
import requests

from apps.demo_hub.driver import HubClient, HubProcess, Person

_numbers = count(1)
Register = Callable[..., HubClient]


@pytest.fixture(scope="session")
def hub() -> Iterator[HubProcess]:
    """One process for all tests that change only what is theirs: their own clients."""
    with HubProcess.start() as running:
        yield running
        assert running.errors() == ""


@pytest.fixture(scope="session")
def other_hub() -> Iterator[HubProcess]:
    """Another process, for tests that move the clock, change keys or turn switches on for everybody."""
    with HubProcess.start() as running:
        yield running
        assert running.errors() == ""


@pytest.fixture
def register(hub: HubProcess) -> Register:
    """Register a client of the test's own."""

    def make(**settings: object) -> HubClient:
        uri = f"http://127.0.0.1:9/callback/{next(_numbers)}"
        return hub.register_client(**{"name": "Release notes", "redirect_uris": [uri], **settings})

    return make


@pytest.fixture
def client(register: Register) -> HubClient:
    """A confidential client with the defaults."""
    return register()


@pytest.fixture
def dana(hub: HubProcess) -> Person:
    """Dana with a fresh browser."""
    return hub.person("dana")


def api(hub: HubProcess, token: str, path: str = "/api/me") -> requests.Response:
    """GET a resource with a bearer token."""
    return requests.get(hub.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=20)
