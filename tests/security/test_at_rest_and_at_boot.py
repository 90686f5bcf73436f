"""No secret lies anywhere in the clear, and the portal does not start on keys that do not fit."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.security import oracle
from tests.security.calls import SUCCEEDS
from tests.security.lab import PASSWORD, Lab, must
from tests.security.wire import Reply

ROOT = Path(__file__).resolve().parents[2]


def everything_stored() -> Iterator[tuple[str, str]]:
    """(table, row as text) of every table there is; bytes appear as hex."""
    tables = oracle.execute(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'public' AND c.relkind = 'r'"
    )
    for (table,) in tables:
        for (row,) in oracle.execute(f"SELECT t::text FROM {table} t"):
            yield table, row


def everything_in_redis() -> str:
    import redis

    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    found = []
    for key in client.scan_iter(count=1000):
        kind = client.type(key).decode()
        read: Callable[[], Any] = {
            "string": lambda key=key: client.get(key),
            "list": lambda key=key: client.lrange(key, 0, -1),
            "set": lambda key=key: client.smembers(key),
            "zset": lambda key=key: client.zrange(key, 0, -1),
            "hash": lambda key=key: client.hgetall(key),
        }.get(kind, lambda: "")
        found.append(f"{key!r} {read()!r}")
    client.close()
    return "\n".join(found)


@pytest.fixture(scope="module")
def used(portal: Any, hub: Any) -> tuple[Lab, dict[str, str]]:
    """A tenant in which everything was done once, and every secret that passed through it."""
    lab = Lab(portal, hub)
    hub.switch(lab.client, token_reply={"refresh_token": "canary-refresh-token-0123456789"})
    account = lab.member()
    flow = lab.start(customState="canary-custom-state", scopes=("openid", "repo:read"))
    url = lab.to_callback(flow)
    lab.dana.open(url)
    must(lab.complete(flow))
    portal_flow = lab.start(resourceOauth2ReturnUrl=None)
    browser = lab.browser("lee", account=account)
    browser.open(portal_flow.url)
    browser.walk()
    open_flow = lab.start(scopes=("status:read",), customState="canary-open-state")
    machine = must(lab.ask(lab.wat(), oauth2Flow="M2M", scopes=["status:read"]))["accessToken"]
    user_token = SUCCEEDS["GetWorkloadAccessTokenForJWT"](lab)["userToken"]
    must(lab.wire.call("GetWorkloadAccessTokenForJWT", {"workloadName": "bot", "userToken": user_token}))
    second = lab.key(("*", "*"))
    must(second.call("GetTokenVault"))
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    from apps.tenants.scope import tenant_scope
    from apps.vault.opening import open_at

    with tenant_scope(lab.tenant.id):
        (session,) = lab.rows("SELECT id FROM connections_consentsession WHERE status = 'pending' AND tenant_id = %s")
        verifier, nonce, ticket = (
            open_at(table="connections_consentsession", row_id=session[0], column=column)
            for column in ("code_verifier", "nonce", "ticket")
        )
    assert verifier and nonce and ticket
    secrets = {
        "client secret": lab.client.client_secret,
        "API key": lab.api_key,
        "access token": must(lab.ask(flow.wat, ["repo:read"]))["accessToken"],
        "refresh token": "canary-refresh-token-0123456789",
        "machine token": machine,
        "workload token": flow.wat,
        "access key secret": lab.wire.secret,
        "second access key secret": second.secret,
        "consent ticket": flow.ticket,
        "open consent ticket": open_flow.ticket,
        "state": query["state"],
        "code": query["code"],
        "custom state": "canary-custom-state",
        "open custom state": "canary-open-state",
        "verifier": verifier.reveal(),
        "nonce": nonce.reveal(),
        "person's token": user_token,
        "person's password": PASSWORD,
        "consent cookie": lab.dana.cookies.get("portal_consent").split("~")[0].partition(".")[2],
        "portal session": browser.cookies.get("portal_session"),
    }
    hub.clear_switches(lab.client)
    return lab, secrets


# Django's own session store is keyed by the cookie's value; who reads that table can use the sessions in it.
KNOWN_IN_CLEAR = {("portal session", "django_session")}


@pytest.mark.case("T082")
def test_T082_no_secret_is_stored_in_the_clear(used: tuple[Lab, dict[str, str]]) -> None:
    _, secrets = used
    wanted = [(name, form) for name, text in secrets.items() for form in forms(text)]
    found = set()
    rows = 0
    for table, row in everything_stored():
        rows += 1
        found |= {(name, table) for name, form in wanted if form in row}
    assert rows > 100
    assert found <= KNOWN_IN_CLEAR, found


def forms(text: str) -> list[str]:
    """As it is, as hex, as base64: how a column of text, bytes or JSON would show it."""
    raw = text.encode()
    return [
        text,
        raw.hex(),
        base64.b64encode(raw).decode().rstrip("=")[:-2],
        base64.urlsafe_b64encode(raw).decode()[:-4],
    ]


@pytest.mark.case("T082")
def test_T082_redis_holds_no_secret(used: tuple[Lab, dict[str, str]]) -> None:
    _, secrets = used
    stored = everything_in_redis()
    assert [name for name, text in secrets.items() for form in forms(text) if form in stored] == []


@pytest.mark.case("T039")
@pytest.mark.case("T082")
def test_T039_no_read_shows_a_secret(used: tuple[Lab, dict[str, str]]) -> None:
    """Everything that reads or changes, and every record of the trail. Token calls give what they are asked for."""
    lab, secrets = used
    gives = {
        "GetResourceOauth2Token": {"access token"},
        "GetResourceApiKey": {"API key"},
        "GetWorkloadAccessToken": set(),
        "GetWorkloadAccessTokenForUserId": set(),
        "GetWorkloadAccessTokenForJWT": set(),
    }
    for operation, members_of in SUCCEEDS.items():
        reply: Reply = lab.wire.call(operation, members_of(lab))
        assert reply.status < 300, (operation, reply.body)
        text = f"{reply.headers} {reply.body.decode()}"
        shown = {name for name, secret in secrets.items() if secret in text}
        assert shown <= gives.get(operation, set()), (operation, shown)
    trail = str(lab.rows("SELECT r::text FROM audit_auditrecord r WHERE tenant_id = %s"))
    stream = str(oracle.execute("SELECT r::text FROM audit_operatorrecord r"))
    assert [name for name, secret in secrets.items() if secret in trail or secret in stream] == []


@pytest.mark.case("T039")
def test_T039_an_access_keys_secret_is_shown_once_and_can_be_asked_for_nowhere() -> None:
    from dataclasses import fields

    from apps.broker import contracts as c

    showing = [
        (view.__name__, field.name)
        for view in vars(c).values()
        if isinstance(view, type) and not issubclass(view, c.Command) and hasattr(view, "__dataclass_fields__")
        for field in fields(view)
        if field.type == "Secret" or "Secret" in str(field.type)
    ]
    assert set(showing) <= {
        ("NewAccessKey", "secret_access_key"),
        ("TokenReleased", "access_token"),
        ("Approved", "browser"),
        ("OAuthSettings", "client_secret"),
    }, showing


# --- at boot ------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, portal: Any) -> Path:
    """A copy of the running portal's home, keys only. The database is the same."""
    assert portal.url
    shutil.copytree(Path(os.environ["IDENTITY_PORTAL_HOME"]) / "keys", tmp_path / "keys")
    (tmp_path / "keys").chmod(0o700)
    (tmp_path / "static").mkdir()
    return tmp_path


def start(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PORTAL_TEST"))}
    env["IDENTITY_PORTAL_HOME"] = str(home)
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )


SERVE = ("-c", "import identity_portal.wsgi; print('serving')")
CHECK = ("manage.py", "check")


@pytest.mark.case("T082")
@pytest.mark.slow
def test_T082_the_right_key_starts(home: Path) -> None:
    assert start(home, *SERVE).stdout.strip() == "serving"


def missing(path: Path) -> None:
    path.unlink()


def sixteen_bytes(path: Path) -> None:
    path.write_text(base64.b64encode(os.urandom(16)).decode())


def all_zero(path: Path) -> None:
    path.write_text(base64.b64encode(bytes(32)).decode())


def repeated(path: Path) -> None:
    path.write_text(base64.b64encode(b"A" * 32).decode())


def not_base64(path: Path) -> None:
    path.write_text("not a key at all, sorry")


def empty(path: Path) -> None:
    path.write_text("")


def another(path: Path) -> None:
    path.write_text(base64.b64encode(os.urandom(32)).decode())


def readable_by_all(path: Path) -> None:
    path.chmod(0o644)


WRONG = [missing, sixteen_bytes, all_zero, repeated, not_base64, empty, another, readable_by_all]


@pytest.mark.case("T082")
@pytest.mark.slow
@pytest.mark.parametrize("fault", WRONG, ids=lambda fault: fault.__name__)
def test_T082_on_a_wrong_root_key_nothing_starts_and_no_key_is_made(home: Path, fault: Callable[[Path], None]) -> None:
    path = home / "keys" / "vault_root.key"
    right = path.read_text()
    fault(path)
    before = path.read_text() if path.exists() else None
    done = start(home, *SERVE)
    assert done.returncode != 0 and "serving" not in done.stdout
    said = done.stderr.strip().splitlines()[-6:]
    assert any(word in " ".join(said) for word in ("vault_root.key", "key ring", "key file")), said
    assert right.strip() not in done.stderr and (before is None or not before or before.strip() not in done.stderr)
    assert (path.read_text() if path.exists() else None) == before, "no key is made or mended silently"
    if fault in (missing, sixteen_bytes, not_base64, empty):
        assert start(home, *CHECK).returncode != 0
