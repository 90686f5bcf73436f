"""Real AWS clients against a running portal. `portal` (the running server) comes from the suite's own conftest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .clients import Boto3, OldClients, install_old_clients


@pytest.fixture(scope="session")
def old_clients() -> OldClients:
    """boto3 and the AWS CLI of an earlier year, in an environment of their own."""
    return install_old_clients()


@pytest.fixture
def tenant(portal: Any) -> Any:
    return portal.new_tenant()


@pytest.fixture
def connect(portal: Any) -> Callable[..., Boto3]:
    """`connect(tenant)`: both planes through the boto3 of the lock file, pointed at the portal."""

    def connect(tenant: Any, **changes: Any) -> Boto3:
        return Boto3(portal.url, tenant, **changes)

    return connect


@pytest.fixture
def aws_home(tmp_path: Path) -> dict[str, str]:
    """An environment without any AWS configuration of the machine's own."""
    return {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_PAGER": "",
        "PYTHONWARNINGS": "ignore",
    }
