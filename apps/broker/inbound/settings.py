"""Set, show, and switch the authorizer of an agent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from apps.agents import queries as agents
from apps.agents.models import Agent, Authorizer, AuthorizerIssuer
from apps.broker.data_plane import persons
from apps.broker.inbound import contracts as c
from apps.broker.inbound import loading
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import Invalid, NotFound
from apps.core.net.process import transport
from apps.core.net.urls import UrlRules
from apps.upstream import client as upstream
from apps.upstream.protocol.types import Endpoints
from apps.vault import storing

TABLE, COLUMN, PURPOSE = "agents_authorizerissuer", "introspection_secret", "authorizer.introspection_secret"
MAX_ISSUERS = 10
MAX_HEADERS = 20
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,255}")
# What the portal itself says to the agent, and what belongs to one connection only (RFC 9110 7.6.1): a caller who
# could send these would name a person of their choice, or smuggle a second request.
_OURS = frozenset(
    {
        "workloadaccesstoken",
        "oauth2callbackurl",
        "x-amz-bedrock-agentcore-identity-wat",
        "x-amzn-bedrock-agentcore-runtime-user-id",
        "x-amzn-bedrock-agentcore-runtime-request-id",
        "x-portal-gateway-key",
        "host",
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """One issuer as asked for, with what its metadata says."""

    asked: c.IssuerSettings
    metadata: Endpoints

    @property
    def introspection_endpoint(self) -> str:
        wanted = self.asked.introspection
        return "" if wanted is None else wanted.endpoint or self.metadata.introspection_endpoint or ""


@handles(c.SetAuthorizer)
def set_authorizer(command: c.SetAuthorizer, work: Work) -> c.AuthorizerView:
    """Raises Invalid naming the member that is wrong, UpstreamUnavailable when a discovery document cannot be read."""
    with work.look():
        work.require(names.runtime(command.agent))
        work.note(agent=agents.by_name(command.agent))
    found = check(command.settings, tenant_id=work.caller.tenant_id)
    with work.change():
        work.require(names.runtime(command.agent))
        agent = agents.by_name(command.agent, lock=True)
        store(agent, command.settings, found, work)
        view = loading.view_of(agent, work)
    forget_keys(found, work)
    return view


@handles(c.GetAuthorizer)
def get_authorizer(command: c.GetAuthorizer, work: Work) -> c.AuthorizerView:
    with work.change():
        work.require(names.runtime(command.agent))
        agent = agents.by_name(command.agent)
        work.note(agent=agent)
        return loading.view_of(agent, work)


@handles(c.SwitchAuthorizer)
def switch(command: c.SwitchAuthorizer, work: Work) -> None:
    """Raises NotFound for an agent without an authorizer of its own, or an issuer it does not have."""
    with work.change():
        work.require(names.runtime(command.agent))
        agent = agents.by_name(command.agent)
        work.note(agent=agent, issuer=command.issuer, active=command.active)
        row = loading.authorizer_of(agent, lock=True)
        status = Authorizer.Status.ACTIVE if command.active else Authorizer.Status.DISABLED
        if row is None:
            raise NotFound("This agent has no authorizer of its own.", reason="authorizer_not_found")
        if command.issuer is None:
            row.status = status
            row.save(update_fields=["status", "updated_at"])
            return
        if not AuthorizerIssuer.objects.filter(authorizer=row, issuer=command.issuer).update(status=status):
            raise NotFound("The authorizer has no such issuer.", reason="issuer_not_found")


def check(settings: c.AuthorizerSettings, *, tenant_id: UUID) -> list[Found]:
    """Check everything that can be checked without the row; reads discovery documents, so outside any scope."""
    rules = transport().rules
    if settings.endpoint_url:
        # One of the tenant's own machines may be named only where the operator has allowed it: the same guard as
        # for providers, because the portal will call this address.
        check_endpoint(settings.endpoint_url, rules)
    if settings.resource_url:
        _https(settings.resource_url)
    _headers(settings.request_headers)
    if settings.scope_match not in ("any", "all"):
        raise Invalid.field("scope_match", "Choose any or all.", reason="authorizer_invalid")
    if settings.kind == loading.AWS_IAM:
        if settings.issuers:
            raise Invalid.field("issuers", "An authorizer for signatures has no issuers.", reason="authorizer_invalid")
        return []
    if settings.kind != loading.CUSTOM_JWT:
        raise Invalid.field("kind", "Choose AWS_IAM or CUSTOM_JWT.", reason="authorizer_invalid")
    if not 0 < len(settings.issuers) <= MAX_ISSUERS:
        raise Invalid.field("issuers", f"Name 1 to {MAX_ISSUERS} issuers.", reason="authorizer_invalid")
    for asked in settings.issuers:
        _policy("https://issuer.invalid", asked, settings)  # before anybody is asked over the network
    _advertised(settings)
    found = [_discover(asked, tenant_id) for asked in settings.issuers]
    issuers = [one.metadata.issuer for one in found]
    if len(set(issuers)) != len(issuers):
        raise Invalid.field("issuers", "The same issuer is named twice.", reason="authorizer_invalid")
    if sum(one.asked.introspection is not None for one in found) > 1:
        raise Invalid.field(
            "issuers",
            "Only one issuer can take opaque tokens: nothing in such a token says who issued it.",
            reason="introspection_ambiguous",
        )
    return found


def check_endpoint(url: str, rules: UrlRules) -> None:
    try:
        transport().vet(str(rules.read(url)))
    except Invalid as refused:
        raise Invalid.field("endpoint_url", refused.public, reason=refused.reason) from refused


def _discover(asked: c.IssuerSettings, tenant_id: UUID) -> Found:
    metadata = upstream.discover(asked.discovery_url, tenant_id=tenant_id)
    if not metadata.jwks_uri:
        raise Invalid.field(
            "discovery_url",
            "The issuer's metadata names no jwks_uri, so its tokens cannot be checked.",
            reason="no_jwks",
        )
    found = Found(asked, metadata)
    if asked.introspection is None:
        return found
    if not found.introspection_endpoint:
        raise Invalid.field(
            "introspection",
            "The issuer's metadata names no introspection_endpoint; give its address.",
            reason="no_introspection_endpoint",
        )
    try:
        transport().vet(found.introspection_endpoint)
    except Invalid as refused:
        raise Invalid.field("introspection", refused.public, reason=refused.reason) from refused
    return found


def _policy(issuer: str, asked: c.IssuerSettings, settings: c.AuthorizerSettings) -> None:
    loading.policy_of(
        issuer,
        audiences=asked.audiences,
        clients=asked.clients,
        client_claims=asked.client_claims,
        algorithms=asked.algorithms,
        scopes=asked.scopes,
        scope_match=settings.scope_match,
        custom_claims=asked.custom_claims,
    )


def _advertised(settings: c.AuthorizerSettings) -> None:
    enforced = {scope for one in settings.issuers for scope in one.scopes}
    if unknown := sorted(set(settings.advertised_scopes) - enforced):
        raise Invalid.field(
            "advertised_scopes",
            f"{unknown[0]!r} is not one of the allowed scopes, so there is nothing to advertise for it.",
            reason="authorizer_invalid",
        )


def _headers(wanted: tuple[str, ...]) -> None:
    if len(wanted) > MAX_HEADERS:
        raise Invalid.field("request_headers", f"At most {MAX_HEADERS} headers.", reason="authorizer_invalid")
    for name in wanted:
        if _HEADER.fullmatch(name) is None or name.lower().replace("_", "-") in _OURS:
            raise Invalid.field(
                "request_headers",
                f"{name[:64]!r} is not a header that callers may hand to the agent.",
                reason="header_not_allowed",
            )


def _https(url: str) -> None:
    if not re.fullmatch(r"https?://[^\s?#@]{1,1000}", url) or not url.isascii():
        raise Invalid.field(
            "resource_url", "This is an absolute address without query and fragment.", reason="url_invalid"
        )


# --- storing ----------------------------------------------------------------------------------------------------


def store(agent: Agent, settings: c.AuthorizerSettings, found: list[Found], work: Work) -> Authorizer:
    """Replace the authorizer, inside a scope. Secrets of issuers that are no longer there are forgotten."""
    row: Authorizer
    row, _ = Authorizer.objects.update_or_create(
        agent=agent,
        defaults={
            "kind": settings.kind,
            "status": Authorizer.Status.ACTIVE,
            "scope_match": settings.scope_match,
            "advertised_scopes": _plain(settings.advertised_scopes),
            "request_headers": list(dict.fromkeys(settings.request_headers)),
            "endpoint_url": settings.endpoint_url,
            "resource_url": settings.resource_url,
        },
    )
    before = {one.issuer: one for one in loading.issuers_of(row)}
    wanted = {one.metadata.issuer for one in found}
    gone = [one for issuer, one in before.items() if issuer not in wanted]
    forget_secrets(gone)
    AuthorizerIssuer.objects.filter(id__in=[one.id for one in gone]).delete()
    for one in found:
        _store_issuer(row, one, before.get(one.metadata.issuer))
    work.note(
        agent=agent,
        kind=settings.kind,
        issuers=sorted(wanted),
        before=sorted(before),
        endpoint_url=settings.endpoint_url,
    )
    return row


def _plain(mapping: Mapping[str, str]) -> dict[str, str]:
    return dict(mapping)


def _store_issuer(authorizer: Authorizer, found: Found, before: AuthorizerIssuer | None) -> None:
    asked, endpoint = found.asked, found.introspection_endpoint
    client_id = asked.introspection.client_id if asked.introspection else ""
    kept = before is not None and (before.introspection_endpoint, before.introspection_client_id) == (
        endpoint,
        client_id,
    )
    row, _ = AuthorizerIssuer.objects.update_or_create(
        authorizer=authorizer,
        issuer=found.metadata.issuer,
        defaults={
            "discovery_url": asked.discovery_url,
            "jwks_uri": found.metadata.jwks_uri,
            "audiences": list(asked.audiences),
            "clients": list(asked.clients),
            "client_claims": list(asked.client_claims),
            "scopes": list(asked.scopes),
            "custom_claims": [loading.claim_to(one) for one in asked.custom_claims],
            "algorithms": list(asked.algorithms),
            "introspection_endpoint": endpoint,
            "introspection_client_id": client_id,
            "status": Authorizer.Status.ACTIVE,
        },
    )
    if asked.introspection is None:
        forget_secrets([row])
    elif asked.introspection.client_secret is not None:
        storing.put(asked.introspection.client_secret, table=TABLE, row_id=row.id, column=COLUMN, purpose=PURPOSE)
    elif not kept:
        # A secret is never sent to another address, or as another client, than it was given for.
        raise Invalid.field(
            "introspection", "Give the client secret for this introspection endpoint.", reason="secret_needed"
        )


def forget_secrets(rows: list[AuthorizerIssuer]) -> None:
    storing.forget(table=TABLE, row_ids=[one.id for one in rows])


def forget_agent(agent: Agent) -> None:
    """Its authorizer goes with the agent by foreign key; the sealed secrets have none."""
    forget_secrets(list(AuthorizerIssuer.objects.filter(authorizer__agent=agent)))


def forget_keys(found: list[Found], work: Work) -> None:
    for one in found:
        if one.metadata.jwks_uri:
            persons.keys.forget(work.caller.tenant_id, one.metadata.jwks_uri)
