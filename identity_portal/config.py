"""Everything the service reads from its environment, checked once and all at once."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from apps.core.secret import Secret
from identity_portal.embedded import postgres, redis
from identity_portal.embedded.account import server_account
from identity_portal.embedded.errors import EmbeddedError
from identity_portal.embedded.places import locked, open_home, private_folder, read_password, write_private

SECRET_KEY_FILE = "django_secret_key"  # noqa: S105 (the name of a file)
VAULT_KEY_FILE = "vault_root.key"
OPERATOR_KEYS_FILE = "operator_fernet.keys"
_MARKER = ".created"  # its presence means: these keys are in use, never make new ones
# Requests per second. High enough that two cores cannot reach them in normal use.
DEFAULT_RATE_LIMITS = {"credential": 2000, "agent": 2000, "tenant": 2000, "address": 2000}
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
# What libpq may take from a database URL; anything else in the query is refused rather than ignored.
_DATABASE_OPTIONS = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "application_name", "target_session_attrs"}
)


class ConfigError(Exception):
    """One or more environment variables or key files are missing or malformed.

    `problems` names each with what is wrong. Values never appear: they may be secrets.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the configuration is not usable:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseTarget:
    """How to reach the database as one role. `host` is a name, an address or a socket folder."""

    host: str
    port: int | None
    name: str
    user: str
    password: Secret
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The service's configuration. Build it with `from_environment`."""

    home: Path
    port: int
    public_url: str
    database: DatabaseTarget
    database_owner: DatabaseTarget
    embedded_database: bool
    redis_url: Secret
    embedded_redis: bool
    allowed_private_upstreams: frozenset[tuple[str, int]]
    approved_upstream_hosts: frozenset[str] | None  # None: any public host
    ca_bundle: Path | None  # further authorities for outgoing TLS, beside the public ones
    extra_hosts: frozenset[str]
    demo: bool
    aws_strict_session_status: bool
    rate_limits_per_s: tuple[tuple[str, int], ...]
    keys_dir: Path
    secret_key: Secret

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Config:
        """Read and check everything. Raises ConfigError naming every problem; the operator can fix them.

        With an embedded database the targets come from the home, so any command with the same environment
        reaches the running instance.
        """
        read = _Reader(env)
        home = home_folder(env)
        port = read.port("PORT", 8080)
        database, owner = _databases(read, home)
        values = cls(
            home=home,
            port=port,
            public_url=read.public_url("IDENTITY_PORTAL_PUBLIC_URL", f"http://127.0.0.1:{port}"),
            database=database,
            database_owner=owner,
            embedded_database=not env.get("DATABASE_URL"),
            redis_url=_redis_url(read, home),
            embedded_redis=not env.get("REDIS_URL"),
            allowed_private_upstreams=read.host_ports("IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS"),
            approved_upstream_hosts=read.hosts("IDENTITY_PORTAL_APPROVED_UPSTREAM_HOSTS") or None,
            ca_bundle=read.certificates("IDENTITY_PORTAL_CA_BUNDLE"),
            extra_hosts=read.hosts("IDENTITY_PORTAL_EXTRA_HOSTS"),
            demo=read.flag("IDENTITY_PORTAL_DEMO"),
            aws_strict_session_status=read.flag("AWS_STRICT_SESSION_STATUS"),
            rate_limits_per_s=read.rates("IDENTITY_PORTAL_RATE_LIMITS"),
            keys_dir=home / "keys",
            secret_key=read.key_file(home / "keys" / SECRET_KEY_FILE),
        )
        read.key_file(home / "keys" / OPERATOR_KEYS_FILE)
        read.root_key(home / "keys" / VAULT_KEY_FILE)
        if read.problems:
            raise ConfigError(read.problems)
        return values

    def operator_keys(self) -> tuple[str, ...]:
        """Return the Fernet keys for operator-level secrets, the current one first."""
        text = (self.keys_dir / OPERATOR_KEYS_FILE).read_text(encoding="ascii")
        return tuple(line.strip() for line in text.splitlines() if line.strip())

    def allowed_hosts(self) -> list[str]:
        """Return the host names this service answers to."""
        public = urlsplit(self.public_url).hostname or ""
        names = {public, *self.extra_hosts, "127.0.0.1", "localhost", "::1"}
        return sorted(f"[{name}]" if ":" in name else name for name in names if name)

    def celery_broker_url(self) -> str:
        """Return the Redis address as Celery spells it."""
        address = self.redis_url.reveal()
        if not address.startswith("unix:"):
            return address
        parts = urlsplit(address)
        database = dict(parse_qsl(parts.query)).get("db", "0")
        return f"redis+socket://{parts.path}?virtual_host={quote(database)}"

    def rate_limits(self) -> dict[str, int]:
        """Return the limits in requests per second by `credential`, `agent`, `tenant` and `address`."""
        return dict(self.rate_limits_per_s)


def home_folder(env: Mapping[str, str]) -> Path:
    """Return the state folder: IDENTITY_PORTAL_HOME, or `var` beside `manage.py`."""
    given = env.get("IDENTITY_PORTAL_HOME")
    return Path(given).absolute() if given else Path(__file__).resolve().parent.parent / "var"


class _Reader:
    """Reads variables and collects what is wrong instead of stopping at the first problem."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.problems: list[str] = []

    def problem(self, name: str, what: str) -> None:
        self.problems.append(f"{name} {what}")

    def port(self, name: str, default: int) -> int:
        text = self.env.get(name) or str(default)
        if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
            return int(text)
        self.problem(name, "must be a number from 1 to 65535")
        return default

    def flag(self, name: str) -> bool:
        text = self.env.get(name) or "0"
        if text not in {"0", "1"}:
            self.problem(name, "must be 0 or 1")
        return text == "1"

    def public_url(self, name: str, default: str) -> str:
        text = (self.env.get(name) or default).rstrip("/")
        try:
            parts = urlsplit(text)
            sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            sound = False
        # Paths of the AWS wire start at the root, so a path prefix cannot work.
        if not sound or parts.path or parts.query or parts.fragment or "@" in parts.netloc or not text.isprintable():
            self.problem(name, "must look like https://portal.example.org or http://127.0.0.1:8080, without a path")
            return default
        return text

    def hosts(self, name: str) -> frozenset[str]:
        items = [item.strip().lower() for item in (self.env.get(name) or "").split(",") if item.strip()]
        if not all(_HOST.fullmatch(item) for item in items):
            self.problem(name, "must be a list of host names: host,host")
            return frozenset()
        return frozenset(items)

    def host_ports(self, name: str) -> frozenset[tuple[str, int]]:
        found: set[tuple[str, int]] = set()
        for item in filter(None, (item.strip() for item in (self.env.get(name) or "").split(","))):
            host, _, port = item.rpartition(":")
            bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
            named = bool(_HOST.fullmatch(bare)) or (bare != host and bool(re.fullmatch(r"[0-9A-Fa-f:.]+", bare)))
            if not (named and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
                self.problem(name, "must be a list of host:port,host:port (an IPv6 address in brackets)")
                return frozenset()
            found.add((bare.lower(), int(port)))
        return frozenset(found)

    def rates(self, name: str) -> tuple[tuple[str, int], ...]:
        limits = dict(DEFAULT_RATE_LIMITS)
        for item in filter(None, (item.strip() for item in (self.env.get(name) or "").split(","))):
            key, _, number = item.partition("=")
            if key not in limits or not (number.isascii() and number.isdigit() and int(number) > 0):
                self.problem(
                    name, f"must be a list of name=number per second; the names are {', '.join(sorted(limits))}"
                )
                return tuple(DEFAULT_RATE_LIMITS.items())
            limits[key] = int(number)
        return tuple(limits.items())

    def certificates(self, name: str) -> Path | None:
        given = self.env.get(name)
        if not given:
            return None
        path = Path(given).absolute()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cafile=path)
        except ssl.SSLError:
            self.problem(name, "must name a PEM file that holds certificates of authorities")
        except OSError:
            self.problem(name, "names a file that is not there or cannot be read by this account")
        else:
            if not context.get_ca_certs():
                self.problem(name, "names a file without a certificate of an authority (one that may sign others)")
        return path

    def key_file(self, path: Path) -> Secret:
        try:
            text = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            self.problem(str(path), "is missing: on an empty home `make run` creates it, otherwise restore the backup")
            return Secret("")
        except (OSError, UnicodeDecodeError):
            self.problem(str(path), "cannot be read by this account")
            return Secret("")
        if not text:
            self.problem(str(path), "is empty: restore it from the backup")
        return Secret(text)

    def root_key(self, path: Path) -> None:
        text = self.key_file(path).reveal()
        try:
            sound = not text or len(base64.b64decode(text, validate=True)) == 32
        except (binascii.Error, ValueError):
            sound = False
        if not sound:
            self.problem(str(path), "must hold 32 bytes in base64")

    def database_url(self, name: str) -> DatabaseTarget:
        """Read `postgresql://user:password@host:port/name`; the host may be a socket folder (`?host=/folder`)."""
        nowhere = DatabaseTarget(host="", port=None, name="", user="", password=Secret(""))
        try:
            parts = urlsplit(self.env.get(name, ""))
            query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
            host = query.pop("host", "") or unquote(_raw_host(parts.netloc))
            port = parts.port
        except ValueError:
            parts, query, host, port = urlsplit(""), {}, "", None
        database, user = unquote(parts.path[1:]), unquote(parts.username or "")
        if parts.scheme not in {"postgres", "postgresql"} or not (host and database and user) or "/" in database:
            self.problem(name, "must look like postgresql://user:password@host:5432/database")
            return nowhere
        foreign = sorted(set(query) - _DATABASE_OPTIONS)
        if foreign:
            self.problem(
                name, f"has options this service does not pass on; allowed: {', '.join(sorted(_DATABASE_OPTIONS))}"
            )
            return nowhere
        return DatabaseTarget(
            host=host,
            port=port or 5432,
            name=database,
            user=user,
            password=Secret(unquote(parts.password or "")),
            options=tuple(sorted(query.items())),
        )


def _raw_host(netloc: str) -> str:
    """Return the host as written: `urlsplit().hostname` lowers the case, which breaks a socket folder."""
    place = netloc.rpartition("@")[2]
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0]


def _databases(read: _Reader, home: Path) -> tuple[DatabaseTarget, DatabaseTarget]:
    if read.env.get("DATABASE_URL"):
        app = read.database_url("DATABASE_URL")
        # Serving processes need no owner; without one `migrate` is refused by the database itself.
        return app, read.database_url("DATABASE_OWNER_URL") if read.env.get("DATABASE_OWNER_URL") else app
    if read.env.get("DATABASE_OWNER_URL"):
        read.problem("DATABASE_URL", "is missing although DATABASE_OWNER_URL is set: give both or neither")
    targets = []
    for role in (postgres.APP, postgres.OWNER):
        try:
            host, password = str(postgres.socket_dir(home)), read_password(home, role)
        except EmbeddedError as problem:
            host, password = "", ""
            if str(problem) not in read.problems:
                read.problems.append(str(problem))
        targets.append(
            DatabaseTarget(host=host, port=postgres.PORT, name=postgres.DATABASE, user=role, password=Secret(password))
        )
    return targets[0], targets[1]


def _redis_url(read: _Reader, home: Path) -> Secret:
    given = read.env.get("REDIS_URL")
    if given:
        try:
            parts = urlsplit(given)
            sound = bool(parts.path if parts.scheme == "unix" else parts.hostname) and parts.port != 0
        except ValueError:
            sound = False
        if not sound or parts.scheme not in {"redis", "rediss", "unix"}:
            read.problem("REDIS_URL", "must look like redis://host:6379/0, rediss://… or unix:///folder/redis.sock")
        return Secret(given)
    try:
        return Secret(redis.url(home))
    except EmbeddedError as problem:
        read.problems.append(str(problem))
        return Secret("")


def prepare_home(env: Mapping[str, str], *, throwaway: bool = False) -> Path:
    """Make a home ready to start from: folders, passwords, sockets, and keys on an EMPTY home only.

    `throwaway` (tests) only concerns data that has to lie outside the home; `postgres.destroy` removes it.

    Raises ConfigError when a home that already holds data lacks a key file. Making a new key there would
    leave everything sealed under the lost one unreadable, quietly.
    """
    home = home_folder(env)
    embedded = not (env.get("DATABASE_URL") and env.get("REDIS_URL"))
    open_home(home, server_account() if embedded else None)
    create_or_check_keys(home, holds_data=postgres.exists(home))
    if not env.get("DATABASE_URL"):
        postgres.prepare(home, throwaway=throwaway)
    if not env.get("REDIS_URL"):
        redis.prepare(home)
    private_folder(home / "static")
    return home


def create_or_check_keys(home: Path, *, holds_data: bool) -> None:
    """Create the three key files on a new home; on one that holds data only check that they are there.

    The marker is written last, so an interrupted first start is simply repeated; a file that exists is kept.
    """
    keys = home / "keys"
    content = {
        SECRET_KEY_FILE: lambda: secrets.token_urlsafe(48),
        VAULT_KEY_FILE: lambda: base64.b64encode(secrets.token_bytes(32)).decode("ascii"),
        OPERATOR_KEYS_FILE: lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii"),
    }
    with locked(home / ".keys.lock"):
        missing = [name for name in content if not (keys / name).exists()]
        if (keys / _MARKER).exists() or holds_data:
            if missing:
                raise ConfigError(
                    [f"{keys / name} is missing, but this home holds data: restore the file" for name in missing]
                )
            return
        private_folder(keys)
        for name in missing:
            write_private(keys / name, content[name]() + "\n")
        write_private(keys / _MARKER, "")
