"""Move a tenant's signing keys one step on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from apps.broker.authorization_server.signing_keys import RotateSigningKeys
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.entrypoints.ops.management.base import OperatorCommand, tenant_by_slug


class Command(OperatorCommand):
    help = "Rotate the keys a tenant signs tokens with. They rotate by themselves every 30 days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("tenant", metavar="TENANT")
        parser.add_argument(
            "--compromised", action="store_true", help="withdraw the present keys at once; their tokens stop verifying"
        )

    def act(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_by_slug(options["tenant"])
        kids = run(RotateSigningKeys(compromised=options["compromised"]), system_caller(tenant, "manage.py"))
        return {"tenant": tenant.slug, "signing": list(kids)}
