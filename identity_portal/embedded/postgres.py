"""Start, find and stop the embedded PostgreSQL of one state folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

from identity_portal.embedded.account import Account, identity, server_account
from identity_portal.embedded.errors import EmbeddedError
from identity_portal.embedded.places import (
    locked,
    open_home,
    password_file,
    read_password,
    read_record,
    relative_to_home,
    relocated,
    socket_folder,
    write_record,
)
from identity_portal.embedded.postgres_install import CLEAN_ENVIRONMENT, Install, find_install
from identity_portal.embedded.postgres_setup import (
    APP,
    DATABASE,
    OWNER,
    PORT,
    SUPERUSER,
    configure,
    create_cluster,
    prepare_database,
)
from identity_portal.embedded.processes import adopt, dies_with_parent, is_alive, wait_gone, works_in

__all__ = ["APP", "DATABASE", "OWNER", "PORT", "SUPERUSER", "Cluster", "destroy", "exists", "prepare"]
__all__ += ["running_pid", "socket_dir", "start", "stop"]

_LOG_LIMIT = 5 * 1024 * 1024  # bytes; the previous log is kept once


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running server. `started` says whether this call started it, so who started it can stop it."""

    home: Path
    data: Path
    socket_dir: Path
    pid: int
    started: bool

    def password(self, role: str) -> str:
        """Return a role's password (for a driver; never for a log or a command line)."""
        return read_password(self.home, role)


def prepare(home: Path, *, throwaway: bool = False) -> Path:
    """Create the home, the password files and the socket folder; return the socket folder. Starts nothing."""
    account = server_account()
    open_home(home, account)
    with locked(home / ".postgres.lock"):
        _, sockets = _places(home, _owner(home, account), throwaway=throwaway)
    return sockets


def start(home: Path, *, throwaway: bool = False, tied: bool = False) -> Cluster:
    """Make sure that the server of this home runs, and return it.

    A running one is reused. `throwaway` trades durability for speed (tests). `tied` ends the server when the
    calling process dies (Linux; call it from the main thread). Raises EmbeddedError.
    """
    account = server_account()
    open_home(home, account)
    with locked(home / ".postgres.lock"):
        account = _owner(home, account)
        data, sockets = _places(home, account, throwaway=throwaway)
        pid = _running(data)
        if pid is not None and _settles(data, pid, home, sockets):
            return Cluster(home, data, sockets, pid, started=False)
        install = find_install(_data_version(data), account)
        if not (data / "PG_VERSION").exists():
            create_cluster(install, data, home, account, throwaway=throwaway)
        _link(home, data)
        configure(data, sockets, account, throwaway=throwaway)
        pid = _launch_until_ready(install, data, sockets, home, account, tied=tied)
        prepare_database(sockets, home)
        return Cluster(home, data, sockets, pid, started=True)


def stop(home: Path, *, timeout_s: float = 15.0) -> bool:
    """Stop the server of this home: no new work, open transactions rolled back, everything written.

    Returns False when none was running. After `timeout_s` seconds it is stopped without the final write; the
    next start then recovers from the log. Raises EmbeddedError when it survives even that.
    """
    pid = running_pid(home)
    if pid is None:
        return False
    for how, patience in ((signal.SIGINT, timeout_s), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            return True
        if wait_gone(pid, patience):
            return True
    raise EmbeddedError(f"PostgreSQL (process {pid}) does not end")


def destroy(home: Path) -> None:
    """Stop a throw-away server and delete its data, also where that lies outside the home."""
    stop(home)
    data = _recorded_data(home)
    outside = data is not None and data.parent != home.resolve()
    for folder in (data, data.parent if data and outside else None, _recorded_sockets(home)):
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    if (home / "postgres").is_symlink():
        (home / "postgres").unlink()
    (home / "postgres.json").unlink(missing_ok=True)


def running_pid(home: Path) -> int | None:
    """Return the process id of this home's server, or None."""
    data = _recorded_data(home)
    return _running(data) if data else None


def socket_dir(home: Path) -> Path:
    """Return where this home's socket is; raises EmbeddedError when the home was never prepared."""
    recorded = _recorded_sockets(home)
    if recorded is None:
        raise EmbeddedError(f"{home} holds no embedded database yet; `make run` prepares it")
    return recorded


def exists(home: Path) -> bool:
    """Say whether this home holds a database."""
    data = _recorded_data(home)
    return os.path.lexists(home / "postgres") or (data is not None and (data / "PG_VERSION").exists())


def _recorded_data(home: Path) -> Path | None:
    # Relative when inside the home, so that a home can be moved.
    recorded = read_record(home / "postgres.json").get("data")
    return home.resolve() / recorded if recorded else None


def _recorded_sockets(home: Path) -> Path | None:
    recorded = read_record(home / "postgres.json").get("socket_dir")
    return home.resolve() / recorded if recorded else None


def _places(home: Path, account: Account | None, *, throwaway: bool) -> tuple[Path, Path]:
    """Decide once where data and socket are, and record it in the home for the other processes."""
    recorded = _recorded_data(home)
    if recorded is not None:
        data = recorded
    elif account is None or account.may_enter(home):
        data = home.resolve() / "postgres"
    else:
        data = relocated(home, account, throwaway=throwaway) / "postgres"
    if not (data / "PG_VERSION").exists() or password_file(home, SUPERUSER, create=False).exists():
        for role in (SUPERUSER, OWNER, APP):
            password_file(home, role, create=True)
    else:
        raise EmbeddedError(
            f"{data} holds a database but {home / 'secrets' / SUPERUSER} is missing: restore it from the backup"
        )
    sockets = socket_folder(home, "postgres", f".s.PGSQL.{PORT}", _recorded_sockets(home), account)
    places = {"data": relative_to_home(home, data), "socket_dir": relative_to_home(home, sockets)}
    write_record(home / "postgres.json", places)
    return data, sockets


def _owner(home: Path, account: Account | None) -> Account | None:
    """Return the account that owns existing data, which may be another than a new home would get."""
    data = _recorded_data(home) or home / "postgres"
    if account is None or not data.exists():
        return account
    found = pwd.getpwuid(data.stat().st_uid)
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def _link(home: Path, data: Path) -> None:
    """Leave a pointer in the home to data that had to go elsewhere."""
    link = home / "postgres"
    if data.parent != home.resolve() and not link.is_symlink():
        link.symlink_to(data)


def _data_version(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return None


def _pid_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _running(data: Path) -> int | None:
    """Return the server's process id if its file names a live process that really works in this data folder.

    After a crash the number may belong to any other process by now.
    """
    lines = _pid_lines(data)
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    if not is_alive(pid) or works_in(pid, data) is False:
        return None
    return pid


def _settles(data: Path, pid: int, home: Path, sockets: Path, timeout_s: float = 60.0) -> bool:
    """Wait until a server that was found running serves us; False when it ended instead.

    It may be starting, or on its way down: stopped a moment ago, or killed and not yet gone.
    """
    deadline = time.monotonic() + timeout_s
    while is_alive(pid):
        if _is_ready(data, pid):
            if _app_can_connect(home, sockets):
                return True
            with contextlib.suppress(psycopg.OperationalError):
                prepare_database(sockets, home)
                return True
        if time.monotonic() > deadline:
            raise EmbeddedError(f"PostgreSQL (process {pid}) runs but does not serve; see {home / 'postgres.log'}")
        time.sleep(0.05)
    return False


def _clear_strangers(data: Path, sockets: Path) -> None:
    """Remove pid files whose number now belongs to a process that is no server of ours.

    PostgreSQL gives up on those. All other leftovers are its own to judge: it also makes sure that no child of
    the dead server still uses the data.
    """
    socket = sockets / f".s.PGSQL.{PORT}"
    for path in (data / "postmaster.pid", sockets / f"{socket.name}.lock"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(path.read_text(encoding="utf-8").partition("\n")[0])
            if is_alive(pid) and works_in(pid, data) is False:
                path.unlink()


def _launch_until_ready(
    install: Install, data: Path, sockets: Path, home: Path, account: Account | None, *, tied: bool
) -> int:
    """Start the server; wait for the children of a killed predecessor, which take a moment to notice."""
    deadline = time.monotonic() + 20
    while True:
        _clear_strangers(data, sockets)
        pid = _launch([install.program("postgres"), "-D", str(data)], home, account, tied=tied)
        try:
            _wait_ready(data, pid, home)
        except EmbeddedError as problem:
            if "still in use" not in str(problem) or time.monotonic() > deadline:
                raise
            time.sleep(0.3)
        else:
            return pid


def _launch(command: list[str], home: Path, account: Account | None, *, tied: bool) -> int:
    log = home / "postgres.log"
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(home / "postgres.log.1")
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            env=CLEAN_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
            # SIGINT is its orderly, fast shutdown.
            preexec_fn=dies_with_parent(signal.SIGINT) if tied else None,
            **identity(account),
        )
    except PermissionError as problem:
        raise EmbeddedError(f"cannot start PostgreSQL as an unprivileged account: {problem.strerror}") from None
    finally:
        os.close(handle)
    adopt(process)
    return process.pid


def _is_ready(data: Path, pid: int) -> bool:
    """Look for the word `ready` in the pid file, as `pg_ctl` does."""
    lines = _pid_lines(data)
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def _wait_ready(data: Path, pid: int, home: Path, timeout_s: float = 60.0) -> None:
    """Wait until a server that we started is ready; recovery after a crash may take a while."""
    deadline = time.monotonic() + timeout_s
    while True:
        if _is_ready(data, pid):
            return
        if not is_alive(pid):
            tail = (home / "postgres.log").read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
            raise EmbeddedError("PostgreSQL did not start:\n" + "\n".join(tail))
        if time.monotonic() > deadline:
            raise EmbeddedError(f"PostgreSQL is not ready after {timeout_s:.0f} s; see {home / 'postgres.log'}")
        time.sleep(0.02)


def _app_can_connect(home: Path, sockets: Path) -> bool:
    try:
        with psycopg.connect(
            host=str(sockets),
            port=PORT,
            dbname=DATABASE,
            user=APP,
            password=read_password(home, APP),
            connect_timeout=5,
        ):
            return True
    except psycopg.OperationalError:
        return False
