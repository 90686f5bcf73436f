"""Reads of the directory, inside a tenant scope."""

from __future__ import annotations

from apps.agents.models import Agent
from apps.core.errors import NotFound


def by_name(name: str, *, lock: bool = False) -> Agent:
    """Raises NotFound."""
    rows = Agent.objects.select_for_update(of=("self",)) if lock else Agent.objects
    agent: Agent | None = rows.select_related("owner").filter(name=name).first()
    if agent is None:
        raise NotFound("There is no such workload identity.", reason="agent_not_found")
    return agent


def page(*, after: str, limit: int) -> list[Agent]:
    """Agents in order of name, after this name, one more than asked for when there is more."""
    return list(Agent.objects.select_related("owner").filter(name__gt=after).order_by("name")[: limit + 1])
