"""Starting, stopping, and what survives a restart."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from apps.demo_hub.driver import HubProcess

from .conftest import api

URI = "http://127.0.0.1:9/cb"
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "killed"])
def test_a_restart_keeps_people_clients_grants_and_tokens(tmp_path: Path, crash: bool) -> None:
    home = tmp_path / "hub"
    with HubProcess.start(home) as hub:
        client = hub.register_client(name="Kept", redirect_uris=[URI], access_lifetime_s=1800)
        first = hub.person("dana").get_tokens(client, "openid repo:read")
        second = hub.token_request(client, grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
        sub, key, api_key, kids = hub.account("dana")["sub"], hub.control_key, hub.create_api_key(), hub.rotate_keys()
        hub.kill() if crash else hub.stop()
    with HubProcess.start(home) as hub:
        assert hub.control_key == key and hub.account("dana")["sub"] == sub
        assert api(hub, second["access_token"], "/api/repos").status_code == 200
        third = hub.token_request(client, grant_type="refresh_token", refresh_token=second["refresh_token"])
        assert third.status_code == 200 and third.json()["expires_in"] == 1800
        assert api(hub, third.json()["access_token"], "/api/repos").status_code == 200
        assert hub.person("dana").get_tokens(client) and hub.person("dana").sign_in_and_get_jwt()
        assert hub.control("POST", "keys/rotate", {})["active"] != kids
        # The rotated token is still remembered as used.
        replay = hub.token_request(client, grant_type="refresh_token", refresh_token=first["refresh_token"])
        assert replay.json()["error"] == "invalid_grant" and hub.counters()["refresh_token_reuses"] == 1
        state = (home / "state.json").read_text()
        secrets = [client.client_secret, api_key, key, *first.values(), *second.values()]
        assert not [s for s in secrets if isinstance(s, str) and len(s) > 20 and s in state]


def test_files_are_private_and_tell_people_how_to_sign_in(tmp_path: Path) -> None:
    home = tmp_path / "hub"
    with HubProcess.start(home) as hub:
        hub.create_person("nora", password="chosen by hand")
        people = json.loads((home / "people.json").read_text())
        assert people.keys() == {"dana", "lee", "priya", "gus", "nora"}
        assert len({entry["sub"] for entry in people.values()}) == 5
        assert people["nora"]["password"] == "chosen by hand"
        passwords = [people[name]["password"] for name in ("dana", "lee", "priya", "gus")]
        assert len(set(passwords)) == 4 and all(len(password) >= 20 for password in passwords)
        assert not [password for password in passwords if password in (home / "state.json").read_text()]
        assert (home / "control.key").read_text().strip() == hub.control_key
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        for path in home.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert {path.name for path in home.iterdir()} == {"state.json", "people.json", "control.key", "lock"}


def test_two_processes_cannot_share_a_home(tmp_path: Path) -> None:
    with HubProcess.start(tmp_path) as hub:
        with pytest.raises(RuntimeError, match="another Demo Hub is running"):
            HubProcess.start(tmp_path)
        assert hub.person("dana").sign_in_and_get_jwt()


def test_a_damaged_state_file_stops_the_start_and_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(RuntimeError, match="state.json cannot be read"):
        HubProcess.start(tmp_path)
    assert (tmp_path / "state.json").read_text() == "{"


def test_a_taken_port_is_said_so(hub: HubProcess) -> None:
    with pytest.raises(RuntimeError, match="Demo Hub cannot start: .*in use"):
        HubProcess.start(port=int(hub.host_port.rpartition(":")[2]))


def test_the_public_address_is_the_issuer() -> None:
    with HubProcess.start(public_url="https://hub.example/") as hub:
        assert hub.url.startswith("http://127.0.0.1:")
        clients = hub.control("GET", "clients")["clients"]
        assert clients[0]["redirect_uris"] == ["https://hub.example/demo-app/callback"]


@contextmanager
def spawned(*prefix: str, stdin: int | None = None, arguments: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    command = [*prefix, sys.executable, "-m", "apps.demo_hub", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("LISTENING http://127.0.0.1:")
            assert process.stdout.readline().startswith("CONTROL ")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_even_where_sigint_was_inherited_as_ignored(number: signal.Signals) -> None:
    """As for a background job of a shell."""
    with spawned("sh", "-c", 'trap "" INT; exec "$@"', "sh") as process:
        process.send_signal(number)
        assert process.wait(5) == 0


def test_it_ends_with_its_parent() -> None:
    with spawned(stdin=subprocess.PIPE, arguments=("--until-stdin-closes",)) as process:
        assert process.poll() is None and process.stdin is not None
        process.stdin.close()
        assert process.wait(5) == 0


def test_an_idle_connection_does_not_delay_the_end() -> None:
    hub = HubProcess.start()
    host, _, port = hub.host_port.rpartition(":")
    with socket.create_connection((host, int(port))) as idle:
        idle.sendall(b"GET /jwks HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert idle.recv(15).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        assert hub.stop() == 0 and time.monotonic() - started < 3
