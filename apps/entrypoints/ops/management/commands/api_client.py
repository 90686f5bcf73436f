"""Change one client of a tenant's authorization server."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from apps.broker.authorization_server import contracts as c
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.entrypoints.ops.management.base import OperatorCommand, tenant_by_slug
from apps.entrypoints.ops.management.commands.create_api_client import shown

_DO = {
    "rotate": c.RotateApiClient,
    "disable": c.DisableApiClient,
    "enable": c.EnableApiClient,
    "delete": c.DeleteApiClient,
}


class Command(OperatorCommand):
    help = "Give an OAuth client a new secret, disable, enable or delete it. Its old secret or tokens end at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("tenant", metavar="TENANT")
        parser.add_argument("client_id", metavar="CLIENT_ID")
        parser.add_argument("what", choices=sorted(_DO), metavar="ACTION", help=", ".join(sorted(_DO)))

    def act(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_by_slug(options["tenant"])
        made = run(_DO[options["what"]](client_id=options["client_id"]), system_caller(tenant, "manage.py"))
        if isinstance(made, c.NewApiClient):
            return shown(tenant.slug, made)
        return {"tenant": tenant.slug, "client_id": options["client_id"], "done": options["what"]}
