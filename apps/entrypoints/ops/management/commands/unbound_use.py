"""What closing a tenant would deny, and bindings for it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from apps.broker.contracts_policy import BindWhatIsInUse, SurveyUnbound, UnboundUse
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.core.errors import Invalid
from apps.entrypoints.ops.management.base import OperatorCommand, tenant_by_slug


class Command(OperatorCommand):
    help = "List which agents use which providers without a binding: what closing the tenant would deny."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("tenant")
        parser.add_argument("--bind", action="store_true", help="make bindings for what is in use")
        parser.add_argument("--ceilings", action="store_true", help="with --bind: no scopes beyond those in use")

    def act(self, **options: Any) -> dict[str, Any]:
        if options["ceilings"] and not options["bind"]:
            raise Invalid.field("ceilings", "--ceilings goes with --bind.", reason="question_incomplete")
        tenant = tenant_by_slug(options["tenant"])
        command = BindWhatIsInUse(ceilings=options["ceilings"]) if options["bind"] else SurveyUnbound()
        found = run(command, system_caller(tenant, "manage.py"))
        word = "bound" if options["bind"] else "unbound"
        if options["json"]:
            return {"tenant": tenant.slug, "binding_mode": tenant.binding_mode, word: [_shown(one) for one in found]}
        lines = {f"{one.agent} -> {one.provider} ({one.provider_kind})": ", ".join(one.flows) for one in found}
        return {"tenant": f"{tenant.slug} ({tenant.binding_mode})", word: len(found), **lines}


def _shown(one: UnboundUse) -> dict[str, Any]:
    return {
        "agent": one.agent,
        "provider": one.provider,
        "provider_kind": one.provider_kind,
        "flows": list(one.flows),
        "scopes": list(one.scopes),
    }
