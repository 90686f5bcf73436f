"""`make run` and `make demo`: one process that starts everything, watches it and takes it down again."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

from identity_portal.config import Config, ConfigError, home_folder, prepare_home
from identity_portal.embedded import postgres, redis
from identity_portal.embedded.children import Child, Guard, end_all
from identity_portal.embedded.errors import EmbeddedError
from identity_portal.embedded.processes import is_alive

BASE_DIR = Path(__file__).resolve().parent.parent
READY_PATH = "/healthz/ready"
READY_TIMEOUT_S = 90.0
STOP_PATIENCE_S = 7.0  # with the servers below it, everything is down within 15 s
_STEADY_S = 60.0  # a child that lived this long starts again without delay
_MAX_BACKOFF_S = 30.0
_MAX_WEB_PROCESSES = 16
_NOT_SERVED = {"DATABASE_OWNER_URL", "CONTENT_TYPE", "CONTENT_LENGTH", "RAW_URI", "REQUEST_URI", "REMOTE_ADDR"}


class Stopped(Exception):
    """Somebody asked us to stop."""


class Failed(Exception):
    """The portal cannot run; the text is for the operator. `status` becomes the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class Supervisor:
    """Owns the children of one state folder."""

    def __init__(self, env: Mapping[str, str], *, demo: bool) -> None:
        self.demo = demo
        self.once = demo and env.get("ONCE") == "1"
        self.home = home_folder(env)
        self.env = dict(env)
        self.env["IDENTITY_PORTAL_HOME"] = str(self.home)
        self.env["DJANGO_SETTINGS_MODULE"] = "identity_portal.settings"
        self.env["PYTHONUNBUFFERED"] = "1"
        if demo:
            self.env["IDENTITY_PORTAL_DEMO"] = "1"
        self.children: dict[str, Child] = {}
        self.failures: dict[str, int] = {}
        self.due: dict[str, float] = {}
        self.servers: dict[str, int] = {}  # process ids of the servers that we started
        self.stopping = False
        self.lock = contextlib.ExitStack()
        self.guard = Guard()

    def run(self) -> int:
        """Start everything, watch it until told to stop, and return the exit status."""
        try:
            return self._start_and_watch()
        except Stopped:
            say("stopping")
            return 0
        except Failed as problem:
            say(str(problem))
            return problem.status
        except (ConfigError, EmbeddedError) as problem:
            say(str(problem))
            return 1
        finally:
            self._stop()

    def _start_and_watch(self) -> int:
        prepare_home(self.env)
        self.lock.enter_context(only_one(self.home))
        self._start_servers()
        config = Config.from_environment(self.env)
        bind = self.env.get("BIND") or "127.0.0.1"
        refuse_taken_port(bind, config.port)
        self._migrate(config)
        if self.demo:
            self._start_hub()
            self._once("seed_demo", self._manage("seed_demo"), self.env)
        for name in ("web", "worker", "beat"):
            self._start(name)
        self._wait_ready(bind, config.port)
        say(f"ready at {config.public_url}")
        if self.demo:
            walkthrough = [sys.executable, str(BASE_DIR / "examples" / "walkthrough.py")]
            status = self._once("walkthrough", walkthrough, self.env, must_succeed=False)
            if self.once:
                return status
            if status != 0:
                say(f"the walkthrough ended with status {status}; the portal keeps running")
        while True:
            self._breathe()
            self._watch()

    def request_stop(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: only takes note, so that no half-done step is interrupted in the middle."""
        del number, frame
        self.stopping = True

    def _start_servers(self) -> None:
        if not self.env.get("DATABASE_URL"):
            cluster = postgres.start(self.home, tied=True)
            if cluster.started:
                self.servers["postgres"] = cluster.pid
                self.guard.watch(cluster.pid, signal.SIGINT, group=False)
        if not self.env.get("REDIS_URL"):
            server = redis.start(self.home, tied=True)
            if server.started:
                self.servers["redis"] = server.pid
                self.guard.watch(server.pid)

    def _migrate(self, config: Config) -> None:
        if not config.embedded_database and not self.env.get("DATABASE_OWNER_URL"):
            say("DATABASE_OWNER_URL is not set: not migrating (`manage.py migrate --database owner` needs it)")
            return
        self._once("migrate", self._manage("migrate", "--database", "owner", "--noinput"), self.env)

    def _start_hub(self) -> None:
        """Start the demo's third party and allow calls to it, and to nothing else that is private."""
        port = hub_port(self.home / "demo_hub.port")
        command = [sys.executable, "-m", "apps.demo_hub", "--port", str(port), "--home", str(self.home / "demo_hub")]
        # It is a stranger: it gets none of our configuration.
        env = {name: self.env[name] for name in self.env if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
        env["PYTHONUNBUFFERED"] = "1"
        hub = self.children["demo_hub"] = Child("demo_hub", command, env, BASE_DIR, self.guard, piped=True)
        deadline = time.monotonic() + 30
        while b"LISTENING " not in hub.heard:
            self._breathe()
            if hub.exit_status() is not None or time.monotonic() > deadline:
                raise Failed("the demo provider did not start")
        given = self.env.get("IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS")
        self.env["IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS"] = ",".join(filter(None, (given, f"127.0.0.1:{port}")))
        self.env["HUB_URL"] = f"http://127.0.0.1:{port}"

    def _start(self, name: str) -> None:
        # Serving processes never learn how to become the owner of an external database.
        # The web server mixes its own environment into every request's, where HTTP_X would pass for a header X.
        env = {key: value for key, value in self.env.items() if key not in _NOT_SERVED and not key.startswith("HTTP_")}
        self.children[name] = Child(name, self._command(name), env, BASE_DIR, self.guard)

    def _command(self, name: str) -> list[str]:
        if name == "web":
            return [
                *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws"),
                *("--host", self.env.get("BIND") or "127.0.0.1", "--port", self.env.get("PORT") or "8080"),
                *("--workers", self._number("IDENTITY_PORTAL_WEB_PROCESSES", min(cores(), _MAX_WEB_PROCESSES))),
                *("--blocking-threads", self._number("IDENTITY_PORTAL_WEB_THREADS", 2)),
                *("--respawn-failed-workers", "--workers-kill-timeout", "5"),
                "identity_portal.wsgi:application",
            ]
        celery = [sys.executable, "-m", "celery", "-A", "identity_portal"]
        if name == "worker":
            concurrency = self._number("IDENTITY_PORTAL_WORKER_PROCESSES", 2)
            # Processes, not threads: only they can be stopped at the task time limit.
            options = ["--pool", "prefork", "--concurrency", concurrency, "--loglevel", "INFO"]
            return [*celery, "worker", *options, "--without-gossip", "--without-mingle"]
        return [*celery, "beat", "--loglevel", "INFO", "--schedule", str(self.home / "beat-schedule"), "--pidfile="]

    def _manage(self, *arguments: str) -> list[str]:
        return [sys.executable, str(BASE_DIR / "manage.py"), *arguments]

    def _number(self, name: str, default: int) -> str:
        text = self.env.get(name) or str(default)
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 256):
            raise Failed(f"{name} must be a number from 1 to 256")
        return text

    def _once(self, name: str, command: list[str], env: Mapping[str, str], *, must_succeed: bool = True) -> int:
        """Run a child to its end; Stopped when we are told to stop meanwhile."""
        child = self.children[name] = Child(name, command, env, BASE_DIR, self.guard)
        while (status := child.exit_status()) is None:
            self._breathe()
        child.clear_group()
        del self.children[name]
        if status != 0 and must_succeed:
            raise Failed(f"{name} failed (status {status})")
        return status

    def _wait_ready(self, bind: str, port: int) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        answer = "no answer"
        while True:
            self._breathe()
            self._watch()
            answer = ask_ready(bind, port, tls="GRANIAN_SSL_CERTIFICATE" in self.env)
            if answer == "200":
                return
            if time.monotonic() > deadline:
                raise Failed(f"not ready after {READY_TIMEOUT_S:.0f} s: {READY_PATH} says {answer}")

    def _watch(self) -> None:
        """Look after every child once. Nothing works without the web server; the others are started again."""
        for name, child in list(self.children.items()):
            status = child.exit_status()
            if status is None:
                continue
            child.clear_group()
            if name in {"web", "demo_hub"}:
                raise Failed(f"{name} ended by itself (status {status}); stopping")
            if name not in self.due:
                self._plan_restart(name, steady=time.monotonic() - child.started_at > _STEADY_S, status=status)
            elif time.monotonic() >= self.due[name]:
                del self.due[name]
                self._start(name)
        for name, pid in list(self.servers.items()):
            if not is_alive(pid):
                say(f"{name} ended by itself; starting it again")
                self.guard.forget(pid)
                del self.servers[name]
                self._start_servers()

    def _plan_restart(self, name: str, *, steady: bool, status: int) -> None:
        failures = self.failures[name] = 0 if steady else self.failures.get(name, 0) + 1
        delay = min(_MAX_BACKOFF_S, 2.0 ** (failures - 1)) if failures else 0.0
        self.due[name] = time.monotonic() + delay
        say(f"{name} ended by itself (status {status}); starting it again in {delay:.0f} s")

    def _breathe(self) -> None:
        if self.stopping:
            raise Stopped
        time.sleep(0.1)
        for child in self.children.values():
            child.pass_on_output()

    def _stop(self) -> None:
        """Take everything down: who uses a server before the server itself."""
        end_all(self.children.values(), STOP_PATIENCE_S)
        with contextlib.suppress(EmbeddedError):
            if "redis" in self.servers:
                redis.stop(self.home, timeout_s=1.5)
        with contextlib.suppress(EmbeddedError):
            if "postgres" in self.servers:
                postgres.stop(self.home, timeout_s=4.0)
        self.guard.farewell()
        self.lock.close()


def main(argv: list[str] | None = None) -> int:
    """Run the portal; `--demo` adds the demo's provider, data and walkthrough. Returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if set(arguments) - {"--demo", "--prepare"}:
        say("usage: python -m identity_portal.supervisor [--demo | --prepare]")
        return 2
    if "--prepare" in arguments:
        return prepare_only()
    portal = Supervisor(os.environ, demo="--demo" in arguments)
    # Explicitly, because a shell that starts us in the background leaves SIGINT ignored, and some leave it blocked.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, portal.request_stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    return portal.run()


def prepare_only() -> int:
    """Prepare a home and start nothing (for tools that only need the settings to load)."""
    try:
        prepare_home(os.environ)
    except (ConfigError, EmbeddedError) as problem:
        say(str(problem))
        return 1
    return 0


def say(text: str) -> None:
    """Tell the operator."""
    print(f"identity_portal: {text}", file=sys.stderr, flush=True)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Refuse a second portal on the same home: it would share servers that the first one stops."""
    handle = os.open(home / ".supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Failed(f"another portal is running from {home}") from None
    try:
        yield
    finally:
        os.close(handle)


def refuse_taken_port(bind: str, port: int) -> None:
    """Fail early and clearly: the web server shares ports between its processes, so it would not notice."""
    family, kind, protocol, _, address = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as problem:
            raise Failed(f"cannot listen on {bind} port {port} ({problem.strerror}); set PORT to another") from None


def hub_port(record: Path) -> int:
    """Return the demo provider's port: the same one every time, as the seeded providers name it."""
    with contextlib.suppress(OSError, ValueError, Failed):
        port = int(record.read_text(encoding="ascii"))
        refuse_taken_port("127.0.0.1", port)
        return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    record.write_text(f"{port}\n", encoding="ascii")
    return port


def ask_ready(bind: str, port: int, *, tls: bool) -> str:
    """Ask the web server whether it is ready; returns the status as text."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(bind, bind)  # noqa: S104
    connection: http.client.HTTPConnection
    if tls:
        context = ssl._create_unverified_context()  # noqa: S323 (our own server, asked for a status)
        connection = http.client.HTTPSConnection(host, port, timeout=5, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", READY_PATH, headers={"Host": f"localhost:{port}"})
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as problem:
        return type(problem).__name__
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
