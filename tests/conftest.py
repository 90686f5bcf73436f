"""Fixtures every test may use. Two tenants are one call away; the database is real and never rolled back."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

_counter = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "case(id): the case of the security matrix this test is")
    config.addinivalue_line("markers", "requirement(source, section, text): the clause this test holds us to")
    config.addinivalue_line("markers", "slow: takes long; run by CI and `make test`, left out with -m 'not slow'")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes and long texts are often random: named by their argument, every worker collects the same tests."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 80) else None


@pytest.fixture(scope="session", autouse=True)
def _database(request: pytest.FixtureRequest) -> Iterator[None]:
    """Open the real database for the whole session; nothing is wrapped in a transaction or flushed."""
    if not request.config.pluginmanager.hasplugin("django"):
        yield
        return
    blocker = request.getfixturevalue("django_db_blocker")
    with blocker.unblock():
        yield


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """The template was migrated by tests.plugin."""


@dataclass(frozen=True)
class TenantHandle:
    """A tenant made for one test, with the key that may do everything in it."""

    tenant: object
    slug: str
    account_id: str
    access_key_id: str
    secret_access_key: str

    @property
    def id(self):  # type: ignore[no-untyped-def]
        return self.tenant.id  # type: ignore[attr-defined]

    def caller(self, **changes: object):  # type: ignore[no-untyped-def]
        """The tenant's first key as a proven caller, for calls of the broker without a server in between."""
        from apps.authn.caller import Caller, CallerKind
        from apps.authn.models import AccessKey
        from apps.tenants.scope import tenant_scope

        with tenant_scope(self.id):
            row = AccessKey.objects.get(key_id=self.access_key_id)
        fields = {
            "tenant_id": self.id,
            "account_id": self.account_id,
            "kind": CallerKind.ACCESS_KEY,
            "name": self.access_key_id,
            "row_id": row.id,
            "proof": "sigv4",
            "request_id": secrets.token_hex(8),
            "source_ip": "127.0.0.1",
            "region": "us-east-1",
            **changes,
        }
        return Caller(**fields)  # type: ignore[arg-type]


def make_tenant(*, dev: bool = False, closed: bool = False) -> TenantHandle:
    from apps.broker.control_plane.tenants import create_tenant

    slug = f"t{next(_counter)}-{secrets.token_hex(4)}"
    made = create_tenant(slug=slug, name=slug.title(), closed=closed, dev=dev, by="test")
    return TenantHandle(
        tenant=made.tenant,
        slug=slug,
        account_id=made.tenant.account_id,
        access_key_id=made.key.access_key_id,
        secret_access_key=made.key.secret_access_key.reveal(),
    )


@pytest.fixture
def new_tenant() -> Callable[..., TenantHandle]:
    return make_tenant


@pytest.fixture
def acme() -> TenantHandle:
    return make_tenant()


@pytest.fixture
def globex() -> TenantHandle:
    return make_tenant()


@pytest.fixture(scope="session")
def hub() -> Iterator[object]:
    """Demo Hub as a real provider in a process of its own."""
    from apps.demo_hub.driver import HubProcess

    with HubProcess.start(port=int(os.environ["PORTAL_TEST_HUB_PORT"])) as running:
        yield running


@dataclass(frozen=True)
class RunningPortal:
    """The portal under a real server, in processes of its own."""

    url: str
    pid: int

    def new_tenant(self, **options: bool) -> TenantHandle:
        return make_tenant(**options)


@pytest.fixture(scope="session")
def portal() -> Iterator[RunningPortal]:
    """granian with two workers on this worker's database, as the service runs it."""
    import subprocess
    import sys
    import tempfile
    import time
    import urllib.request
    from pathlib import Path

    port = os.environ["PORT"]
    url = f"http://127.0.0.1:{port}"
    env = {k: v for k, v in os.environ.items() if k not in ("DATABASE_OWNER_URL",)}
    log = tempfile.TemporaryFile()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--host", "127.0.0.1", "--port", port]
    command += ["--workers", "2", "--blocking-threads", "4", "identity_portal.wsgi:application"]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parent.parent, env=env, stdout=log, stderr=log, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{url}/healthz/ready", timeout=5) as answer:
                    if answer.status == 200:
                        break
            except OSError:
                pass
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise RuntimeError(f"the portal did not start:\n{log.read().decode()[-4000:]}")
            time.sleep(0.1)
        yield RunningPortal(url=url, pid=process.pid)
    finally:
        import signal

        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


@pytest.fixture(scope="session")
def issuer_server() -> Iterator[Any]:
    """One for the whole run: its port is one the portal under test may fetch from."""
    from tests.fakes.issuer import Issuer

    running = Issuer(int(os.environ["PORTAL_TEST_INBOUND_PORTS"].split(",")[0]))
    yield running
    running.stop()


@pytest.fixture
def issuer(issuer_server: Any) -> Any:
    """An honest issuer, as new."""
    from apps.broker.data_plane import persons

    issuer_server.reset()
    with persons.keys._lock:
        persons.keys._entries.clear()
    return issuer_server
