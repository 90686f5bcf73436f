"""Look at everything the portal needs, and say what to do."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings

from apps.entrypoints.ops.health import ADVISORY, CHECKS
from apps.entrypoints.ops.management.base import OperatorCommand


class Command(OperatorCommand):
    help = (
        "Check database, migrations, key ring, audit partitions and Redis. Exit status 1 when tokens cannot be served."
    )

    def act(self, **options: Any) -> dict[str, Any]:
        found = {name: check() or "ok" for name, check in CHECKS.items()}
        serving = all(answer == "ok" for name, answer in found.items() if name not in ADVISORY)
        self.serving = serving
        # Whose word outgoing calls take: what a surprising certificate is looked for first.
        authorities = f"public, and those in {settings.CA_BUNDLE}" if settings.CA_BUNDLE else "public"
        return {"status": "ok" if serving else "failed", **found, "authorities": authorities}

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        if not self.serving:
            sys.exit(1)
