"""Make a person, with a role."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from apps.audit import operators
from apps.broker import contracts as c
from apps.broker.aws_gate import new_request_id
from apps.broker.control_plane.people import checked_email, checked_password
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.core.errors import Conflict, Invalid
from apps.core.secret import Secret
from apps.entrypoints.ops.management.base import OperatorCommand, tenant_by_slug
from apps.tenants.models import Membership, User

ROLES = ["platform_admin", *Membership.Role.values]


class Command(OperatorCommand):
    help = "Make a person with a role. Without --password-stdin the account cannot sign in with a password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("email")
        parser.add_argument("--tenant")
        parser.add_argument("--role", required=True, choices=ROLES)
        parser.add_argument("--name", default="")
        parser.add_argument("--user-id", help="the id applications know this person by")
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

    def act(self, **options: Any) -> dict[str, Any]:
        password = Secret(sys.stdin.readline().rstrip("\r\n")) if options["password_stdin"] else None
        if options["role"] == "platform_admin":
            return self._platform_admin(options, password)
        if not options["tenant"]:
            raise Invalid.field("tenant", "This role is in a tenant: give --tenant SLUG.", reason="tenant_missing")
        tenant = tenant_by_slug(options["tenant"])
        caller = system_caller(tenant, "manage.py")
        user = run(
            c.AddMember(email=options["email"], role=options["role"], name=options["name"], password=password), caller
        )
        if options["user_id"]:
            run(c.LinkPrincipal(email=user.email, user_id=options["user_id"]), system_caller(tenant, "manage.py"))
        return {"email": user.email, "tenant": tenant.slug, "role": options["role"], "user_id": options["user_id"]}

    def _platform_admin(self, options: dict[str, Any], password: Secret | None) -> dict[str, Any]:
        if options["tenant"] or options["user_id"]:
            raise Invalid.field("tenant", "A platform admin belongs to no tenant.", reason="tenant_given")
        email = checked_email(options["email"])
        if User.objects.filter(email=email).exists():
            raise Conflict("There is an account with this e-mail address already.", reason="user_exists")
        clear = checked_password(password)
        user = User.objects.create_user(email, clear, name=options["name"], is_platform_admin=True)
        operators.record(
            action="member.add",
            reason="platform_admin",
            request_id=new_request_id(),
            source_ip=None,
            details={"account": str(user.id)},
        )
        return {"email": user.email, "tenant": None, "role": "platform_admin", "user_id": None}
