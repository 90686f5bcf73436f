"""The unprivileged account that runs the servers when the portal is started by root.

PostgreSQL refuses to run as root, and neither server should hold root's rights if somebody breaks into it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from identity_portal.embedded.errors import EmbeddedError

ACCOUNT_NAME = "identity-portal"
# Used only where no account can be added (read-only /etc, no useradd). `initdb` needs a passwd entry.
FALLBACK_NAMES = ("postgres", "nobody", "daemon")


class Identity(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that change the account of the child."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """A system account: name, user id and primary group id."""

    name: str
    uid: int
    gid: int

    def may_enter(self, path: Path) -> bool:
        """Say whether this account can reach `path`: search permission on it and on every folder above it.

        Only the mode bits count. An access list that grants more is not seen, which merely means that a
        copy is made elsewhere.
        """
        real = path.resolve()
        return all(self._may_search(folder) for folder in (real, *real.parents) if folder.is_dir())

    def _may_search(self, folder: Path) -> bool:
        found = folder.stat()
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def server_account() -> Account | None:
    """Return the account for the servers, adding it if needed; None when we are not root ourselves.

    Raises EmbeddedError when there is no usable account; the operator then runs the portal as a normal user.
    """
    if os.geteuid() != 0:
        return None
    account = _lookup(ACCOUNT_NAME) or _add()
    if account:
        return account
    for name in FALLBACK_NAMES:
        account = _lookup(name)
        if account:
            return account
    raise EmbeddedError(
        f"started by root, and no unprivileged account is available for the embedded servers. Add one "
        f"(useradd --system {ACCOUNT_NAME}), run the portal as a normal user, or set DATABASE_URL and REDIS_URL."
    )


def identity(account: Account | None) -> Identity:
    """Return the `Popen` arguments that start a child as `account` (nothing for None)."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def _lookup(name: str) -> Account | None:
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(found.pw_name, found.pw_uid, found.pw_gid) if found.pw_uid != 0 else None


def _add() -> Account | None:
    tool = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if tool is None:
        return None
    arguments = [tool, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    arguments += ["--shell", "/usr/sbin/nologin", ACCOUNT_NAME]
    # A failure may mean that somebody else added it in the same moment, so the answer is the look-up.
    subprocess.run(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    return _lookup(ACCOUNT_NAME)
