"""The embedded PostgreSQL is closed to everybody but the portal, and survives what machines do to it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from identity_portal.embedded import postgres
from identity_portal.embedded.account import Account
from identity_portal.embedded.errors import EmbeddedError
from identity_portal.embedded.places import SOCKET_PATH_LIMIT
from identity_portal.embedded.processes import is_alive


def connect(cluster: postgres.Cluster, role: str, database: str = postgres.DATABASE) -> psycopg.Connection:
    return psycopg.connect(
        host=str(cluster.socket_dir),
        port=postgres.PORT,
        dbname=database,
        user=role,
        password=cluster.password(role),
        autocommit=True,
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("role", "may_create_databases", "sees_every_row"), [("portal_owner", True, True), ("portal_app", False, False)]
)
def test_the_two_roles_hold_exactly_their_rights(
    cluster: postgres.Cluster, role: str, may_create_databases: bool, sees_every_row: bool
) -> None:
    with connect(cluster, role) as connection:
        found = connection.execute(
            "SELECT rolcreatedb, rolbypassrls, rolsuper, rolcreaterole, rolreplication FROM pg_roles"
            " WHERE rolname = current_user"
        ).fetchone()
        members = connection.execute(
            "SELECT count(*) FROM pg_auth_members WHERE member = current_user::regrole"
        ).fetchone()
    assert found == (may_create_databases, sees_every_row, False, False, False)
    assert members == (0,)


def test_the_service_role_owns_nothing_and_creates_nothing(cluster: postgres.Cluster) -> None:
    with connect(cluster, postgres.OWNER) as owner:
        owner.execute("CREATE TABLE probe (id int)")
        owner.execute("DROP TABLE probe")
        found = owner.execute(
            "SELECT d.datdba::regrole::text, n.nspowner::regrole::text FROM pg_database d, pg_namespace n"
            " WHERE d.datname = current_database() AND n.nspname = 'public'"
        ).fetchone()
    assert found == ("portal_owner", "portal_owner")
    with connect(cluster, postgres.APP) as app:
        for forbidden in (
            "CREATE TABLE probe (id int)",
            "CREATE SCHEMA probe",
            "CREATE TEMPORARY TABLE probe (id int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(forbidden)
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        connect(cluster, postgres.APP, "postgres")


def test_every_role_needs_its_password(cluster: postgres.Cluster) -> None:
    for role in (postgres.SUPERUSER, postgres.OWNER, postgres.APP):
        connect(cluster, role, postgres.DATABASE).close() if role != postgres.SUPERUSER else None
        for wrong in ("", "wrong"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(
                    host=str(cluster.socket_dir),
                    dbname=postgres.DATABASE,
                    user=role,
                    password=wrong,
                    passfile="/dev/null",
                )
    with connect(cluster, postgres.SUPERUSER) as connection:
        rules = connection.execute("SELECT type, auth_method FROM pg_hba_file_rules").fetchall()
        verifiers = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolcanlogin").fetchall()
    assert rules == [("local", "scram-sha-256")]
    assert all(verifier.startswith("SCRAM-SHA-256$") for (verifier,) in verifiers)


def test_nothing_listens_on_tcp(cluster: postgres.Cluster) -> None:
    with connect(cluster, postgres.SUPERUSER) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(
            host="127.0.0.1", port=postgres.PORT, user=postgres.APP, dbname=postgres.DATABASE, connect_timeout=2
        )


def test_only_the_owner_can_reach_data_socket_and_passwords(cluster: postgres.Cluster) -> None:
    for folder in (cluster.data, cluster.socket_dir, cluster.home / "secrets"):
        assert mode(folder) == 0o700
    for name in (postgres.SUPERUSER, postgres.OWNER, postgres.APP):
        assert mode(cluster.home / "secrets" / name) == 0o600
    assert mode(cluster.home / "postgres.log") == 0o600
    # Root's home lets the servers' own group walk through and no more.
    assert mode(cluster.home) == (0o710 if os.geteuid() == 0 else 0o700)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_the_server_is_never_root_and_gets_no_secret_by_command_line_or_environment(
    cluster: postgres.Cluster,
) -> None:
    process = Path("/proc") / str(cluster.pid)
    assert process.stat().st_uid != 0
    seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    for role in (postgres.SUPERUSER, postgres.OWNER, postgres.APP):
        assert cluster.password(role).encode() not in seen


def test_statements_and_rows_never_reach_the_log(cluster: postgres.Cluster) -> None:
    with connect(cluster, postgres.OWNER) as connection:
        connection.execute("CREATE TABLE noted (id int PRIMARY KEY, note text CHECK (note <> 'marker-row'))")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("INSERT INTO noted VALUES (1, 'marker-row')")
        with pytest.raises(psycopg.errors.SyntaxError):
            connection.execute("SELECT 'marker-statement' FROM FROM")
        connection.execute("DROP TABLE noted")
    assert "marker" not in (cluster.home / "postgres.log").read_text()


def test_a_second_start_reuses_the_running_server(cluster: postgres.Cluster) -> None:
    begun = time.monotonic()
    again = postgres.start(cluster.home)
    assert (again.pid, again.started) == (cluster.pid, False)
    assert time.monotonic() - begun < 2


def test_data_survives_stop_and_start_and_passwords_stay(home: Path) -> None:
    first = postgres.start(home, tied=True)
    password = first.password(postgres.APP)
    with connect(first, postgres.OWNER) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    assert postgres.stop(home)
    assert not is_alive(first.pid)
    assert not postgres.stop(home)
    second = postgres.start(home, tied=True)
    assert second.started and second.password(postgres.APP) == password
    with connect(second, postgres.OWNER) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


def test_a_killed_server_is_recovered_with_its_committed_rows(home: Path) -> None:
    first = postgres.start(home, tied=True)
    with connect(first, postgres.OWNER) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        os.kill(first.pid, signal.SIGKILL)
    assert (first.data / "postmaster.pid").exists()
    second = postgres.start(home, tied=True)
    assert second.started
    with connect(second, postgres.OWNER) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


def test_a_start_during_a_stop_waits_and_starts(home: Path) -> None:
    first = postgres.start(home, throwaway=True, tied=True)
    os.kill(first.pid, signal.SIGINT)
    second = postgres.start(home, throwaway=True, tied=True)
    assert second.started
    connect(second, postgres.APP).close()


def test_a_pid_file_naming_somebody_elses_process_is_not_believed(home: Path) -> None:
    first = postgres.start(home, throwaway=True, tied=True)
    os.kill(first.pid, signal.SIGKILL)
    while is_alive(first.pid):
        time.sleep(0.01)
    pid_file = first.data / "postmaster.pid"
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert postgres.running_pid(home) is None
        second = postgres.start(home, throwaway=True, tied=True)
        assert second.started
        postgres.stop(home)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_long_path_moves_the_socket_to_a_private_folder_that_others_find(home: Path) -> None:
    deep = home.parent / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    cluster = postgres.start(deep, throwaway=True, tied=True)
    try:
        assert len(os.fsencode(cluster.socket_dir / ".s.PGSQL.5432")) <= SOCKET_PATH_LIMIT
        assert not cluster.socket_dir.is_relative_to(deep)
        assert mode(cluster.socket_dir) == 0o700
        assert postgres.socket_dir(deep) == cluster.socket_dir
        connect(cluster, postgres.APP).close()
        assert postgres.start(deep).socket_dir == cluster.socket_dir
    finally:
        postgres.destroy(deep)
    assert not cluster.socket_dir.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account run the server")
def test_a_home_below_a_closed_folder_works_for_root_without_opening_that_folder(home: Path) -> None:
    home.parent.chmod(0o700)
    cluster = postgres.start(home, throwaway=True, tied=True)
    try:
        assert mode(home.parent) == 0o700
        assert cluster.data.owner() != "root"
        assert mode(cluster.data) == 0o700
        connect(cluster, postgres.APP).close()
    finally:
        postgres.destroy(home)
    assert not cluster.data.parent.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account run the server")
def test_programs_below_a_closed_folder_are_copied_to_where_the_account_can_run_them(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from identity_portal.embedded import postgres_install

    elsewhere = home.parent / "elsewhere"
    monkeypatch.setattr(postgres_install, "RELOCATED_ROOT", elsewhere)
    monkeypatch.setattr(Account, "may_enter", lambda self, path: not path.is_relative_to(sys.prefix))
    cluster = postgres.start(home, throwaway=True, tied=True)
    assert Path(f"/proc/{cluster.pid}/exe").readlink().is_relative_to(elsewhere)
    connect(cluster, postgres.APP).close()


def test_a_lost_superuser_password_is_refused_and_not_replaced(home: Path) -> None:
    postgres.start(home, throwaway=True, tied=True)
    postgres.stop(home)
    (home / "secrets" / postgres.SUPERUSER).unlink()
    with pytest.raises(EmbeddedError, match="portal_superuser"):
        postgres.start(home, throwaway=True)
    assert not (home / "secrets" / postgres.SUPERUSER).exists()


def test_an_interrupted_initdb_is_repeated(home: Path) -> None:
    postgres.prepare(home)
    leftover = home / "postgres.init"
    leftover.mkdir()
    (leftover / "PG_VERSION").write_text("18\n")
    assert postgres.start(home, throwaway=True, tied=True).started
    assert not leftover.exists()


def test_rights_somebody_widened_are_taken_back_at_the_next_start(home: Path) -> None:
    cluster = postgres.start(home, throwaway=True, tied=True)
    with connect(cluster, postgres.SUPERUSER) as connection:
        connection.execute("ALTER ROLE portal_app SUPERUSER BYPASSRLS")
        connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    postgres.stop(home)
    again = postgres.start(home, throwaway=True, tied=True)
    with connect(again, postgres.APP) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE probe (id int)")


def test_a_server_tied_to_its_starter_ends_with_it(home: Path) -> None:
    code = (
        "import sys, os, signal; from pathlib import Path; from identity_portal.embedded import postgres;"
        "print(postgres.start(Path(sys.argv[1]), throwaway=True, tied=True).pid, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(postgres.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(home)], cwd=root, capture_output=True, text=True, check=False
    )
    pid = int(done.stdout)
    deadline = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
