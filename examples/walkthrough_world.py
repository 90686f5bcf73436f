"""What a running demo consists of, and who takes part in the walkthrough."""

from __future__ import annotations

import os
from pathlib import Path

from walkthrough_hub import ROOT, RunningHub
from walkthrough_tools import NotAsPromised, Voice, allow_operators_to_reach, point_aws_clients_at, read_json


class World:
    """The portal, Demo Hub, the keys of two tenants, and an application with its agent.

    Raises:
        NotAsPromised: no demo was started from this home.
    """

    def __init__(self, voice: Voice) -> None:
        self.say, self.voice = voice.say, voice
        home = Path(os.environ.get("IDENTITY_PORTAL_HOME") or ROOT / "var").absolute()
        if not (home / "demo" / "keys.json").exists():
            raise NotAsPromised(f"no demo was seeded in {home}; `make demo` does that")
        port = os.environ.get("PORT") or "8080"
        self.portal = (os.environ.get("IDENTITY_PORTAL_PUBLIC_URL") or f"http://127.0.0.1:{port}").rstrip("/")
        hub_url = os.environ.get("HUB_URL") or f"http://127.0.0.1:{(home / 'demo_hub.port').read_text().strip()}"
        allow_operators_to_reach(hub_url.partition("//")[2])
        self.hub = RunningHub(hub_url, home / "demo_hub")
        self.keys = read_json(home / "demo" / "keys.json")
        self.people = read_json(home / "demo" / "people.json")
        for key in self.keys.values():
            voice.hush(key["secret_access_key"])
        voice.hush(self.hub.control_key)
        point_aws_clients_at(self.portal, self.keys["acme"])
        # Only now: boto3 and the SDK look at the environment while their clients are made.
        import boto3
        import walkthrough_agent
        from walkthrough_app import Application

        self.agent, self.app, self.boto3 = walkthrough_agent, Application(), boto3
        self.control = boto3.client("bedrock-agentcore-control")
        self.data = boto3.client("bedrock-agentcore")
        self.danas = self.hub.repositories_of("dana")

    def invite(self) -> None:
        """Tell the reader how to look around; these passwords are good for this demo only."""
        print(f"\nSign in yourself at {self.portal}/signin/ (passwords of this demo only):")
        for person in self.people.values():
            print(f"  {person['email']:<22} {person['password']}  {person['role'].replace('_', ' ')}")
        print(f"and at Demo Hub, {self.hub.url}, as somebody an agent acts for:")
        for username in ("dana", "lee"):
            print(f"  {username:<22} {self.hub.password_of(username)}")
