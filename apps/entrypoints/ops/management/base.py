"""What the operators' commands share: one JSON object on standard output, errors on standard error, status 1."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import NotFound, PortalError
from apps.tenants.models import Tenant


class OperatorCommand(BaseCommand):
    """Subclasses answer a plain dict from `act`; secrets in it are shown once, here and nowhere else."""

    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def act(self, **options: Any) -> dict[str, Any]:
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            answer = self.act(**options)
        except PortalError as refused:
            details = "".join(f"\n  {problem.name}: {problem.message}" for problem in refused.fields)
            raise CommandError(
                f"{refused.public}{details if len(refused.fields) > 1 else ''}", returncode=1
            ) from refused
        if options["json"]:
            self.stdout.write(json.dumps(answer))
        else:
            width = max(len(key) for key in answer)
            for key, value in answer.items():
                self.stdout.write(f"{key.ljust(width)}  {value}")


def tenant_by_slug(slug: str) -> Tenant:
    """Raises NotFound, naming how to see what there is."""
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise NotFound(
            f"There is no tenant {slug!r}. `manage.py create_tenant {slug}` makes it.", reason="tenant_not_found"
        )
    return tenant
