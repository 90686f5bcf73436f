"""What the walkthrough needs around its story: an environment for the AWS clients, a voice, and `manage.py`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from walkthrough_hub import ROOT

REGION = "self-hosted-1"
# Whatever else is set up on this machine for AWS must not lead the story elsewhere.
_NOT_OURS = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
    *("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL"),
    *("BEDROCK_AGENTCORE_CP_ENDPOINT", "BEDROCK_AGENTCORE_DP_ENDPOINT", "DOCKER_CONTAINER"),
)
_TICKET = re.compile(r"\b(a(?:wt|cs|st|bb)_\d{4})\w+")


class NotAsPromised(Exception):
    """The portal did something else than this walkthrough promises."""


def promise(kept: bool, what: str) -> None:
    """Stop the walkthrough when something is not as it should be."""
    if not kept:
        raise NotAsPromised(what)


def allow_operators_to_reach(host_port: str) -> None:
    """Loopback addresses are refused unless they are on this list; the running portal has it from `make demo`."""
    name = "IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS"
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), host_port)))


def point_aws_clients_at(portal: str, key: dict[str, str]) -> None:
    """All that an unmodified boto3 or SDK needs: two endpoint variables, a key and a region."""
    for name in _NOT_OURS:
        os.environ.pop(name, None)
    os.environ |= {
        "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE": portal,
        "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE_CONTROL": portal,
        "AWS_ACCESS_KEY_ID": key["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": key["secret_access_key"],
        "AWS_REGION": REGION,  # for the SDK
        "AWS_DEFAULT_REGION": REGION,  # for boto3
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": f"{os.environ.get('NO_PROXY', '')},127.0.0.1,localhost".lstrip(","),
    }


def manage(*arguments: str) -> dict[str, Any]:
    """Run one of the operators' commands and read the JSON object it prints."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    promise(done.returncode == 0, f"manage.py {arguments[0]} failed: {done.stderr.strip()[-500:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def save(create: Callable[..., Any], update: Callable[..., Any], **asked: Any) -> tuple[Any, str]:
    """Create something, or update what an earlier run left; returns the answer and which of the two it was."""
    try:
        return create(**asked), "created"
    except ClientError as taken:
        if taken.response["Error"]["Code"] != "ConflictException":
            raise
    return update(**asked), "updated"


def refusal_of(call: Callable[..., Any], **arguments: Any) -> str:
    """The code with which the portal refuses a call. A call that is answered breaks the promise."""
    try:
        call(**arguments)
    except ClientError as refused:
        return str(refused.response["Error"]["Code"])
    raise NotAsPromised("the portal answered where it had to refuse")


def lines_of_sample(script: Path, folder: Path, **more: str) -> Iterator[str]:
    """Run a script in a folder with the environment of the AWS clients, and follow what it prints.

    Raises:
        NotAsPromised: it ended with an error, or not within 90 seconds.
    """
    sample = subprocess.Popen(
        [sys.executable, "-u", str(script)],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "AGENT_RETURN_URL"} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the SDK's log, with the consent link at every poll
        text=True,
    )
    watchdog = threading.Timer(90, sample.kill)
    watchdog.start()
    try:
        for line in sample.stdout or ():
            yield line.rstrip()
        promise(sample.wait(timeout=10) == 0, f"{script.name} ended with status {sample.returncode}")
    finally:
        watchdog.cancel()
        sample.kill()
        sample.wait()


class Voice:
    """Says what happens. Secrets it was told about never get past it."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self.began: list[datetime] = []
        self.passed = 0

    def hush(self, secret: str) -> str:
        """Never print this; returns it."""
        self._secrets.add(secret)
        return secret

    def say(self, text: str) -> None:
        """Print one line of the story."""
        print(f"  - {self.masked(text)}", flush=True)

    def quote(self, text: str) -> None:
        """Print one line of what somebody else wrote."""
        print(f"      {self.masked(text)}", flush=True)

    def masked(self, text: str) -> str:
        """The text without secrets; of tickets the first characters stay, so that one sees which is which."""
        for secret in self._secrets:
            text = text.replace(secret, f"{secret[:6]}...")
        return _TICKET.sub(r"\1...", text)

    def leaks(self, text: str) -> bool:
        """Whether the text holds a secret of the story."""
        return any(secret in text for secret in self._secrets)

    def tell(self, number: int, title: str, step: Callable[[], None]) -> None:
        """Play one step; it ends with an exception where a promise is not kept."""
        print(f"\nStep {number} of 6: {title}", flush=True)
        self.began.append(datetime.now(UTC))
        step()
        self.passed += 1
        print(f"  ok ({(datetime.now(UTC) - self.began[-1]).total_seconds():.1f} s)", flush=True)


def read_json(path: Path) -> dict[str, Any]:
    """Read one of the demo's private files."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
