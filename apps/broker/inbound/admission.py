"""May this caller reach this agent? One road for all three ways of asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from apps.authn import sigv4, sigv4_keys, workload
from apps.authn.authorizer import IssuerRules, Stopped, decide
from apps.authn.jwt import KeySet, bearer_token
from apps.authn.models import AccessKey
from apps.broker.data_plane import facts, persons
from apps.broker.inbound import contracts as c
from apps.broker.inbound import gateway_keys, loading, settings
from apps.broker.inbound.loading import Door
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections import principals
from apps.core import names
from apps.core.errors import NotAllowed, NotFound, PortalError, Unauthenticated
from apps.core.secret import Secret
from apps.policy import facts as policy_facts
from apps.policy.decide import Deny, key_may
from apps.upstream import client as upstream
from apps.upstream.protocol.types import ClientCredentials
from apps.vault import opening


class InvocationRefused(PortalError):
    """The caller may not reach the agent; what they brought is wrong, not the request of whoever asked.

    `clause` names what stopped them, `kind` is the agent's authorizer, `presented` says that they brought anything.
    """

    def __init__(self, refusal: PortalError, *, clause: str, door: Door, arn: str, presented: bool) -> None:
        super().__init__(
            refusal.public,
            reason=refusal.reason,
            private=refusal.private,
            code=refusal.code,
            retry_after_s=refusal.retry_after_s,
        )
        self.clause = clause
        self.kind = door.kind
        self.agent_arn = arn
        self.presented = presented
        self.scopes = advertised_scopes(door)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A caller who was let in, and the principal the agent acts for."""

    kind: str
    issuer: str
    subject: str
    clause: str
    client: str | None = None
    scopes: tuple[str, ...] = ()


def advertised_scopes(door: Door) -> tuple[str, ...]:
    """The scopes clients are told to ask for: the enforced ones, under their advertised names where they have one."""
    if door.rules is None or door.authorizer is None:
        return ()
    names_ = door.authorizer.advertised_scopes
    enforced = (scope for one in door.rules.issuers for scope in one.policy.scopes)
    return tuple(dict.fromkeys(names_.get(scope, scope) for scope in enforced))


@handles(c.AuthorizeInvocation)
def authorize(command: c.AuthorizeInvocation, work: Work) -> c.Admitted:
    """Raises InvocationRefused for the caller's fault, NotFound for an agent that the gateway's key is not for."""
    with work.look():
        own = gateway_keys.agent_of(work)
        work.require(names.runtime(own))
        if command.agent is not None and loading.agent_name(command.agent, work) != own:
            raise NotFound("There is no such workload identity.", reason="agent_not_found")
        door = loading.door_of(own, work)
    visitor = admit(command.presented, door, work)
    with work.change():
        work.require(names.runtime(own))
        return let_in(visitor, own, work, mint=command.mint, presented=command.presented)


def admit(presented: c.Presented, door: Door, work: Work) -> Visitor:
    """Prove the caller against the door. May fetch keys or ask an issuer, so outside any scope.

    Raises InvocationRefused; the clause is noted for the record.
    """
    try:
        return _admit(presented, door, work)
    except InvocationRefused:
        raise
    except PortalError as refusal:
        raise refused(refusal, "authorizer", door, presented, work) from refusal


def refused(refusal: PortalError, clause: str, door: Door, presented: c.Presented, work: Work) -> InvocationRefused:
    work.note(clause=clause)
    brought = bool(presented.authorization) or presented.signed is not None
    arn = work.arn(names.runtime(door.agent.name))
    return InvocationRefused(refusal, clause=clause, door=door, arn=arn, presented=brought)


def _admit(presented: c.Presented, door: Door, work: Work) -> Visitor:
    if not presented.authorization and presented.signed is None:
        raise Unauthenticated(reason="credential_missing")
    if not door.active:
        raise Unauthenticated(reason="authorizer_disabled")
    values = [value.reveal() for value in presented.authorization]
    unchecked = presented.signed is None and len(values) == 1 and values[0].startswith(sigv4.ALGORITHM)
    if unchecked and door.rules is None:
        raise NotAllowed(
            "A signature covers the request's body, which a forward-auth check does not see. Ask POST "
            "/api/v1/authorize with the body's SHA-256, or let callers use the agent's invocation address.",
            reason="signature_needs_body",
        )
    # An agent takes signatures or tokens, never both; the other kind is not even looked at.
    if unchecked or (presented.signed is None) == (door.rules is None):
        raise NotAllowed(
            "Authorization method mismatch: this agent takes "
            + ("signatures of access keys (SigV4)." if door.rules is None else "bearer tokens of its issuers."),
            reason="authorization_method_mismatch",
        )
    if presented.signed is not None:
        return _by_signature(presented, door, work)
    assert door.rules is not None
    token = Secret(bearer_token(values))
    if presented.user_id is not None:
        # Whose agent it is follows from the token alone; a name beside it would be somebody else's say-so.
        raise NotAllowed("With a bearer token the user is the token's subject.", reason="user_id_with_token")
    verdict = decide(
        token,
        door.rules,
        keys_for=lambda issuer, kid: _keys(issuer, kid, work),
        introspect=lambda issuer, opaque: _ask(issuer, opaque, door, work),
        now=work.now,
    )
    if isinstance(verdict, Stopped):
        raise refused(verdict.refusal, verdict.clause, door, presented, work)
    claims = verdict.claims
    return Visitor(
        kind="jwt",
        issuer=claims.issuer,
        subject=claims.subject,
        clause=verdict.clause,
        client=claims.client,
        scopes=tuple(sorted(claims.scopes)),
    )


def _keys(issuer: IssuerRules, kid: str | None, work: Work) -> KeySet:
    return persons.keys.keys_for(work.caller.tenant_id, issuer.jwks_uri, kid=kid, stale_max_s=issuer.stale_max_s)


def _ask(issuer: IssuerRules, token: Secret, door: Door, work: Work) -> Mapping[str, object]:
    asked = door.asked[issuer.policy.issuer]
    with work.look():
        secret = opening.open_at(table=settings.TABLE, row_id=asked.row_id, column=settings.COLUMN)
    if secret is None:
        raise Unauthenticated(reason="introspection_failed", private="no client secret is stored")
    client = ClientCredentials(asked.client_id, secret, "client_secret_basic")
    return upstream.introspect(asked.endpoint, client, token=token, tenant_id=work.caller.tenant_id)


def _by_signature(presented: c.Presented, door: Door, work: Work) -> Visitor:
    """A signature of one of the tenant's access keys, and that key's right to call this agent.

    An unknown key does the same work against a dummy one. Keys of another tenant are unknown here.
    """
    request = presented.signed
    assert request is not None
    parsed = sigv4.parse(request)
    found = sigv4_keys.signing_key(parsed.access_key_id, date=parsed.date, region=parsed.region, service=parsed.service)
    dummy = sigv4_keys.dummy_signing_key(parsed.date, parsed.region, parsed.service)
    sigv4.verify(parsed, request, found.key if found else dummy, now=work.now)
    if found is None or found.tenant_id != work.caller.tenant_id:
        raise Unauthenticated(reason="access_key_unknown")
    action = "invocation.invoke" if presented.user_id is None else "invocation.invoke_for_user"
    with work.look():
        key = policy_facts.of_key(found.row_id)
        bound = AccessKey.objects.filter(id=found.row_id).values_list("agent_id", flat=True).first()
    arn = names.prefix(parsed.region, work.caller.account_id) + names.runtime(door.agent.name)
    verdict = Deny("access_key_gone") if key is None else key_may(key, action=action, arns=(arn,), now=work.now)
    if isinstance(verdict, Deny):
        if verdict.reason != "no_permission":
            raise Unauthenticated(reason=verdict.reason)
        raise refused(
            NotAllowed("This access key may not call this agent.", reason=verdict.reason),
            f"permission {action}",
            door,
            presented,
            work,
        )
    if bound is not None and bound != door.agent.id:
        raise NotAllowed("This access key belongs to another workload identity.", reason="agent_mismatch")
    work.note(access_key_id=parsed.access_key_id)
    clause = f"AWS_IAM access key {parsed.access_key_id}"
    if presented.user_id is None:
        return Visitor(kind="self", issuer="", subject="", clause=clause)
    return Visitor(kind="uid", issuer="", subject=principals.checked_user_id(presented.user_id), clause=clause)


def let_in(visitor: Visitor, agent_name: str, work: Work, *, mint: bool, presented: c.Presented) -> c.Admitted:
    """Look at everything again that may have ended meanwhile, mint the workload token, and say yes. In `change()`."""
    door = loading.door_of(agent_name, work)
    work.note(clause=visitor.clause)
    tenant, agent = facts.tenant_of(work), door.agent
    for ended, sentence, reason in (
        (tenant.status != "active", "This tenant is suspended.", "tenant_suspended"),
        (agent.status != "active", "This workload identity is suspended.", "agent_suspended"),
    ):
        if ended:
            raise refused(NotAllowed(sentence, reason=reason), reason, door, presented, work)
    subject = str(agent.id) if visitor.kind == "self" else visitor.subject
    principal = principals.find_or_create(
        kind=visitor.kind, issuer=visitor.issuer, subject=subject, pseudonym_key=tenant.pseudonym_key
    )
    work.note(principal=principal)
    if principal.status != "active":
        refusal = NotAllowed("This person's access is suspended.", reason="principal_suspended")
        raise refused(refusal, refusal.reason, door, presented, work)
    token = (
        workload.mint(tenant=tenant, agent=agent, principal=principal, proof=visitor.kind, now=work.now)
        if mint
        else None
    )
    return c.Admitted(
        agent=agent.name,
        agent_arn=work.arn(names.runtime(agent.name)),
        clause=visitor.clause,
        kind=visitor.kind,
        issuer=visitor.issuer,
        subject=visitor.subject,
        client=visitor.client,
        scopes=visitor.scopes,
        workload_token=token,
        workload_token_expires_at=work.now + timedelta(seconds=tenant.workload_token_life_s) if mint else None,
        endpoint_url=door.authorizer.endpoint_url if door.authorizer else "",
        request_headers=tuple(door.authorizer.request_headers) if door.authorizer else (),
    )
