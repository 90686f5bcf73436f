"""Issuers whose tokens prove people."""

from __future__ import annotations

from apps.agents import queries as agents
from apps.authn.jwt import IssuerPolicy
from apps.authn.models import TrustedIssuer
from apps.broker import contracts as c
from apps.broker.data_plane import persons
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import Invalid, NotFound
from apps.upstream import client as upstream


@handles(c.TrustIssuer)
def trust(command: c.TrustIssuer, work: Work) -> str:
    """Raises Invalid for a discovery document that does not hold, UpstreamUnavailable when it cannot be read."""
    with work.look():
        work.require(names.DIRECTORY)
        agent = agents.by_name(command.agent) if command.agent else None
    found = upstream.discover(command.discovery_url, tenant_id=work.caller.tenant_id)
    if not found.jwks_uri:
        raise Invalid.field(
            "discovery_url",
            "The issuer's metadata names no jwks_uri, so its tokens cannot be checked.",
            reason="no_jwks",
        )
    # Making the policy checks it; a policy that would accept a stranger's token cannot be stored.
    IssuerPolicy(
        issuer=found.issuer,
        audiences=command.audiences,
        clients=command.clients,
        client_claims=command.client_claims,
        allow_id_tokens=True,
    )
    with work.change():
        if agent is not None:
            work.note(agent=agent)
        work.note(issuer=found.issuer, audiences=list(command.audiences), clients=list(command.clients))
        TrustedIssuer.objects.update_or_create(
            issuer=found.issuer,
            agent=agent,
            defaults={
                "discovery_url": command.discovery_url,
                "jwks_uri": found.jwks_uri,
                "audiences": list(command.audiences),
                "clients": list(command.clients),
                "client_claims": list(command.client_claims),
                "status": "active",
            },
        )
    persons.keys.forget(work.caller.tenant_id, found.jwks_uri)
    return found.issuer


@handles(c.DistrustIssuer)
def distrust(command: c.DistrustIssuer, work: Work) -> None:
    with work.change():
        work.require(names.DIRECTORY)
        row: TrustedIssuer | None = TrustedIssuer.objects.filter(id=command.issuer_id).first()
        if row is None:
            raise NotFound("There is no such issuer.", reason="issuer_not_found")
        work.note(issuer=row.issuer)
        row.delete()
