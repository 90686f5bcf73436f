"""Attacked tenants. One per module where the tests only add users to it, a fresh one where they break it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes.issuer import Issuer
from tests.security.doors import Door
from tests.security.lab import Lab, log_of


@pytest.fixture(scope="module")
def lab(portal: Any, hub: Any) -> Lab:
    """A tenant shared by a module. Its tests use users of their own and leave its configuration as it was."""
    return Lab(portal, hub)


@pytest.fixture
def own_lab(portal: Any, hub: Any) -> Lab:
    """A tenant of this test's own, to be broken."""
    return Lab(portal, hub)


@pytest.fixture
def closed_lab(portal: Any, hub: Any) -> Lab:
    """A closed tenant: no binding, no token."""
    return Lab(portal, hub, closed=True)


@pytest.fixture(scope="module")
def neighbour(portal: Any, hub: Any) -> Lab:
    """Another tenant with the same names in it."""
    return Lab(portal, hub)


@pytest.fixture
def switch(hub: Any) -> Iterator[Callable[..., None]]:
    """Turn failures of Demo Hub on; they go off at the end."""
    touched: list[Any] = []

    def on(client: Any, **settings: Any) -> None:
        touched.append(client)
        hub.switch(client, **settings)

    yield on
    for client in touched:
        hub.clear_switches(client)


@pytest.fixture(scope="session", autouse=True)
def _owners_connection() -> Iterator[None]:
    """Closed before the database is dropped."""
    yield
    from tests.security import oracle

    if oracle.owner.cache_info().currsize:
        oracle.owner().close()
        oracle.owner.cache_clear()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show what the portal logged last when a test fails."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    portal = getattr(item, "funcargs", {}).get("portal")
    if report.failed and portal is not None:
        lines = log_of(portal).splitlines()
        report.sections.append(("portal log", "\n".join(line[:1500] for line in lines[-5:])))


@pytest.fixture
def faults_expected() -> None:
    """For tests that break the database under the portal on purpose."""


@pytest.fixture(autouse=True)
def _nothing_unexpected_in_the_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every case: no unexpected fault (a refusal is none), and no secret of the attacked tenants in the log."""
    portal = request.getfixturevalue("portal") if "portal" in request.fixturenames else None
    before = len(log_of(portal)) if portal is not None else 0
    yield
    if portal is None:
        return
    written = log_of(portal)[before:]
    faults = [line[:2000] for line in written.splitlines() if '"event": "fault"' in line or "Traceback" in line]
    assert faults == [] or "faults_expected" in request.fixturenames, faults
    for lab in request.node.funcargs.values():
        if isinstance(lab, Lab):
            for secret in (lab.client.client_secret, lab.api_key, lab.wire.secret):
                assert secret not in written


@pytest.fixture(scope="session")
def other_issuer_server() -> Iterator[Issuer]:
    running = Issuer(int(os.environ["PORTAL_TEST_INBOUND_PORTS"].split(",")[1]))
    yield running
    running.stop()


@pytest.fixture
def other_issuer(other_issuer_server: Issuer) -> Issuer:
    """A second issuer."""
    other_issuer_server.reset()
    return other_issuer_server


@pytest.fixture
def door(acme: Any, issuer: Issuer) -> Door:
    """An agent whose door opens for tokens of the issuer with the usual audience."""
    return Door(acme, issuer)
