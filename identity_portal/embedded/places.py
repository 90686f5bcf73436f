"""Where things are: private folders, password files, and places outside the home where the home will not do."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from identity_portal.embedded.account import Account
from identity_portal.embedded.errors import EmbeddedError

# sockaddr_un holds 104 (macOS) to 108 (Linux) bytes; beyond this the socket moves to the temporary folder.
SOCKET_PATH_LIMIT = 100
RELOCATED_ROOT = Path("/var/lib/identity-portal")


def private_folder(path: Path, account: Account | None = None, *, mode: int = 0o700) -> Path:
    """Create `path` if needed and make it readable by its owner only (the account, or else ourselves)."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as refused:
        raise EmbeddedError(
            f"the folder {path} cannot be made ({refused.strerror}); set IDENTITY_PORTAL_HOME to one that this account "
            "may write to"
        ) from refused
    if path.is_symlink():
        raise EmbeddedError(f"{path} is a symbolic link; it must be a folder of its own")
    wanted = account.uid if account else os.geteuid()
    if path.stat().st_uid != wanted:
        # An empty folder may be a freshly mounted volume; a filled one is somebody's data.
        if os.geteuid() != 0 or any(path.iterdir()):
            raise EmbeddedError(f"{path} belongs to another account; run the portal as the account that created it")
        _change_owner(path, wanted, account.gid if account else -1)
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)
    return path


def open_home(home: Path, account: Account | None) -> Path:
    """Create the state folder: 0700, or 0710 for the servers' own group when started by root.

    The group may walk through and no more: it can neither list the home nor enter `keys` and `secrets` (0700).
    """
    private_folder(home)
    if account is not None:
        _change_owner(home, -1, account.gid)
        home.chmod(0o710)
    return home


def hand_over(path: Path, account: Account | None) -> None:
    """Make a file the servers' account's own."""
    if account is not None:
        _change_owner(path, account.uid, account.gid)


def write_private(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_record(path: Path) -> dict[str, str]:
    """Read a small JSON record of places; an absent one is empty."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as problem:
        raise EmbeddedError(f"{path} cannot be read: {type(problem).__name__}") from None
    return {str(key): str(value) for key, value in content.items()} if isinstance(content, dict) else {}


def write_record(path: Path, record: dict[str, str]) -> None:
    """Write a record of places, if it changed."""
    if read_record(path) != record:
        write_private(path, json.dumps(record, indent=1, sort_keys=True) + "\n")


def relative_to_home(home: Path, path: Path) -> str:
    """Write a place for a record: relative inside the home, absolute elsewhere."""
    real = home.resolve()
    return str(path.relative_to(real)) if path.is_relative_to(real) else str(path)


def socket_folder(home: Path, name: str, file_name: str, recorded: Path | None, account: Account | None) -> Path:
    """Return a private folder for a Unix socket: `home/run/<name>`, or one under the temporary folder.

    The temporary folder is used when the path is too long for a socket address, or when the servers' account
    cannot walk into the home. It gets an unguessable name and is taken again only if it is still ours: on a
    shared machine anybody can create names there.
    """
    inside = home.resolve() / "run" / name
    fits = len(os.fsencode(inside / file_name)) <= SOCKET_PATH_LIMIT
    if fits and (account is None or account.may_enter(home)):
        run = private_folder(inside.parent)
        if account is not None:
            _change_owner(run, -1, account.gid)
            run.chmod(0o710)
        return private_folder(inside, account)
    if recorded is not None and _still_ours(recorded, account):
        return recorded
    made = Path(tempfile.mkdtemp(prefix=f"portal-{name}-", dir=_temporary_root(file_name, account)))
    return private_folder(made, account)


def relocated(home: Path, account: Account, *, throwaway: bool) -> Path:
    """Return a folder for server data outside a home that `account` cannot reach (a checkout under /root)."""
    # A new name each time: a home that was deleted and made again must not find the data of the old one.
    if throwaway:
        base = Path(tempfile.mkdtemp(prefix="portal-data-", dir=_temporary_root("", account)))
    else:
        RELOCATED_ROOT.mkdir(parents=True, exist_ok=True, mode=0o755)
        prefix = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:12]
        base = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=RELOCATED_ROOT))
    _change_owner(base, -1, account.gid)
    base.chmod(0o710)
    return base


def password_file(home: Path, name: str, *, create: bool) -> Path:
    """Return `home/secrets/<name>`, created with 256 random bits if asked for and absent."""
    path = home / "secrets" / name
    if create and not path.exists():
        private_folder(path.parent)
        write_private(path, secrets.token_urlsafe(32) + "\n")
    return path


def read_password(home: Path, name: str) -> str:
    """Read a password file; raises EmbeddedError naming the file when it is absent or empty."""
    path = password_file(home, name, create=False)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError:
        raise EmbeddedError(f"{path} is missing or cannot be read") from None
    if not text:
        raise EmbeddedError(f"{path} is empty")
    return text


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes; it ends with the process, however that dies."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _change_owner(path: Path, uid: int, gid: int) -> None:
    try:
        os.chown(path, uid, gid)
    except PermissionError:
        raise EmbeddedError(
            f"started by root without the right to change the owner of {path} (a container without CAP_CHOWN?): "
            "run the portal as a normal user, or set DATABASE_URL, DATABASE_OWNER_URL and REDIS_URL"
        ) from None


def _still_ours(folder: Path, account: Account | None) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    owner = account.uid if account else os.geteuid()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and stat.S_IMODE(found.st_mode) == 0o700


def _temporary_root(file_name: str, account: Account | None) -> Path:
    """Choose a temporary folder that the account can reach and whose name leaves room for a socket."""
    for candidate in map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 (mkdtemp inside)
        room = len(os.fsencode(candidate)) + len("/portal-postgres-xxxxxxxx/") + len(file_name) <= SOCKET_PATH_LIMIT
        if candidate.is_dir() and room and (account is None or account.may_enter(candidate)):
            return candidate
    raise EmbeddedError("no usable temporary folder; set TMPDIR to a short path that every account can enter")
