"""What a refused caller is told: status, and the challenge of RFC 6750 3 with the address of RFC 9728 5.1."""

from __future__ import annotations

from urllib.parse import quote

from django.conf import settings

from apps.broker.inbound.admission import InvocationRefused
from apps.core.errors import Code

METADATA_PATH = "/.well-known/oauth-protected-resource"

_STATUS = {
    Code.UNREADABLE: 400,
    Code.INVALID: 400,
    Code.UNAUTHENTICATED: 401,
    Code.NOT_ALLOWED: 403,
    Code.NOT_FOUND: 404,
    Code.CONFLICT: 409,
    Code.GONE: 410,
    Code.QUOTA: 403,
    Code.THROTTLED: 429,
    Code.NOT_SUPPORTED: 400,
    Code.UPSTREAM_REFUSED: 503,
    Code.UPSTREAM_UNAVAILABLE: 503,
    Code.SEAL_BROKEN: 503,
    Code.UNAVAILABLE: 503,
    Code.BROKEN: 500,
}


def status_of(code: Code) -> int:
    """The HTTP status. An issuer that cannot be asked is 503: the caller's token may be good, and waiting helps."""
    return _STATUS[code]


def invocation_url(arn: str) -> str:
    """The portal's own address of an agent, which is also its identifier as a protected resource."""
    return f"{settings.PUBLIC_URL}{invocation_path(arn)}"


def invocation_path(arn: str) -> str:
    return f"/runtimes/{quote(arn, safe='')}/invocations"


def metadata_url(arn: str) -> str:
    """Where the metadata of the agent is (RFC 9728 3.1: the well-known part goes in front of the path)."""
    return f"{settings.PUBLIC_URL}{METADATA_PATH}{invocation_path(arn)}"


def challenge(refused: InvocationRefused) -> str:
    """The WWW-Authenticate value, empty where no other credential could help."""
    if status_of(refused.code) not in (401, 403):
        return ""
    if refused.kind == "AWS_IAM":
        return 'AWS4-HMAC-SHA256 realm="bedrock-agentcore"'
    parts = []
    # RFC 6750 3.1: who brought nothing is told no error; what is wrong with a token is not told in detail.
    if refused.code is Code.UNAUTHENTICATED and refused.presented:
        parts.append('error="invalid_token"')
    if refused.reason == "insufficient_scope":
        parts.append('error="insufficient_scope"')
    if refused.scopes:
        # Scopes were checked on saving: no quote or backslash can be in them (RFC 6749 3.3).
        parts.append(f'scope="{" ".join(refused.scopes)}"')
    parts.append(f'resource_metadata="{metadata_url(refused.agent_arn)}"')
    return "Bearer " + ", ".join(parts)
