"""`make demo ONCE=1`, as a newcomer runs it: every step passes, nothing secret is shown, nothing is left running."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from identity_portal.embedded import postgres

ROOT = Path(__file__).resolve().parents[2]
_OURS = ("IDENTITY_PORTAL_", "DATABASE_", "REDIS_", "PORTAL_TEST_", "DJANGO_", "AWS_", "HUB_")
_SIGN_IN = "Sign in yourself"
# JWTs, Demo Hub's credentials, and the portal's own tickets with more than their readable beginning.
_TOKEN = re.compile(r"eyJ[\w-]{8,}\.|hub(?:cs|key|at|rt)_[\w-]{6,}|\ba(?:wt|cs|st|bb)_\d{12}")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="portal-demo-"))
    folder.chmod(0o755)  # so that the servers' account can walk in when the tests run as root
    yield folder / "home"
    postgres.destroy(folder / "home")
    shutil.rmtree(folder, ignore_errors=True)


def demo(home: Path) -> tuple[int, str]:
    """Run it once, on a free port; returns the exit status and everything it wrote."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    env = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    env |= {"PORT": str(port), "IDENTITY_PORTAL_HOME": str(home), "ONCE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "identity_portal.supervisor", "--demo"],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace")


@pytest.fixture(scope="module")
def first(home: Path) -> tuple[int, str]:
    return demo(home)


def secrets_in(home: Path) -> dict[str, str]:
    """What may never be printed, by the name of its file."""
    found = {
        f"keys.json {slug}": str(key["secret_access_key"])
        for slug, key in json.loads((home / "demo" / "keys.json").read_text()).items()
    }
    for file in [home / "demo_hub" / "control.key", *(home / "keys").iterdir(), *(home / "secrets").iterdir()]:
        for line in file.read_text().split():
            if len(line) >= 16:
                found[file.name] = line
    return found


def passwords_in(home: Path) -> list[str]:
    files = [home / "demo" / "people.json", home / "demo_hub" / "people.json"]
    return [entry["password"] for file in files for entry in json.loads(file.read_text()).values()]


def left_running(home: Path) -> list[str]:
    """Processes that have to do with this home."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except (psutil.Error, OSError):
            continue
        if any(str(home) in word for word in words):
            found.append(" ".join(process.cmdline()))
    return found


def assert_played(status: int, output: str) -> None:
    tail = "\n".join(output.splitlines()[-60:])
    assert status == 0, tail
    for number in range(1, 7):
        assert f"Step {number} of 6: " in output, tail
    assert output.count("\n  ok (") == 6, tail
    assert "6 of 6 steps passed" in output, tail


def test_every_step_passes(first: tuple[int, str]) -> None:
    assert_played(*first)


def test_no_secret_is_printed(first: tuple[int, str], home: Path) -> None:
    _, output = first
    assert len(secrets_in(home)) >= 6
    for name, secret in secrets_in(home).items():
        assert secret not in output, f"a secret of {name} was printed"
    assert not _TOKEN.findall(output)


def test_passwords_of_the_demo_are_printed_at_its_end_and_nowhere_else(first: tuple[int, str], home: Path) -> None:
    story, _, end = first[1].partition(_SIGN_IN)
    assert not [password for password in passwords_in(home) if password in story]
    for entry in json.loads((home / "demo" / "people.json").read_text()).values():
        assert entry["password"] in end


def test_the_files_with_secrets_are_their_owners_only(first: tuple[int, str], home: Path) -> None:
    for name in ("people.json", "keys.json"):
        assert (home / "demo" / name).stat().st_mode & 0o777 == 0o600
    assert (home / "demo").stat().st_mode & 0o777 == 0o700


def test_nothing_is_left_running(first: tuple[int, str], home: Path) -> None:
    assert left_running(home) == []
    assert postgres.running_pid(home) is None


def test_it_plays_again_on_the_same_home_with_the_same_people_and_keys(first: tuple[int, str], home: Path) -> None:
    before = [(home / "demo" / name).read_text() for name in ("people.json", "keys.json")]
    status, output = demo(home)
    assert_played(status, output)
    assert "nothing: all of it was there" in output
    assert [(home / "demo" / name).read_text() for name in ("people.json", "keys.json")] == before
    assert left_running(home) == []
