"""Make a tenant and its first access key."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from apps.broker.control_plane.tenants import create_tenant
from apps.entrypoints.ops.management.base import OperatorCommand


class Command(OperatorCommand):
    help = "Make a tenant and an access key that may do everything inside it. The secret is shown once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("slug", help="3 to 63 lower-case letters, digits and dashes")
        parser.add_argument("--name", default="", help="the name people see")
        parser.add_argument(
            "--closed", action="store_true", help="nothing without a binding between agent and provider"
        )
        parser.add_argument("--dev", action="store_true", help="development: signed-in members may claim user ids")

    def act(self, **options: Any) -> dict[str, Any]:
        made = create_tenant(
            slug=options["slug"], name=options["name"], closed=options["closed"], dev=options["dev"], by="manage.py"
        )
        return {
            "tenant": made.tenant.slug,
            "account_id": made.tenant.account_id,
            "access_key_id": made.key.access_key_id,
            "secret_access_key": made.key.secret_access_key.reveal(),
            "endpoint_url": made.endpoint_url,
        }
