"""Homes that the servers' account can walk into, also when the tests run as root."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from identity_portal.embedded import postgres, redis


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty place for a home; whatever was started in it is ended afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="portal-home-"))
    folder.chmod(0o755)
    yield folder / "home"
    _remove(folder)


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres.Cluster]:
    """One running throw-away PostgreSQL for the tests that only look."""
    folder = Path(tempfile.mkdtemp(prefix="portal-home-"))
    folder.chmod(0o755)
    yield postgres.start(folder / "home", throwaway=True, tied=True)
    _remove(folder)


def _remove(folder: Path) -> None:
    redis.stop(folder / "home")
    postgres.destroy(folder / "home")
    shutil.rmtree(folder, ignore_errors=True)
