"""The agent: functions decorated with the unmodified `bedrock_agentcore` SDK.

No secret of a provider, no refresh token and no address of the portal appears here. The SDK makes its clients
while a function is decorated, so the AWS_* variables have to be set before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import requests
from bedrock_agentcore.identity.auth import requires_access_token, requires_api_key
from bedrock_agentcore.runtime import BedrockAgentCoreContext


def repository_lister(
    hub: str, *, provider: str, return_url: str, on_auth_url: Callable[[str], Any], force: bool = False
) -> Callable[[], set[str]]:
    """A function that lists the repositories of the person the agent works for, with that person's consent."""

    @requires_access_token(
        provider_name=provider,
        scopes=["repo:read"],
        auth_flow="USER_FEDERATION",
        callback_url=return_url,
        on_auth_url=on_auth_url,
        force_authentication=force,
    )
    def list_repositories(*, access_token: str) -> set[str]:
        found = _ask(hub, "repos", Authorization=f"Bearer {access_token}")["repositories"]
        return {repository["name"] for repository in found}

    return list_repositories


def status_checker(hub: str, *, provider: str) -> Callable[[], str]:
    """A function that asks as the agent itself, with nobody behind it."""

    @requires_access_token(provider_name=provider, scopes=["status:read"], auth_flow="M2M")
    def check_status(*, access_token: str) -> str:
        return str(_ask(hub, "status", Authorization=f"Bearer {access_token}")["status"])

    return check_status


def weather_reader(hub: str, *, provider: str) -> Callable[[], str]:
    """A function that uses a key which the agent never stores."""

    @requires_api_key(provider_name=provider)
    def read_weather(*, api_key: str) -> str:
        weather = _ask(hub, "weather?city=Lisbon", **{"X-Api-Key": api_key})
        return f"{weather['sky']}, {weather['celsius']} degrees in {weather['city']}"

    return read_weather


def start(function: Callable[[], Any], workload_token: str) -> Future[Any]:
    """Run an agent's function as its host would: with the workload access token in the SDK's context."""
    outcome: Future[Any] = Future()

    def hosted() -> None:
        BedrockAgentCoreContext.set_workload_access_token(workload_token)
        try:
            outcome.set_result(function())
        except Exception as failed:
            outcome.set_exception(failed)

    # Each thread has a context of its own. Daemon: an agent polls for ten minutes, the story may end before.
    threading.Thread(target=hosted, daemon=True).start()
    return outcome


def _ask(hub: str, path: str, **headers: str) -> dict[str, Any]:
    answer = requests.get(f"{hub}/api/{path}", headers=headers, timeout=10)
    answer.raise_for_status()
    content: dict[str, Any] = answer.json()
    return content
