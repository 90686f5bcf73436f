"""The servers of one run, in a temporary home: PostgreSQL as the service runs it (fsync on), Redis, the web server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from identity_portal.config import Config, prepare_home
from identity_portal.embedded import postgres, redis

ROOT = Path(__file__).resolve().parent.parent
WORKERS, THREADS = 2, 2
_STRANGERS = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "BIND")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@dataclass(frozen=True)
class Stage:
    """One cluster with a migrated template; `database()` clones it."""

    home: Path
    cluster: postgres.Cluster
    env: Mapping[str, str]

    def url(self, database: str, role: str) -> str:
        password = quote(self.cluster.password(role), safe="")
        return f"postgresql://{role}:{password}@/{database}?host={quote(str(self.cluster.socket_dir), safe='')}"

    def superuser(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(self.url(database, postgres.SUPERUSER), autocommit=True)

    def environment(self, database: str, port: int = 0) -> dict[str, str]:
        """What a process of the portal needs to work on this database."""
        env = {
            **self.env,
            "DATABASE_URL": self.url(database, postgres.APP),
            "DATABASE_OWNER_URL": self.url(database, postgres.OWNER),
        }
        if port:
            env |= {"PORT": str(port), "IDENTITY_PORTAL_PUBLIC_URL": f"http://127.0.0.1:{port}"}
        return env

    def database(self, name: str) -> None:
        with self.superuser() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    sql.Identifier(name), sql.Identifier(postgres.DATABASE), sql.Identifier(postgres.OWNER)
                )
            )

    def let_count_plans(self) -> None:
        """Let the serving role switch on the planner's statistics; delivered systems do not."""
        with self.superuser() as connection:
            connection.execute(
                sql.SQL("GRANT SET ON PARAMETER log_planner_stats TO {}").format(sql.Identifier(postgres.APP))
            )

    def settle(self) -> None:
        """Write everything out now, so that no checkpoint of the seed falls into a measurement."""
        with self.superuser() as connection:
            connection.execute("CHECKPOINT")

    def postgres_cpu_s(self) -> float:
        return tree_cpu_s(self.cluster.pid)

    @contextmanager
    def server(self, database: str) -> Iterator[Server]:
        """granian as the supervisor starts it, with `hello` beside the portal."""
        (port,) = free_ports(1)
        env = self.environment(database, port)
        del env["DATABASE_OWNER_URL"]
        log = self.home / f"web-{database}.log"
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--workers", str(WORKERS), "--blocking-threads", str(THREADS)]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*command, "benchmarks.app:application"],
                cwd=ROOT,
                env=env,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        server = Server(url=f"http://127.0.0.1:{port}", pid=process.pid)
        try:
            _wait_ready(server, process, log)
            yield server
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@dataclass(frozen=True)
class Server:
    url: str
    pid: int

    def cpu_s(self) -> float:
        return tree_cpu_s(self.pid)

    def rss_bytes(self) -> int:
        """Resident memory of the worker processes, shared pages counted in each."""
        return sum(child.memory_info().rss for child in psutil.Process(self.pid).children(recursive=True))


def tree_cpu_s(pid: int) -> float:
    """User and system time of a process, its living descendants and its children that ended already, in seconds."""
    top = psutil.Process(pid)
    total = 0.0
    for process in (top, *top.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # counted in its parent from now on
        total += times.user + times.system + times.children_user + times.children_system
    return total


@contextmanager
def setting(*, allowed: str, address_limit: int | None) -> Iterator[Stage]:
    """Everything but the web server. `allowed` is the loopback address that the portal may fetch keys from."""
    with ExitStack() as cleaning:
        home = Path(tempfile.mkdtemp(prefix="portal-bench-"))
        cleaning.callback(shutil.rmtree, home, ignore_errors=True)
        home.chmod(0o755)
        env = {name: value for name, value in os.environ.items() if name not in _STRANGERS}
        env |= {
            "IDENTITY_PORTAL_HOME": str(home),
            "DJANGO_SETTINGS_MODULE": "identity_portal.settings",
            "IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS": allowed,
            "PYTHONUNBUFFERED": "1",
        }
        if address_limit is not None:
            env["IDENTITY_PORTAL_RATE_LIMITS"] = f"address={address_limit}"
        prepare_home(env)
        cluster = postgres.start(home, tied=True)
        cleaning.callback(postgres.destroy, home)
        redis.start(home, tied=True)
        cleaning.callback(redis.stop, home)
        env["REDIS_URL"] = Config.from_environment(env).redis_url.reveal()
        stage = Stage(home=home, cluster=cluster, env=env)
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT,
            check=True,
            env=stage.environment(postgres.DATABASE),
        )
        yield stage


def _wait_ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{server.url}/healthz/ready", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass  # not listening yet; the deadline decides
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.1)
