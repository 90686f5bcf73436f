"""The clients under test: boto3 in this process, older ones and the CLI as subprocesses."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements-oldclients.lock"
HOME = ROOT / ".venv-oldclients"
REGION = "self-hosted-1"


class Boto3:
    """`data` and `control` clients of one tenant. `refused()` gives the code of an expected error."""

    def __init__(
        self,
        url: str,
        tenant: Any,
        *,
        region: str = REGION,
        secret: str | None = None,
        key_id: str | None = None,
        session_token: str | None = None,
        config: Config | None = None,
    ) -> None:
        session = boto3.Session(
            aws_access_key_id=key_id or tenant.access_key_id,
            aws_secret_access_key=secret or tenant.secret_access_key,
            aws_session_token=session_token,
            region_name=region,
        )
        patient = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
        chosen = patient.merge(config) if config else patient
        self.data = session.client("bedrock-agentcore", endpoint_url=url, config=chosen)
        self.control = session.client("bedrock-agentcore-control", endpoint_url=url, config=chosen)


@dataclass(frozen=True)
class OldClients:
    """An environment with older clients."""

    folder: Path

    def python(self, script: Path, environment: dict[str, str]) -> Any:
        """Run a script with the old boto3 and read the JSON it prints."""
        done = self._run([str(self.folder / "bin" / "python"), str(script)], environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def cli(self, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run `aws …`."""
        return self._run(
            [str(self.folder / "bin" / "python"), str(self.folder / "bin" / "aws"), *arguments], environment
        )

    def _run(self, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def install_old_clients() -> OldClients:
    """Install the hashed lock file once; workers of a parallel run wait for the one that does it."""
    want = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    stamp = HOME / "installed-from"
    with (Path(sys.prefix) / "oldclients.lock").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != want:
            shutil.rmtree(HOME, ignore_errors=True)
            _install()
            stamp.write_text(want)
    return OldClients(HOME)


def _install() -> None:
    uv = shutil.which("uv")
    python = str(HOME / "bin" / "python")
    if uv is not None:
        make = [uv, "venv", "--quiet", "--python", sys.executable, str(HOME)]
        fill = [
            uv,
            "pip",
            "install",
            "-q",
            "--python",
            python,
            "--require-hashes",
            "--only-binary",
            ":all:",
            "-r",
            str(LOCK),
        ]
    else:
        make = [sys.executable, "-m", "venv", str(HOME)]
        fill = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "-r",
            str(LOCK),
        ]
    # The interpreter that runs the tests must not leak its packages into the new environment.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    for command in (make, fill):
        subprocess.run(command, env=environment, check=True, timeout=600)
