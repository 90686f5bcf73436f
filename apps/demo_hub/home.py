"""The folder in which Demo Hub keeps its state between runs. Everything in it is readable by its owner only."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

import msgspec

from .model import State


class HomeUnusable(Exception):
    """The folder cannot be used; the message says why, and whoever started the process can fix it."""


class PersonFile(msgspec.Struct, kw_only=True):
    """One entry of people.json, which exists so that a person trying the demo can look up how to sign in."""

    password: str
    sub: str
    name: str
    email: str


class Home:
    """A state folder held by one process at a time.

    Files are replaced atomically, so a killed process leaves the old or the new content, never half of it.
    They are not forced to the disk: this is a demonstration, and a power cut may cost its last second.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            os.close(self._lock)
            raise HomeUnusable(f"another Demo Hub is running in {folder}") from busy

    def load(self) -> State | None:
        """The saved state, or None on a first run.

        Raises:
            HomeUnusable: the file is not one of ours; the operator restores or removes it.
        """
        try:
            return msgspec.json.decode((self.folder / "state.json").read_bytes(), type=State)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as broken:
            raise HomeUnusable(f"{self.folder / 'state.json'} cannot be read: {broken}") from broken

    def save(self, state: State) -> None:
        """Replace the saved state."""
        self._replace("state.json", msgspec.json.encode(state))

    def people(self) -> dict[str, PersonFile]:
        """The content of people.json; empty if there is none."""
        try:
            return msgspec.json.decode((self.folder / "people.json").read_bytes(), type=dict[str, PersonFile])
        except FileNotFoundError:
            return {}
        except msgspec.DecodeError as broken:
            raise HomeUnusable(f"{self.folder / 'people.json'} cannot be read: {broken}") from broken

    def save_people(self, people: dict[str, PersonFile]) -> None:
        """Replace people.json."""
        self._replace("people.json", msgspec.json.format(msgspec.json.encode(people), indent=2) + b"\n")

    def control_key(self) -> str:
        """The key of the control API, created on the first run."""
        path = self.folder / "control.key"
        try:
            key = path.read_text().strip()
        except FileNotFoundError:
            key = ""
        if len(key) < 32:
            key = secrets.token_urlsafe(32)
            self._replace("control.key", key.encode() + b"\n")
        return key

    def close(self) -> None:
        """Let another process use the folder."""
        os.close(self._lock)

    def _replace(self, name: str, content: bytes) -> None:
        draft = self.folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            draft.replace(self.folder / name)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
