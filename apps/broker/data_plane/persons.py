"""Prove a person by a JWT of an issuer the tenant trusts for this agent."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.db.models import Q

from apps.agents.models import Agent
from apps.authn.caller import Caller
from apps.authn.jwt import DEFAULT_ALGORITHMS, IssuerPolicy, JwksCache, VerifiedClaims, parse, verify, wanted_key_id
from apps.authn.models import TrustedIssuer
from apps.broker.work import Work
from apps.core import clock
from apps.core.errors import NotAllowed, PortalError, Unauthenticated
from apps.core.net import failures
from apps.core.net.messages import Outbound
from apps.core.net.process import transport
from apps.core.secret import Secret
from apps.policy.conditions import CLAIM
from apps.tenants.models import Tenant
from apps.tenants.scope import current_tenant_id

log = structlog.get_logger("portal.persons")
_MAX_KNOWN = 10_000


def _fetch(jwks_uri: str) -> bytes:
    answer = transport().send(Outbound(method="GET", url=jwks_uri, deadline_s=5.0, max_bytes=256_000))
    if answer.status != 200:
        raise failures.wrong_status(answer.status)
    return answer.body


def _report(tenant_id: UUID, jwks_uri: str, problem: PortalError) -> None:
    log.warning("issuer_keys_not_fetched", tenant=str(tenant_id), jwks_uri=jwks_uri, reason=problem.reason)


keys = JwksCache(_fetch, report=_report)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """One issuer as the tenant trusts it: what its tokens must satisfy and where its keys are."""

    policy: IssuerPolicy
    jwks_uri: str
    stale_max_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """`about` is what conditions of grants can look at, from the verified token."""

    issuer: str
    subject: str
    about: Mapping[str, tuple[str, ...]]


_known: dict[tuple[UUID, str], Trusted] = {}
_lock = threading.Lock()


def forget_known() -> None:
    with _lock:
        _known.clear()


def trusted_for(agent: Agent) -> list[Trusted]:
    """The issuers that count for this agent: its own if it has any, else the tenant's. Inside a scope."""
    rows = list(TrustedIssuer.objects.filter(Q(agent=agent) | Q(agent=None), status="active"))
    # An agent narrowed to issuers of its own, even disabled ones, must not fall back to the tenant's.
    if TrustedIssuer.objects.filter(agent=agent).exists():
        rows = [row for row in rows if row.agent_id == agent.id]
    stale = Tenant.objects.values_list("stale_issuer_keys_s", flat=True).get(id=current_tenant_id())
    return [_trusted(row, stale) for row in rows]


def _trusted(row: TrustedIssuer, stale_max_s: int) -> Trusted:
    return Trusted(
        policy=IssuerPolicy(
            issuer=row.issuer,
            audiences=tuple(row.audiences),
            clients=tuple(row.clients),
            client_claims=tuple(row.client_claims),
            algorithms=tuple(row.algorithms) or DEFAULT_ALGORITHMS,
            allow_id_tokens=True,
        ),
        jwks_uri=row.jwks_uri,
        stale_max_s=stale_max_s,
    )


def prove(jwt: Secret, issuers: list[Trusted], work: Work) -> Person:
    """Verify the token. May fetch keys, so call it outside any scope.

    Raises NotAllowed `no_trusted_issuer` when the tenant trusts nobody yet, Unauthenticated otherwise.
    """
    if not issuers:
        raise NotAllowed(
            "No token issuer is trusted for this workload identity yet. An administrator has to add one "
            "(manage.py trust_issuer, or Trusted issuers in the console).",
            reason="no_trusted_issuer",
        )
    token = parse(jwt.reveal())
    claimed = token.claimed_issuer()
    trusted = next((t for t in issuers if t.policy.issuer == claimed), None)
    if trusted is None:
        raise Unauthenticated(reason="issuer_not_allowed_for_agent")
    claims = _verify(token, trusted, work.caller.tenant_id)
    with _lock:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[(work.caller.tenant_id, claimed)] = trusted
    return Person(issuer=claims.issuer, subject=claims.subject, about=_about(claims))


def _about(claims: VerifiedClaims) -> dict[str, tuple[str, ...]]:
    """The condition keys `bedrock-agentcore:InboundJwtClaim/*` of a verified token; what it does not say is absent."""
    client = claims.claims.get("client_id")
    found = {
        "iss": (claims.issuer,),
        "sub": (claims.subject,),
        "aud": claims.audiences,
        "scope": tuple(sorted(claims.scopes)),
        "client_id": (client,) if isinstance(client, str) and client else (),
    }
    return {CLAIM + name: values for name, values in found.items() if values}


def _verify(token: object, trusted: Trusted, tenant_id: UUID) -> VerifiedClaims:
    from apps.authn.jwt import UnverifiedJwt

    assert isinstance(token, UnverifiedJwt)
    kid = wanted_key_id(token, trusted.policy)
    found = keys.keys_for(tenant_id, trusted.jwks_uri, kid=kid, stale_max_s=trusted.stale_max_s)
    return verify(token, trusted.policy, found, now=clock.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownProof:
    """A signature that holds under an issuer's last known settings; the database has the last word on those."""

    issuer: str
    subject: str
    jwks_uri: str
    audiences: tuple[str, ...]
    clients: tuple[str, ...]


def verify_with_known_keys(jwt: Secret, caller: Caller) -> KnownProof | None:
    """Verify without reading the issuer's settings first. None: take the slow path, which says why."""
    try:
        token = parse(jwt.reveal())
        trusted = _known.get((caller.tenant_id, token.claimed_issuer()))
        if trusted is None:
            return None
        claims = _verify(token, trusted, caller.tenant_id)
    except PortalError:
        return None
    return KnownProof(
        issuer=claims.issuer,
        subject=claims.subject,
        jwks_uri=trusted.jwks_uri,
        audiences=claims.audiences,
        clients=(claims.client,) if claims.client else (),
    )
