"""API keys: the slow path, which says why not; what may be had was answered in one round trip before."""

from __future__ import annotations

from apps.broker import contracts as c
from apps.broker.data_plane import facts
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import NotFound
from apps.core.secret import Secret
from apps.policy.bindings import API_KEY, Use
from apps.vault.opening import open_at


@handles(c.FetchApiKey)
def fetch(command: c.FetchApiKey, work: Work) -> Secret:
    work.note(provider_name=command.provider)
    with work.change():
        proven = facts.prove(command.workload_token, work)
        work.require(
            names.DIRECTORY,
            names.agent(proven.agent.name),
            names.VAULT,
            names.api_key_provider(command.provider),
        )
        facts.require_own_agent(proven.agent, work)
        provider = facts.provider("api_key", command.provider, work)
        facts.require_binding(proven, provider, Use(flow=API_KEY, principal=proven.principal.id), work)
        key = open_at(table="providers_provider", row_id=provider.id, column="api_key")
        if key is None:
            raise NotFound("This credential provider holds no key.", reason="api_key_missing")
        return key
