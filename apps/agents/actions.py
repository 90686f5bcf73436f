"""Writes to the directory, inside a tenant scope. The caller decides, records and renders."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import IntegrityError, transaction

from apps.agents.models import Agent
from apps.core.errors import Conflict
from apps.core.return_urls import check_registrable


def create(*, name: str, return_urls: tuple[str, ...], tags: Mapping[str, str]) -> Agent:
    """Raises Conflict when the name is taken, Invalid for a return URL that may not be registered."""
    for url in return_urls:
        check_registrable(url)
    try:
        with transaction.atomic():
            urls = list(dict.fromkeys(return_urls))
            made: Agent = Agent.objects.create(name=name, return_urls=urls, tags=dict(tags))
            return made
    except IntegrityError as taken:
        raise Conflict("A workload identity with this name exists already.", reason="name_taken") from taken


def set_return_urls(agent: Agent, urls: tuple[str, ...]) -> None:
    """Replace the whole list. Raises Invalid."""
    for url in urls:
        check_registrable(url)
    agent.return_urls = list(dict.fromkeys(urls))
    agent.save(update_fields=["return_urls", "updated_at"])


def suspend(agent: Agent) -> None:
    """No further token, and every workload token already out ends: the epoch moves."""
    agent.status, agent.epoch = Agent.Status.SUSPENDED, agent.epoch + 1
    agent.save(update_fields=["status", "epoch", "updated_at"])


def resume(agent: Agent) -> None:
    agent.status = Agent.Status.ACTIVE
    agent.save(update_fields=["status", "updated_at"])
