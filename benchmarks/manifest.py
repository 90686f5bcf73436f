"""What the seed made and the load needs: keys, tokens and names, as one JSON file in the private home."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

PROVIDERS = 5
AGENTS = 10
SCOPE = "repo:read"
API_KEY_PROVIDER = "weather"


@dataclass(frozen=True)
class Tenant:
    """`key_id` and `secret` belong to a key with exactly the permissions of an agent's application."""

    id: str
    account_id: str
    key_row: str
    key_id: str
    secret: str
    users: int


@dataclass(frozen=True)
class Token:
    """A workload access token: `text` as an agent holds it, for one agent and one user of one tenant."""

    tenant: int
    text: str
    agent: str
    user: str


@dataclass(frozen=True)
class Manifest:
    issuer: str
    tenants: list[Tenant] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    crowded: Token | None = None
    connections: int = 0
    audit_records: int = 0

    def save(self, path: Path) -> None:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(self), file)

    @classmethod
    def load(cls, path: Path) -> Manifest:
        raw = json.loads(path.read_text())
        return cls(
            issuer=raw["issuer"],
            tenants=[Tenant(**one) for one in raw["tenants"]],
            tokens=[Token(**one) for one in raw["tokens"]],
            crowded=Token(**raw["crowded"]) if raw["crowded"] else None,
            connections=raw["connections"],
            audit_records=raw["audit_records"],
        )


def agent_name(index: int) -> str:
    return f"agent-{index}"


def user_name(index: int) -> str:
    return f"user-{index}"


def provider_name(index: int) -> str:
    return f"provider-{index}"
