"""Make a key for the proxy in front of an agent."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from apps.broker.control_plane.tenants import system_caller
from apps.broker.inbound import contracts as c
from apps.broker.run import run
from apps.entrypoints.ops.management.base import OperatorCommand, tenant_by_slug


class Command(OperatorCommand):
    help = "Make a key with which the proxy in front of one agent asks the portal about callers. Printed once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("tenant")
        parser.add_argument("agent")
        parser.add_argument("--label", default="")

    def act(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_by_slug(options["tenant"])
        command = c.CreateGatewayKey(agent=options["agent"], label=options["label"])
        made: c.NewGatewayKey = run(command, system_caller(tenant, "manage.py"))
        return {
            "tenant": tenant.slug,
            "agent": options["agent"],
            "key_id": str(made.row_id),
            "gateway_key": made.key.reveal(),
        }
