"""Make a client of a tenant's authorization server."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from apps.broker.authorization_server import contracts as c
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.core.errors import Invalid
from apps.entrypoints.ops.management.base import OperatorCommand, tenant_by_slug


class Command(OperatorCommand):
    help = "Make an OAuth client with explicit scopes. A secret, where there is one, is shown once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("tenant", metavar="TENANT")
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--scope", action="append", required=True, help="repeat it for several")
        parser.add_argument("--grant", choices=["client_credentials", "authorization_code"])
        parser.add_argument("--redirect-uri", action="append", default=[], help="exact; makes it an app of people")
        parser.add_argument("--public", action="store_true", help="the app cannot keep a secret: PKCE alone")
        parser.add_argument("--jwks-stdin", action="store_true", help="private_key_jwt: public keys on standard input")
        parser.add_argument("--agent", help="the client acts for this agent only")

    def act(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_by_slug(options["tenant"])
        jwks = _keys() if options["jwks_stdin"] else None
        proof = "none" if options["public"] else "private_key_jwt" if jwks is not None else "client_secret"
        people = "authorization_code" if options["redirect_uri"] else "client_credentials"
        command = c.CreateApiClient(
            name=options["name"],
            scopes=tuple(options["scope"]),
            grant=options["grant"] or people,
            proof=proof,
            jwks=jwks,
            redirect_uris=tuple(options["redirect_uri"]),
            agent=options["agent"],
        )
        return shown(tenant.slug, run(command, system_caller(tenant, "manage.py")))


def shown(slug: str, made: c.NewApiClient) -> dict[str, Any]:
    answer = {
        "tenant": slug,
        "client_id": made.client_id,
        "issuer": made.issuer,
        "token_endpoint": made.token_endpoint,
    }
    if made.client_secret is not None:
        answer["client_secret"] = made.client_secret.reveal()
    return answer


def _keys() -> dict[str, Any]:
    try:
        found = json.loads(sys.stdin.read(65_536))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Invalid.field("jwks", "Standard input holds no JWK set.", reason="jwks_invalid")
    return found
