"""Demo Hub, the demo's third party, as somebody else started it: its control API and its people.

Run from a checkout: `apps` is imported from there. Of all its packages only the demo's provider is used.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from apps.demo_hub.driver import ControlRefused, HubClient, HubProcess, Page, Person  # noqa: E402

__all__ = ["ROOT", "HubClient", "Page", "Person", "RunningHub"]


class RunningHub(HubProcess):
    """What `HubProcess` offers, without the process: that one belongs to whoever started it."""

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self.control_key = (home / "control.key").read_text().strip()
        people = json.loads((home / "people.json").read_text())
        self._passwords = {name: entry["password"] for name, entry in people.items()}
        self._http = requests.Session()
        self._http.trust_env = False

    def client_with_new_secret(self, client_id: str, name: str) -> HubClient:
        """Register a client, or give the one registered by an earlier run a new secret."""
        try:
            return self.change_client(client_id, new_secret=True)
        except ControlRefused:
            return self.register_client(client_id=client_id, name=name)

    def password_of(self, username: str) -> str:
        """How somebody signs in here, for a person who wants to try."""
        return self._passwords[username]

    @property
    def discovery_url(self) -> str:
        """Where Demo Hub describes itself (OpenID Connect Discovery)."""
        return f"{self.url}/.well-known/openid-configuration"

    def grant_ids(self, client: HubClient) -> set[str]:
        """What people allowed this client so far."""
        return {grant["grant_id"] for grant in self.grants(client)}

    def grant(self, grant_id: str) -> dict[str, Any]:
        """One of these, with its `refreshes` and `live_access_tokens`."""
        return next(grant for grant in self.grants() if grant["grant_id"] == grant_id)

    def repositories_of(self, username: str) -> set[str]:
        """What somebody sees when nobody stands between them and Demo Hub."""
        tokens = self.person(username).get_tokens(self.demo_app(), "openid repo:read")
        answer = self._http.get(
            f"{self.url}/api/repos", headers={"Authorization": f"Bearer {tokens['access_token']}"}, timeout=10
        )
        answer.raise_for_status()
        return {repository["name"] for repository in answer.json()["repositories"]}
