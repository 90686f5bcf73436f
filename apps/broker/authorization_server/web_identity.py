"""Tokens signed by the tenant, for services outside that trust it: who an agent is, verifiable without asking us."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from apps.agents.models import Agent
from apps.authn.caller import CallerKind
from apps.authn.jwt import signing
from apps.authn.models import AccessKey, OAuthClient
from apps.authn.oauth.issuer import Issuer
from apps.broker import contracts as c
from apps.broker.authorization_server import signing_keys
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import Invalid, NotAllowed
from apps.core.secret import Secret
from apps.tenants.models import Tenant

# What AWS puts its own claims under; services written for it look for account and tags here.
AWS_CLAIMS = "https://sts.amazonaws.com/"
_MAX_AUDIENCES, _MAX_AUDIENCE_CHARS, _MAX_TAGS = 10, 1000, 50
_TAG_KEY = re.compile(r"[\w\s.:/=+\-@]{1,128}")
_TAG_VALUE = re.compile(r"[\w\s.:/=+\-@]{0,256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueWebIdentityToken(c.Command):
    """Answers WebIdentityToken. `algorithm` is ES384 or RS256, `life_s` 60 to 3600 seconds."""

    action = "web_identity_token.issue"
    audiences: tuple[str, ...]
    algorithm: str
    life_s: int = 300
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebIdentityToken:
    token: Secret
    expires_at: datetime


@handles(IssueWebIdentityToken)
def issue(command: IssueWebIdentityToken, work: Work) -> WebIdentityToken:
    """The subject is the agent the access key serves; a key that serves none is its own subject.

    Raises Invalid for what AWS would not take either, NotAllowed for an agent that is suspended.
    """
    with work.change():
        agent = _agent_of(work)
        work.require(names.agent(agent.name) if agent is not None else names.DIRECTORY)
        if agent is not None:
            work.note(agent=agent)
            if agent.status != "active":
                raise NotAllowed("This agent is suspended.", reason="agent_suspended")
        _check(command)
        tenant = Tenant.objects.get(id=work.caller.tenant_id)
        issued_at = work.now.replace(microsecond=0)
        expires_at = issued_at + timedelta(seconds=command.life_s)
        claims = {
            "iss": Issuer(tenant.slug).identifier,
            "sub": subject(work, agent),
            "aud": command.audiences[0] if len(command.audiences) == 1 else list(command.audiences),
            "iat": int(issued_at.timestamp()),
            "exp": int(expires_at.timestamp()),
            "jti": secrets.token_urlsafe(18),
            AWS_CLAIMS: _aws_claims(command, work),
            "tenant": tenant.slug,
            **({"agent": agent.name} if agent is not None else {}),
        }
        key, kid = signing_keys.signer(command.algorithm, now=work.now)
        token = signing.sign(claims, key=key, algorithm=command.algorithm, kid=kid)
        work.note(jti=claims["jti"], kid=kid, audiences=[one[:200] for one in command.audiences], life_s=command.life_s)
        return WebIdentityToken(token=Secret(token), expires_at=expires_at)


def subject(work: Work, agent: Agent | None) -> str:
    """An ARN without region: the region is the caller's own choice and must not change who they are."""
    path = names.agent(agent.name) if agent is not None else f"access-key/{work.caller.name}"
    return names.prefix("", work.caller.account_id) + path


def _agent_of(work: Work) -> Agent | None:
    """The one agent the caller's credential serves, if it serves only one."""
    caller = work.caller
    if caller.row_id is None:
        return None
    if caller.kind is CallerKind.ACCESS_KEY:
        key: AccessKey | None = AccessKey.objects.select_related("agent").filter(id=caller.row_id).first()
        return key.agent if key is not None else None
    if caller.kind is CallerKind.API_CLIENT:
        client: OAuthClient | None = OAuthClient.objects.select_related("agent").filter(id=caller.row_id).first()
        return client.agent if client is not None else None
    return None


def _aws_claims(command: IssueWebIdentityToken, work: Work) -> dict[str, Any]:
    found: dict[str, Any] = {"aws_account": work.caller.account_id, "source_region": work.caller.region}
    if command.tags:
        found["request_tags"] = dict(command.tags)
    return found


def _check(command: IssueWebIdentityToken) -> None:
    def wrong(name: str, message: str) -> Invalid:
        return Invalid.field(name, message, reason=f"{name}_invalid")

    if not 1 <= len(command.audiences) <= _MAX_AUDIENCES:
        raise wrong("Audience", f"1 to {_MAX_AUDIENCES} audiences.")
    for audience in command.audiences:
        if not 1 <= len(audience) <= _MAX_AUDIENCE_CHARS or not audience.isprintable():
            raise wrong("Audience", f"Each has 1 to {_MAX_AUDIENCE_CHARS} printable characters.")
    if command.algorithm not in signing.SIGNING_ALGORITHMS:
        raise wrong("SigningAlgorithm", f"One of {', '.join(signing.SIGNING_ALGORITHMS)}.")
    if not 60 <= command.life_s <= 3600:
        raise wrong("DurationSeconds", "60 to 3600 seconds.")
    if len(command.tags) > _MAX_TAGS:
        raise wrong("Tags", f"At most {_MAX_TAGS} tags.")
    for key, value in command.tags.items():
        if not _TAG_KEY.fullmatch(key) or not _TAG_VALUE.fullmatch(value):
            raise wrong("Tags", "Keys have 1 to 128, values up to 256 letters, digits, blanks and _.:/=+-@.")
