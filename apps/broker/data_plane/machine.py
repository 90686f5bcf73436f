"""Machine-to-machine tokens: cached sealed until shortly before they end, one upstream call per renewal."""

from __future__ import annotations

from apps.authn.workload import Proven
from apps.broker import contracts as c
from apps.broker.consent.opening import check_scopes
from apps.broker.data_plane import facts
from apps.broker.upkeep import renewal
from apps.broker.upkeep.asking import machine_token
from apps.broker.work import Work
from apps.connections import principals
from apps.connections.models import Connection
from apps.connections.params import RequestParams
from apps.core.errors import UpstreamRefused
from apps.policy.bindings import BindingFacts
from apps.providers.models import Provider
from apps.upstream.protocol.parameters import custom_fields


def fetch(
    command: c.FetchOAuthToken, work: Work, proven: Proven, provider: Provider, bound: BindingFacts | None
) -> c.TokenReleased:
    """The agent's own token for exactly these scopes. `force` asks the provider again.

    Raises UpstreamRefused when the provider does not give one (an administrator has to act).
    """
    check_scopes(command.scopes)
    facts.require_named_scopes(command.scopes, bound, work)
    custom_fields(command.custom_parameters)
    params = RequestParams(
        custom=command.custom_parameters,
        resources=command.resources,
        audiences=command.audiences,
        m2m_scopes=command.scopes,
    )
    with work.look():
        row = _row(command, proven, provider, params)
        if command.force:
            # Past its mark, but not gone: others are served from it until the new one is there.
            Connection.objects.filter(id=row.id).update(refresh_after=work.now)
            row.refresh_from_db(fields=["refresh_after"])
    if not renewal.is_fresh(row):
        result = renewal.renew(row.id, work, prepare=machine_token)
        if isinstance(result, renewal.ConsentLost):
            raise UpstreamRefused(
                "The provider refused to give the portal a token. An administrator should check the provider's "
                "client id, secret and allowed scopes.",
                reason=result.reason,
            )
    from apps.broker.data_plane.oauth_token import release_now

    released = release_now(row, command, work)
    if released is None:
        raise UpstreamRefused("The provider's token is gone again. Try once more.", reason="m2m_vanished")
    return released


def _row(command: c.FetchOAuthToken, proven: Proven, provider: Provider, params: RequestParams) -> Connection:
    """The connection of the agent itself; made empty (generation 0) for its first token."""
    own = principals.own(proven.agent.id, proven.tenant.pseudonym_key)
    row: Connection
    row, made = Connection.objects.select_related("provider").get_or_create(
        agent=proven.agent,
        principal=own,
        provider=provider,
        flow=Connection.Flow.M2M,
        params_digest=params.digest(),
        defaults={
            "params": params.as_json(),
            "requested_scopes": sorted(set(command.scopes)),
            "granted_scopes": sorted(set(command.scopes)),
            "provider_config_version": provider.config_version,
            "generation": 0,
        },
    )
    if not made and (
        row.provider_config_version != provider.config_version or row.status == Connection.Status.NEEDS_RECONSENT
    ):
        # No person consents here: new settings, or a later success, simply start over.
        row.provider_config_version, row.generation = provider.config_version, 0
        row.status, row.status_reason = Connection.Status.ACTIVE, ""
        row.save(update_fields=["provider_config_version", "generation", "status", "status_reason"])
    return row
