"""Small helpers the flow tests share."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from apps.tenants.scope import tenant_scope

PLAIN = Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=30)


def client(service: str, tenant: Any, url: str, *, key: tuple[str, str] | None = None, **more: Any) -> Any:
    key_id, secret = key or (tenant.access_key_id, tenant.secret_access_key)
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        **{"config": PLAIN, **more},
    )


def data(tenant: Any, url: str, **more: Any) -> Any:
    return client("bedrock-agentcore", tenant, url, **more)


def control(tenant: Any, url: str, **more: Any) -> Any:
    return client("bedrock-agentcore-control", tenant, url, **more)


def mutated(text: str) -> str:
    """The text with its last character changed to another one, whatever it was."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def trail(tenant: Any, **where: Any) -> list[Any]:
    """The tenant's audit records, oldest first."""
    from apps.audit.models import AuditRecord

    with tenant_scope(tenant.id):
        return list(AuditRecord.objects.filter(**where).order_by("at", "id"))


def rows(tenant: Any, model: Any, **where: Any) -> list[Any]:
    with tenant_scope(tenant.id):
        return list(model.objects.filter(**where))
