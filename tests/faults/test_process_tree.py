"""The whole process tree, started for real: nothing of it may be left behind, however it is ended."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from identity_portal.embedded import postgres

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 90
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Portal:
    """A supervisor started as `make run` starts it."""

    def __init__(self, home: Path, *, before: Callable[[], object] | None = None) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        outside = {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "IDENTITY_PORTAL_PUBLIC_URL", "BIND"}
        env = {name: value for name, value in os.environ.items() if name not in outside}
        env |= {"PORT": str(self.port), "IDENTITY_PORTAL_HOME": str(home), "IDENTITY_PORTAL_WEB_PROCESSES": "2"}
        self.log = home.with_suffix(".log")
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "identity_portal.supervisor"],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                preexec_fn=before,  # noqa: PLW1509 (one thread)
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while self.status() != 200:
            assert self.process.poll() is None, self.tail()
            assert time.monotonic() < deadline, self.tail()
            time.sleep(0.2)

    def status(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz/ready")
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def tree(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="portal-tree-"))
    folder.chmod(0o755)  # so that the servers' account can walk in when the tests run as root
    yield folder / "home"
    postgres.destroy(folder / "home")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def portal(home: Path) -> Iterator[Portal]:
    running = Portal(home)
    yield running
    finish(running)


def finish(running: Portal) -> None:
    if running.process.poll() is None:
        running.process.terminate()
        running.process.wait(timeout=30)


def left_of(processes: list[psutil.Process], within_s: float) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    return [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def names(processes: list[psutil.Process]) -> str:
    return " ".join(word for process in processes for word in words(process))


def words(process: psutil.Process) -> list[str]:
    """Return the command line; a process that has just ended has none."""
    try:
        return list(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def test_sigterm_ends_every_process_within_fifteen_seconds(portal: Portal) -> None:
    portal.wait_ready()
    before = portal.tree()
    for expected in ("granian", "celery", "beat", "postgres", "redis"):
        assert expected in names(before)
    asked = time.monotonic()
    portal.process.send_signal(signal.SIGTERM)
    assert portal.process.wait(timeout=15) == 0, portal.tail()
    assert not left_of(before, 15 - (time.monotonic() - asked))
    assert postgres.running_pid(portal.home) is None


def test_sigint_stops_even_where_it_was_inherited_as_ignored(home: Path) -> None:
    portal = Portal(home, before=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    try:
        portal.wait_ready()
        before = portal.tree()
        portal.process.send_signal(signal.SIGINT)
        assert portal.process.wait(timeout=15) == 0, portal.tail()
        assert not left_of(before, 1)
    finally:
        finish(portal)


def test_a_stop_during_start_leaves_nothing_behind(portal: Portal) -> None:
    deadline = time.monotonic() + 30
    while not any("postgres" in process.name() for process in portal.tree()):
        assert time.monotonic() < deadline, portal.tail()
        time.sleep(0.02)
    before = portal.tree()
    portal.process.send_signal(signal.SIGTERM)
    assert portal.process.wait(timeout=15) == 0, portal.tail()
    assert not left_of(before, 1)


def test_nothing_outlives_a_killed_supervisor_and_the_home_starts_again(portal: Portal) -> None:
    portal.wait_ready()
    before = portal.tree()
    assert len(before) > 8
    portal.process.kill()
    portal.process.wait(timeout=5)
    assert not left_of(before, 15), names(left_of(before, 0))

    again = Portal(portal.home)
    try:
        again.wait_ready()
    finally:
        finish(again)


def test_a_killed_worker_is_started_again_and_a_killed_web_server_stops_everything(portal: Portal) -> None:
    portal.wait_ready()
    worker = main_process(portal, "worker")
    assert worker is not None, portal.tail()
    pool = worker.children(recursive=True)
    worker.kill()
    assert not left_of([worker, *pool], 10)
    deadline = time.monotonic() + 30
    while main_process(portal, "worker") is None:
        assert time.monotonic() < deadline, portal.tail()
        time.sleep(0.2)
    assert portal.status() == 200

    before = portal.tree()
    web = main_process(portal, "granian")
    assert web is not None
    web.kill()
    assert portal.process.wait(timeout=15) == 1, portal.tail()
    assert not left_of(before, 1)


@pytest.mark.parametrize("server", ["postgres", "redis-server"])
def test_a_killed_server_is_started_again_and_the_portal_recovers(portal: Portal, server: str) -> None:
    portal.wait_ready()
    killed = next(child for child in psutil.Process(portal.process.pid).children() if server in names([child]))
    killed.kill()
    deadline = time.monotonic() + 40
    while not any(server in names([child]) and child != killed for child in portal.tree()) or portal.status() != 200:
        assert portal.process.poll() is None, portal.tail()
        assert time.monotonic() < deadline, portal.tail()
        time.sleep(0.2)


def test_a_second_portal_on_the_same_home_is_refused_and_harms_nothing(portal: Portal) -> None:
    portal.wait_ready()
    second = Portal(portal.home)
    assert second.process.wait(timeout=30) == 1
    assert "another portal is running" in second.log.read_text()
    assert portal.status() == 200


def main_process(portal: Portal, word: str) -> psutil.Process | None:
    """Return the direct child of the supervisor with this word on its command line."""
    children = psutil.Process(portal.process.pid).children()
    return next((process for process in children if word in words(process)), None)
