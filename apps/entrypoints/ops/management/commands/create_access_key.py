"""Make an access key with explicit permissions."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings

from apps.broker import contracts as c
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.core.errors import Invalid
from apps.entrypoints.ops.management.base import OperatorCommand, tenant_by_slug
from apps.policy.grants import Grant, parse


def read_grant(text: str) -> Grant:
    """`ACTION:ARN [if OPERATOR KEY VALUE[|VALUE]... [and ...]]`, the action with or without its service prefix.

    Raises Invalid.
    """
    pair, limited, conditions = text.partition(" if ")
    head, colon, resource = pair.partition(":")
    if head == "bedrock-agentcore":
        name, colon, resource = resource.partition(":")
        head = f"bedrock-agentcore:{name}"
    elif head != "*":
        head = f"bedrock-agentcore:{head}"
    if not colon or not resource:
        raise Invalid.field("allow", f"{text!r} is not ACTION:ARN, e.g. GetResourceApiKey:*", reason="grant_invalid")
    try:
        return parse(f"{head} {resource}{limited}{conditions}")
    except ValueError as wrong:
        raise Invalid.field("allow", f"{text!r}: {wrong}", reason="grant_invalid") from wrong


class Command(OperatorCommand):
    help = "Make an access key. Without --allow it may do nothing. The secret is shown once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tenant", required=True)
        parser.add_argument(
            "--allow",
            action="append",
            default=[],
            metavar="ACTION:ARN",
            help="* and ? are wildcards; conditions follow: 'ACTION:ARN if StringLike bedrock-agentcore:userid team/*'",
        )
        parser.add_argument("--agent", help="the key serves only this agent")
        parser.add_argument("--label", default="")

    def act(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_by_slug(options["tenant"])
        command = c.CreateAccessKey(
            label=options["label"], grants=tuple(read_grant(text) for text in options["allow"]), agent=options["agent"]
        )
        key = run(command, system_caller(tenant, "manage.py"))
        return {
            "tenant": tenant.slug,
            "account_id": tenant.account_id,
            "access_key_id": key.access_key_id,
            "secret_access_key": key.secret_access_key.reveal(),
            "endpoint_url": settings.PUBLIC_URL,
        }
