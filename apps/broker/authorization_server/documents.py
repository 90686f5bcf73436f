"""Public documents of a tenant's authorization server.

Nothing in them is a secret and nobody is named by reading them, so reading leaves no audit record: a record for each
would let anybody on the network fill a tenant's trail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.authn.oauth.issuer import Issuer
from apps.broker import oauth_gate
from apps.broker.authorization_server import signing_keys
from apps.core import clock
from apps.tenants.scope import tenant_scope


def metadata(slug: str, *, request_id: str, source_ip: str | None) -> Mapping[str, Any]:
    """RFC 8414. Raises NotFound for a name that is no tenant at work: no name is reflected into an issuer."""
    tenant = oauth_gate.find_tenant(slug, request_id=request_id, source_ip=source_ip)
    return Issuer(tenant.slug).metadata()


def key_set(slug: str, *, request_id: str, source_ip: str | None) -> Mapping[str, Any]:
    """RFC 7517. Raises NotFound as `metadata` does."""
    tenant = oauth_gate.find_tenant(slug, request_id=request_id, source_ip=source_ip)
    with tenant_scope(tenant.id):
        return {"keys": signing_keys.published(now=clock.now())}
