"""Brings up what the suite runs on, before Django's settings are read.

The controlling process starts one throw-away PostgreSQL and one Redis and migrates a template database once.
Every worker then clones the template, and connects as the unprivileged role the service runs as. Nothing is ever
flushed: each test makes tenants of its own. `DATABASE_URL`/`DATABASE_OWNER_URL`/`REDIS_URL`, when given, are used
instead of the embedded ones.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent
_HOME = "PORTAL_TEST_HOME"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _url(host: str, name: str, user: str, password: str) -> str:
    return f"postgresql://{user}:{quote(password, safe='')}@/{name}?host={quote(host, safe='')}"


def _start_services() -> None:
    """In the controlling process only: services, keys, and the migrated template."""
    from identity_portal.config import Config, prepare_home
    from identity_portal.embedded import postgres, redis

    home = Path(tempfile.mkdtemp(prefix="portal-tests-"))
    home.chmod(0o755)
    env = dict(os.environ, IDENTITY_PORTAL_HOME=str(home))
    prepare_home(env)
    if not env.get("DATABASE_URL"):
        postgres.start(home, throwaway=True, tied=True)
    if not env.get("REDIS_URL"):
        redis.start(home, tied=True)

    def clean() -> None:
        if not env.get("DATABASE_URL"):
            postgres.destroy(home)
        if not env.get("REDIS_URL"):
            redis.stop(home)
        shutil.rmtree(home, ignore_errors=True)

    atexit.register(clean)
    config = Config.from_environment(env)
    os.environ.update(IDENTITY_PORTAL_HOME=str(home))
    if config.embedded_database:
        # From here on every process, the service under test included, is pointed at a database by its URL.
        host = config.database.host
        os.environ["DATABASE_URL"] = _url(host, config.database.name, "portal_app", config.database.password.reveal())
        os.environ["DATABASE_OWNER_URL"] = _url(
            host, config.database.name, "portal_owner", config.database_owner.password.reveal()
        )
    os.environ["REDIS_URL"] = config.redis_url.reveal()
    os.environ["PORTAL_TEST_TEMPLATE"] = config.database.name
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True, env=dict(os.environ)
    )
    os.environ[_HOME] = str(home)


def _with_database(url: str, name: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))


def _own_database(worker: str) -> None:
    """A database of this worker's own, cloned from the template."""
    template = os.environ["PORTAL_TEST_TEMPLATE"]
    name = f"test_{worker}_{os.getpid()}"
    owner = os.environ["DATABASE_OWNER_URL"]
    with psycopg.connect(_with_database(owner, "postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    os.environ["DATABASE_OWNER_URL"] = _with_database(owner, name)
    os.environ["DATABASE_URL"] = _with_database(os.environ["DATABASE_URL"], name)

    def drop() -> None:
        from django.db import connections

        connections.close_all()
        # What still holds it (a server that is just ending) keeps it; an embedded cluster goes away whole anyway.
        with (
            contextlib.suppress(psycopg.Error),
            psycopg.connect(_with_database(owner, "postgres"), autocommit=True) as connection,
        ):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))

    atexit.register(drop)


def _prepare() -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if _HOME not in os.environ:
        _start_services()
    _own_database(worker or "main")
    portal, hub, *rest = _free_ports(11)
    spare, inbound = rest[:4], rest[4:]
    os.environ["PORT"] = str(portal)
    os.environ["IDENTITY_PORTAL_PUBLIC_URL"] = f"http://127.0.0.1:{portal}"
    os.environ["PORTAL_TEST_HUB_PORT"] = str(hub)
    os.environ["PORTAL_TEST_SPARE_PORTS"] = ",".join(map(str, spare))
    # Issuers and agents of the inbound tests: a port each, for those who have to be where they say they are.
    os.environ["PORTAL_TEST_INBOUND_PORTS"] = ",".join(map(str, inbound))
    os.environ["IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS"] = ",".join(f"127.0.0.1:{p}" for p in (hub, *rest))


if "PORTAL_TEST_NO_SERVICES" not in os.environ:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_portal.settings")
    _prepare()
