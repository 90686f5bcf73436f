"""Start, find and stop the embedded Redis of one state folder. It holds no truth and writes nothing to disk."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from identity_portal.embedded.account import Account, identity, server_account
from identity_portal.embedded.errors import EmbeddedError
from identity_portal.embedded.places import (
    locked,
    open_home,
    read_record,
    relative_to_home,
    socket_folder,
    write_private,
    write_record,
)
from identity_portal.embedded.processes import adopt, dies_with_parent, is_alive, wait_gone
from identity_portal.embedded.redis_install import find_server

SOCKET_NAME = "redis.sock"

_SETTINGS = """port 0
bind 127.0.0.1
unixsocket {socket}
unixsocketperm 700
save ""
appendonly no
daemonize no
maxmemory 256mb
maxmemory-policy volatile-ttl
loglevel warning
dir /
"""
_CLEAN_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `started` says whether this call started it."""

    home: Path
    socket: Path
    pid: int
    started: bool


def prepare(home: Path) -> Path:
    """Create the home and the socket folder; return the socket's path. Starts nothing."""
    account = server_account()
    open_home(home, account)
    with locked(home / ".redis.lock"):
        return _place(home, account)


def start(home: Path, *, tied: bool = False) -> Server:
    """Make sure that the server of this home runs. `tied` ends it when the calling process dies (Linux).

    Raises EmbeddedError with one line saying how to get a server program when there is none.
    """
    account = server_account()
    open_home(home, account)
    with locked(home / ".redis.lock"):
        path = _place(home, account)
        pid = running_pid(home)
        if pid is not None:
            return Server(home, path, pid, started=False)
        program = find_server(home, account)
        path.unlink(missing_ok=True)
        pid = _launch(program, path, home, account, tied=tied)
        deadline = time.monotonic() + 20
        while not _answers(path):
            if not is_alive(pid):
                tail = (home / "redis.log").read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
                raise EmbeddedError("Redis did not start:\n" + "\n".join(tail))
            if time.monotonic() > deadline:
                raise EmbeddedError(f"Redis is not ready after 20 s; see {home / 'redis.log'}")
            time.sleep(0.02)
        write_private(home / "redis.pid", f"{pid}\n")
        return Server(home, path, pid, started=True)


def stop(home: Path, *, timeout_s: float = 5.0) -> bool:
    """Stop the server of this home. Returns False when none was running."""
    pid = running_pid(home)
    if pid is None:
        return False
    for how, patience in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            break
        if wait_gone(pid, patience):
            break
    else:
        raise EmbeddedError(f"Redis (process {pid}) does not end")
    (home / "redis.pid").unlink(missing_ok=True)
    return True


def running_pid(home: Path) -> int | None:
    """Return the process id of this home's server, or None. The socket has to answer: numbers are reused."""
    try:
        pid = int((home / "redis.pid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    path = socket_path(home)
    return pid if path is not None and is_alive(pid) and _answers(path) else None


def socket_path(home: Path) -> Path | None:
    """Return where this home's socket is, or None when the home was never prepared."""
    recorded = read_record(home / "redis.json").get("socket")
    return home.resolve() / recorded if recorded else None


def url(home: Path) -> str:
    """Return the address for redis-py; raises EmbeddedError when the home was never prepared."""
    path = socket_path(home)
    if path is None:
        raise EmbeddedError(f"{home} holds no embedded Redis yet; `make run` prepares it")
    return f"unix://{quote(str(path))}?db=0"


def _place(home: Path, account: Account | None) -> Path:
    before = socket_path(home)
    folder = socket_folder(home, "redis", SOCKET_NAME, before.parent if before else None, account)
    path = folder / SOCKET_NAME
    write_record(home / "redis.json", {"socket": relative_to_home(home, path)})
    return path


def _launch(program: str, path: Path, home: Path, account: Account | None, *, tied: bool) -> int:
    log = os.open(home / "redis.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    # The settings come through standard input, so no file has to be readable by the servers' account.
    settings_read, settings_write = os.pipe()
    try:
        quoted = str(path).replace("\\", "\\\\").replace('"', '\\"')
        os.write(settings_write, _SETTINGS.format(socket=f'"{quoted}"').encode())
        os.close(settings_write)
        process = subprocess.Popen(
            [program, "-"],
            stdin=settings_read,
            stdout=log,
            stderr=log,
            env=_CLEAN_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
            preexec_fn=dies_with_parent(signal.SIGTERM) if tied else None,
            **identity(account),
        )
    except OSError as problem:
        raise EmbeddedError(f"cannot start Redis: {problem.strerror}") from None
    finally:
        os.close(settings_read)
        os.close(log)
    adopt(process)
    return process.pid


def _answers(path: Path) -> bool:
    """Ask for a PONG over the socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False
