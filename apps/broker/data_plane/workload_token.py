"""Workload access tokens: for the agent itself, for a person a JWT proves, for a user id the application names."""

from __future__ import annotations

from apps.agents import queries as agents
from apps.authn import workload
from apps.authn.caller import Caller
from apps.broker import contracts as c
from apps.broker.data_plane import facts, persons
from apps.broker.hot_path import fast
from apps.broker.run import answers_fast, handles
from apps.broker.work import Work
from apps.connections import principals
from apps.core import names
from apps.core.errors import NotAllowed, PortalError
from apps.core.secret import Secret
from apps.policy.conditions import USER_ID


def _mint(work: Work, agent_name: str, *, kind: str, issuer: str, subject: str) -> Secret:
    tenant = facts.tenant_of(work)
    agent = agents.by_name(agent_name)
    work.note(agent=agent)
    facts.require_own_agent(agent, work)
    if agent.status != "active":
        raise NotAllowed("This workload identity is suspended.", reason="agent_suspended")
    if kind == "self":
        subject = str(agent.id)
    principal = principals.find_or_create(kind=kind, issuer=issuer, subject=subject, pseudonym_key=tenant.pseudonym_key)
    work.note(principal=principal)
    if principal.status != "active":
        raise NotAllowed("This person's access is suspended.", reason="principal_suspended")
    return workload.mint(tenant=tenant, agent=agent, principal=principal, proof=kind, now=work.now)


@answers_fast(c.IssueWorkloadToken)
def issue_fast(command: c.IssueWorkloadToken, caller: Caller) -> Secret | None:
    return fast.mint(
        caller,
        agent=command.agent,
        kind="self",
        permission="bedrock-agentcore:GetWorkloadAccessToken",
        action=command.action,
    )


@handles(c.IssueWorkloadToken)
def issue(command: c.IssueWorkloadToken, work: Work) -> Secret:
    with work.change():
        work.require(names.DIRECTORY, names.agent(command.agent))
        return _mint(work, command.agent, kind="self", issuer="", subject="")


@answers_fast(c.IssueWorkloadTokenForUserId)
def issue_for_user_id_fast(command: c.IssueWorkloadTokenForUserId, caller: Caller) -> Secret | None:
    try:
        subject = principals.checked_user_id(command.user_id)
    except PortalError:
        return None
    return fast.mint(
        caller,
        agent=command.agent,
        kind="uid",
        subject=subject,
        permission="bedrock-agentcore:GetWorkloadAccessTokenForUserId",
        action=command.action,
    )


@handles(c.IssueWorkloadTokenForUserId)
def issue_for_user_id(command: c.IssueWorkloadTokenForUserId, work: Work) -> Secret:
    """The application is trusted to name the person; that is a permission of its own."""
    with work.change():
        work.require_possible(names.DIRECTORY, names.agent(command.agent))
        subject = principals.checked_user_id(command.user_id)
        work.require(names.DIRECTORY, names.agent(command.agent), about={USER_ID: (subject,)})
        return _mint(work, command.agent, kind="uid", issuer="", subject=subject)


@answers_fast(c.IssueWorkloadTokenForJwt)
def issue_for_jwt_fast(command: c.IssueWorkloadTokenForJwt, caller: Caller) -> Secret | None:
    proof = persons.verify_with_known_keys(command.jwt, caller)
    if proof is None:
        return None
    return fast.mint(
        caller,
        agent=command.agent,
        kind="jwt",
        issuer=proof.issuer,
        subject=proof.subject,
        jwks_uri=proof.jwks_uri,
        audiences=proof.audiences,
        clients=proof.clients,
        permission="bedrock-agentcore:GetWorkloadAccessTokenForJWT",
        action=command.action,
    )


@handles(c.IssueWorkloadTokenForJwt)
def issue_for_jwt(command: c.IssueWorkloadTokenForJwt, work: Work) -> Secret:
    """The portal proves the person itself, against the issuers the tenant trusts for this agent."""
    with work.look():
        work.require_possible(names.DIRECTORY, names.agent(command.agent))
        agent = agents.by_name(command.agent)
        work.note(agent=agent)
        issuers = persons.trusted_for(agent)
    who = persons.prove(command.jwt, issuers, work)  # may fetch keys: outside any scope
    with work.change():
        work.require(names.DIRECTORY, names.agent(command.agent), about=who.about)
        return _mint(work, command.agent, kind="jwt", issuer=who.issuer, subject=who.subject)
