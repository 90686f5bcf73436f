"""What makes a new cluster ours: `initdb`, its configuration, the two roles and the database."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from identity_portal.embedded.account import Account, identity
from identity_portal.embedded.errors import EmbeddedError
from identity_portal.embedded.places import hand_over, private_folder, read_password
from identity_portal.embedded.postgres_install import CLEAN_ENVIRONMENT, Install

SUPERUSER, OWNER, APP, DATABASE = "portal_superuser", "portal_owner", "portal_app", "identity_portal"
PORT = 5432  # names the socket file only; nothing listens on TCP

_ACCESS = "# Written by the portal. One way in: the private socket, with a password.\nlocal all all scram-sha-256\n"

_SETTINGS = """# Written by the portal at every start; changes are lost.
listen_addresses = ''
port = {port}
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'
max_connections = 100
shared_buffers = '{buffers}'
huge_pages = off
synchronous_commit = on
fsync = {durable}
full_page_writes = {durable}
max_wal_size = '512MB'
# Statements are short and their plans generic: compiling them costs more than it saves.
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
# A statement or the row it failed on can hold what must not be written to a log.
log_statement = none
log_min_error_statement = panic
log_error_verbosity = terse
log_parameter_max_length_on_error = 0
log_min_messages = warning
"""


def create_cluster(install: Install, data: Path, home: Path, account: Account | None, *, throwaway: bool) -> None:
    """Run `initdb` beside `data` and move the result into place, so that half a cluster never looks like one.

    The superuser's password reaches it through a file that only the servers' account can read.
    """
    fresh = data.with_name(f"{data.name}.init")
    shutil.rmtree(fresh, ignore_errors=True)
    private_folder(fresh, account)
    handover = private_folder(data.with_name(f"{data.name}.pw"), account)
    password = handover / "superuser"
    try:
        password.write_text(read_password(home, SUPERUSER) + "\n", encoding="utf-8")
        password.chmod(0o600)
        hand_over(password, account)
        # The builtin locale provider needs no locales from the operating system: minimal images have none.
        command = [
            install.program("initdb"),
            *("--pgdata", str(fresh), "--username", SUPERUSER, "--pwfile", str(password)),
            *("--auth-local", "scram-sha-256", "--auth-host", "scram-sha-256", "--encoding", "UTF8"),
            *_locale(install.major),
            "--no-instructions",
            *(["--no-sync"] if throwaway else []),
        ]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=CLEAN_ENVIRONMENT,
            cwd="/",
            check=False,
            **identity(account),
        )
    except PermissionError as problem:
        raise EmbeddedError(
            f"cannot run initdb as an unprivileged account ({problem.strerror}): run the portal as a normal user, "
            "or set DATABASE_URL and DATABASE_OWNER_URL"
        ) from None
    finally:
        shutil.rmtree(handover, ignore_errors=True)
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise EmbeddedError(f"initdb failed: {done.stderr.strip()}")
    with (fresh / "postgresql.conf").open("a", encoding="utf-8") as stream:
        stream.write("\ninclude 'portal.conf'\n")
    fresh.replace(data)


def configure(data: Path, socket_dir: Path, account: Account | None, *, throwaway: bool) -> None:
    """Write the access rules and settings of this release."""
    settings = _SETTINGS.format(
        port=PORT,
        socket_dir=str(socket_dir).replace("'", "''"),
        buffers="128MB" if throwaway else "256MB",
        durable="off" if throwaway else "on",
    )
    for name, text in (("pg_hba.conf", _ACCESS), ("portal.conf", settings)):
        path = data / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        hand_over(path, account)


def prepare_database(socket_dir: Path, home: Path) -> None:
    """Create or correct the two roles and the database. Safe to repeat.

    Passwords are sent as SCRAM verifiers, so that the server never sees them in clear.
    """
    with _superuser(socket_dir, home, "postgres") as connection:
        for role, rights in (
            (OWNER, "LOGIN CREATEDB BYPASSRLS NOSUPERUSER NOCREATEROLE NOREPLICATION"),
            (APP, "LOGIN NOCREATEDB NOBYPASSRLS NOSUPERUSER NOCREATEROLE NOREPLICATION"),
        ):
            name = sql.Identifier(role)
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {}").format(name))
            verifier = connection.pgconn.encrypt_password(
                read_password(home, role).encode(), role.encode(), b"scram-sha-256"
            ).decode()
            statement = sql.SQL("ALTER ROLE {} WITH " + rights + " PASSWORD {}")
            connection.execute(statement.format(name, sql.Literal(verifier)))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'").format(
                    sql.Identifier(DATABASE), sql.Identifier(OWNER)
                )
            )
        # The owner needs `postgres` to create test databases from; nobody else needs anything there.
        connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE postgres TO {}").format(sql.Identifier(OWNER)))
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(DATABASE)))
        connection.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(DATABASE), sql.Identifier(APP))
        )
    with _superuser(socket_dir, home, DATABASE) as connection:
        connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(OWNER)))
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(sql.Identifier(APP)))


def _superuser(socket_dir: Path, home: Path, database: str) -> psycopg.Connection:
    return psycopg.connect(
        host=str(socket_dir),
        port=PORT,
        dbname=database,
        user=SUPERUSER,
        password=read_password(home, SUPERUSER),
        connect_timeout=10,
        autocommit=True,
    )


def _locale(major: int) -> list[str]:
    if major >= 17:
        return ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    return ["--no-locale"]
