"""Fill an empty portal with the demo's tenants, people and agents."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from apps.entrypoints.ops import demo_seed
from apps.entrypoints.ops.management.base import OperatorCommand


class Command(OperatorCommand):
    help = "Make the demo's tenants, people and agents where they are missing. Refuses unless the demo is on."

    def act(self, **options: Any) -> dict[str, Any]:
        seeded = demo_seed.seed(settings.PORTAL_HOME)
        return {
            "tenants": ", ".join(demo_seed.TENANTS),
            "people": ", ".join(person.username for person in demo_seed.PEOPLE),
            "agents": ", ".join(name for names in demo_seed.AGENTS.values() for name in names),
            "made": ", ".join(seeded.made) or "nothing: all of it was there",
            "people_file": str(seeded.people_file),
            "keys_file": str(seeded.keys_file),
        }
