"""An agent's door as it is now: the rows of its authorizer, read afresh in the caller's scope, as rules."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from apps.agents import queries as agents
from apps.agents.models import Agent, Authorizer, AuthorizerIssuer
from apps.authn.authorizer import IssuerRules, JwtRules, claim_rule
from apps.authn.jwt import DEFAULT_ALGORITHMS, IssuerPolicy
from apps.broker.inbound import contracts as c
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import NotFound
from apps.tenants.models import Tenant

AWS_IAM = Authorizer.Kind.AWS_IAM.value
CUSTOM_JWT = Authorizer.Kind.CUSTOM_JWT.value
ACTIVE = Authorizer.Status.ACTIVE.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whom to ask about opaque tokens of an issuer. The client's secret is sealed under the row."""

    row_id: UUID
    endpoint: str
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Everything a decision about a caller of this agent needs.

    `rules` is None where the agent takes signatures. `asked` by issuer, for those that take opaque tokens.
    """

    agent: Agent
    kind: str
    active: bool
    rules: JwtRules | None
    asked: dict[str, Asked]
    tenant_status: str
    authorizer: Authorizer | None


def agent_name(text: str, work: Work) -> str:
    """The agent behind a name, the ARN of a workload identity or the ARN of a runtime. Raises NotFound."""
    if not text.startswith("arn:"):
        return text
    parsed = names.parse(text)
    if parsed is None or parsed.account_id != work.caller.account_id or parsed.kind not in ("agent", "runtime"):
        raise NotFound("There is no such workload identity.", reason="agent_not_found")
    return parsed.name


def authorizer_of(agent: Agent, *, lock: bool = False) -> Authorizer | None:
    rows = Authorizer.objects.select_for_update() if lock else Authorizer.objects
    row: Authorizer | None = rows.filter(agent=agent).first()
    return row


def issuers_of(authorizer: Authorizer) -> list[AuthorizerIssuer]:
    return list(AuthorizerIssuer.objects.filter(authorizer=authorizer).order_by("issuer"))


def door_of(name: str, work: Work) -> Door:
    """The door of the agent with this name, inside a scope. Raises NotFound."""
    agent = agents.by_name(name)
    work.note(agent=agent)
    tenant = Tenant.objects.get(id=work.caller.tenant_id)
    row = authorizer_of(agent)
    if row is None or row.kind == AWS_IAM:
        active = row is None or row.status == ACTIVE
        return Door(
            agent=agent,
            kind=AWS_IAM,
            active=active,
            rules=None,
            asked={},
            tenant_status=tenant.status,
            authorizer=row,
        )
    # A disabled issuer is simply not there: its tokens are those of a stranger.
    issuers = [one for one in issuers_of(row) if one.status == ACTIVE]
    return Door(
        agent=agent,
        kind=CUSTOM_JWT,
        active=row.status == ACTIVE,
        rules=JwtRules(issuers=tuple(_rules(one, row, tenant.stale_issuer_keys_s) for one in issuers)),
        asked={
            one.issuer: Asked(row_id=one.id, endpoint=one.introspection_endpoint, client_id=one.introspection_client_id)
            for one in issuers
            if one.introspection_endpoint
        },
        tenant_status=tenant.status,
        authorizer=row,
    )


def _rules(row: AuthorizerIssuer, authorizer: Authorizer, stale_max_s: int) -> IssuerRules:
    return IssuerRules(
        policy=policy_of(
            row.issuer,
            audiences=tuple(row.audiences),
            clients=tuple(row.clients),
            client_claims=tuple(row.client_claims),
            algorithms=tuple(row.algorithms),
            scopes=tuple(row.scopes),
            scope_match=authorizer.scope_match,
            custom_claims=tuple(claim_from(one) for one in row.custom_claims),
        ),
        jwks_uri=row.jwks_uri,
        stale_max_s=stale_max_s,
        opaque=bool(row.introspection_endpoint),
    )


def policy_of(
    issuer: str,
    *,
    audiences: tuple[str, ...],
    clients: tuple[str, ...],
    client_claims: tuple[str, ...],
    algorithms: tuple[str, ...],
    scopes: tuple[str, ...],
    scope_match: str,
    custom_claims: tuple[c.CustomClaim, ...],
) -> IssuerPolicy:
    """The policy of one issuer. Making it checks it: used before saving too. Raises Invalid naming the member."""
    return IssuerPolicy(
        issuer=issuer,
        audiences=audiences,
        clients=clients,
        client_claims=client_claims,
        algorithms=algorithms or DEFAULT_ALGORITHMS,
        scopes=scopes,
        scope_match="all" if scope_match == "all" else "any",
        rules=tuple(
            claim_rule(
                claim=one.claim,
                value_type=one.value_type,
                operator=one.operator,
                values=one.values,
                several=one.several,
            )
            for one in custom_claims
        ),
    )


def claim_from(stored: dict[str, object]) -> c.CustomClaim:
    """A custom claim as it is kept in its JSON column."""
    values = stored["values"]
    assert isinstance(values, list)
    return c.CustomClaim(
        claim=str(stored["claim"]),
        value_type=str(stored["type"]),
        operator=str(stored["operator"]),
        values=tuple(str(one) for one in values),
        several=stored["several"] is True,
    )


def claim_to(claim: c.CustomClaim) -> dict[str, object]:
    return {
        "claim": claim.claim,
        "type": claim.value_type,
        "operator": claim.operator,
        "values": list(claim.values),
        "several": claim.several,
    }


def view_of(agent: Agent, work: Work) -> c.AuthorizerView:
    """The authorizer as people and programs see it, inside a scope."""
    row = authorizer_of(agent)
    return c.AuthorizerView(
        agent=agent.name,
        arn=work.arn(names.runtime(agent.name)),
        kind=row.kind if row else AWS_IAM,
        status=row.status if row else ACTIVE,
        issuers=tuple(_issuer_view(one) for one in issuers_of(row)) if row else (),
        scope_match=row.scope_match if row else "any",
        advertised_scopes=dict(row.advertised_scopes) if row else {},
        request_headers=tuple(row.request_headers) if row else (),
        endpoint_url=row.endpoint_url if row else "",
        resource_url=row.resource_url if row else "",
    )


def _issuer_view(row: AuthorizerIssuer) -> c.IssuerView:
    return c.IssuerView(
        issuer=row.issuer,
        discovery_url=row.discovery_url,
        audiences=tuple(row.audiences),
        clients=tuple(row.clients),
        client_claims=tuple(row.client_claims),
        scopes=tuple(row.scopes),
        custom_claims=tuple(claim_from(one) for one in row.custom_claims),
        introspection_endpoint=row.introspection_endpoint,
        introspection_client_id=row.introspection_client_id,
        status=row.status,
    )
