"""Trust an OpenID provider's tokens."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from apps.broker import contracts as c
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.entrypoints.ops.management.base import OperatorCommand, tenant_by_slug


class Command(OperatorCommand):
    help = "Trust tokens of an OpenID provider, for a tenant or for one of its agents only."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("tenant")
        parser.add_argument("discovery_url")
        parser.add_argument("--audience", action="append", required=True)
        parser.add_argument("--client", action="append", default=[])
        parser.add_argument("--client-claim", action="append", default=[], choices=["azp", "appid", "cid"])
        parser.add_argument("--agent")

    def act(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_by_slug(options["tenant"])
        issuer = run(
            c.TrustIssuer(
                discovery_url=options["discovery_url"],
                audiences=tuple(options["audience"]),
                clients=tuple(options["client"]),
                client_claims=tuple(options["client_claim"]),
                agent=options["agent"],
            ),
            system_caller(tenant, "manage.py"),
        )
        return {
            "tenant": tenant.slug,
            "issuer": issuer,
            "audiences": options["audience"],
            "clients": options["client"],
            "agent": options["agent"],
        }
