"""Say who may call an agent."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from apps.broker.control_plane.tenants import system_caller
from apps.broker.inbound import contracts as c
from apps.broker.run import run
from apps.entrypoints.ops.management.base import OperatorCommand, tenant_by_slug


class Command(OperatorCommand):
    help = "Say who may call an agent: holders of tokens of an issuer, or (with --aws-iam) of the tenant's access keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("tenant")
        parser.add_argument("agent")
        parser.add_argument("--discovery-url")
        parser.add_argument("--aws-iam", action="store_true", help="signatures of access keys instead of tokens")
        parser.add_argument("--audience", action="append", default=[])
        parser.add_argument("--client", action="append", default=[])
        parser.add_argument("--client-claim", action="append", default=[], choices=["azp", "appid", "cid"])
        parser.add_argument("--scope", action="append", default=[])
        parser.add_argument("--all-scopes", action="store_true", help="every --scope is needed, not any one of them")
        parser.add_argument("--header", action="append", default=[], help="a caller's header that reaches the agent")
        parser.add_argument("--endpoint-url", default="", help="where the agent listens")
        parser.add_argument("--resource-url", default="", help="where callers find the agent behind its own proxy")

    def act(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_by_slug(options["tenant"])
        issuer = c.IssuerSettings(
            discovery_url=options["discovery_url"] or "",
            audiences=tuple(options["audience"]),
            clients=tuple(options["client"]),
            client_claims=tuple(options["client_claim"]),
            scopes=tuple(options["scope"]),
        )
        settings = c.AuthorizerSettings(
            kind="AWS_IAM" if options["aws_iam"] else "CUSTOM_JWT",
            issuers=(issuer,) if issuer != c.IssuerSettings(discovery_url="") else (),
            scope_match="all" if options["all_scopes"] else "any",
            request_headers=tuple(options["header"]),
            endpoint_url=options["endpoint_url"],
            resource_url=options["resource_url"],
        )
        caller = system_caller(tenant, "manage.py")
        view: c.AuthorizerView = run(c.SetAuthorizer(agent=options["agent"], settings=settings), caller)
        return {
            "tenant": tenant.slug,
            "agent": view.agent,
            "agent_arn": view.arn,
            "kind": view.kind,
            "issuers": [one.issuer for one in view.issuers],
        }
