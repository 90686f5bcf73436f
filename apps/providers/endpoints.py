"""A provider's resolved endpoints, in the row's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from apps.upstream.protocol.types import Endpoints


def to_json(endpoints: Endpoints, *, client_auth: str) -> dict[str, Any]:
    """`client_auth` is how the client proves itself: client_secret_basic, client_secret_post or none."""
    plain = {
        key: list(value) if isinstance(value, tuple | frozenset) else value for key, value in asdict(endpoints).items()
    }
    return {**plain, "client_auth": client_auth}


def from_json(stored: Mapping[str, Any]) -> Endpoints:
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in stored.items() if key != "client_auth"
    }
    return Endpoints(**fields)
