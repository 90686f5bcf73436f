"""The token, revocation and introspection endpoints: one transaction each, the record in it.

What a refused request ended (a family whose code or refresh token came twice) is committed with a record of its own,
before the refusal is answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

from apps.authn.caller import CallerKind
from apps.authn.oauth.client_auth import ClientProof
from apps.authn.oauth.errors import OAuthRefused
from apps.authn.oauth.issuer import Issuer
from apps.authn.oauth.server import GRANT_TYPES, PortalServer, code_digest
from apps.authn.oauth.validator import PortalValidator
from apps.broker import oauth_gate
from apps.broker.authorization_server import bearer
from apps.broker.authorization_server import contracts as c
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import tickets
from apps.core.errors import Unauthenticated
from apps.core.secret import Secret
from apps.tenants.models import Tenant

# What each grant reads; everything else a client sends is ignored (RFC 6749 section 3.2), not handed on.
_READ = {
    "authorization_code": ("code", "redirect_uri", "code_verifier"),
    "client_credentials": ("scope",),
    "refresh_token": ("refresh_token", "scope"),
}
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


class Endpoint:
    """The machinery of one tenant, for one request. Make it inside the scope."""

    def __init__(self, work: Work, proof: ClientProof | None) -> None:
        self.tenant = Tenant.objects.get(id=work.caller.tenant_id)
        self.issuer = Issuer(self.tenant.slug)
        self.validator = PortalValidator(issuer=self.issuer, proof=proof, now=work.now, stored_code=code_digest)
        self.server = PortalServer(self.validator, self.tenant.account_id)
        self._work = work

    def name_client(self) -> None:
        """From here on the record names the client, if it has proven itself."""
        client = self.validator.client
        if client is not None:
            self._work.acts_as(
                replace(
                    self._work.caller,
                    kind=CallerKind.API_CLIENT,
                    name=client.client_id,
                    row_id=client.id,
                    proof=client.proof,
                )
            )


@contextmanager
def _endpoint(work: Work, proof: ClientProof) -> Iterator[Endpoint]:
    with work.look():
        made = Endpoint(work, proof)
        yield made
        made.name_client()
        if made.validator.ended_family is not None:
            work.also("api_token.family_revoked", outcome="denied", reason=made.validator.why)


@handles(c.TokenRequest)
def issue(command: c.TokenRequest, work: Work) -> c.TokensIssued:
    work.note(grant_type=command.grant_type[:40])
    if command.grant_type not in GRANT_TYPES:
        raise OAuthRefused("unsupported_grant_type", reason="grant_type_unknown")
    body = _body(command)
    with _endpoint(work, command.proof) as endpoint:
        _, answer, status = endpoint.server.create_token_response(endpoint.issuer.endpoint("token"), "POST", body, {})
        said = json.loads(answer)
        if status == 200:
            endpoint.name_client()
            # Over the limit, what was about to be stored is undone: a code or refresh token is not spent for nothing.
            oauth_gate.count_client(work.caller)
            work.proven_by_possession()
            work.note(scopes=sorted(said["scope"].split()))
            # In the transaction that stored the token: no token without its record.
            with work.change():
                pass
    if status != 200:
        raise _refusal(said, endpoint.validator.why)
    refresh = said.get("refresh_token")
    return c.TokensIssued(
        access_token=Secret(said["access_token"]),
        refresh_token=Secret(refresh) if refresh else None,
        expires_in_s=said["expires_in"],
        scope=said["scope"],
    )


@handles(c.RevokeToken)
def revoke(command: c.RevokeToken, work: Work) -> None:
    form = {"token": command.token.reveal(), "client_id": command.proof.client_id}
    if command.hint in ("access_token", "refresh_token"):
        form["token_type_hint"] = command.hint
    with _endpoint(work, command.proof) as endpoint:
        _, answer, status = endpoint.server.create_revocation_response(
            endpoint.issuer.endpoint("revoke"), "POST", urlencode(form), {}
        )
        if status == 200:
            endpoint.name_client()
            # Over the limit, what was about to be stored is undone: a code or refresh token is not spent for nothing.
            oauth_gate.count_client(work.caller)
            work.proven_by_possession()
            with work.change():
                pass
    if status != 200:
        raise _refusal(json.loads(answer), endpoint.validator.why)


@handles(c.IntrospectToken)
def introspect(command: c.IntrospectToken, work: Work) -> Mapping[str, Any]:
    """Whatever is not an active access token of the very client that asks is `active: false`, and no more is said."""
    with _endpoint(work, command.proof) as endpoint:
        request = _Plain()
        if not endpoint.validator.authenticate_client(request):
            found, known = None, False
        else:
            known = True
            found = _own_token(command.token, endpoint, work)
    if not known:
        raise OAuthRefused("invalid_client", reason=endpoint.validator.why)
    oauth_gate.count_client(work.caller)
    work.proven_by_possession()
    work.note(active=found is not None)
    if found is None:
        return {"active": False}
    client_id = endpoint.validator.client.client_id if endpoint.validator.client is not None else ""
    return {
        "active": True,
        "iss": endpoint.issuer.identifier,
        "client_id": client_id,
        "sub": str(found.user_id) if found.user_id is not None else client_id,
        "scope": " ".join(sorted(found.scopes)),
        "token_type": "Bearer",
        "exp": int(found.expires_at.timestamp()),
    }


class _Plain:
    """What the validator writes its findings on, where no grant is involved."""

    client: Any = None
    client_id: Any = None


def _own_token(token: Secret, endpoint: Endpoint, work: Work) -> bearer.Found | None:
    try:
        ticket = tickets.read(tickets.Kind.ACCESS_TOKEN, token.reveal())
    except Unauthenticated:
        return None
    client = endpoint.validator.client
    if ticket.account_id != endpoint.tenant.account_id or client is None:
        return None
    found = bearer.find(token, ticket.account_id, now=work.now)
    return found if found is not None and found.client_row == client.id else None


def _body(command: c.TokenRequest) -> str:
    """The form for the grant: only what it reads, a code by its digest. Raises OAuthRefused."""
    given = {name: command.parameters[name] for name in _READ[command.grant_type] if name in command.parameters}
    form = {"grant_type": command.grant_type, "client_id": command.proof.client_id}
    for name, value in given.items():
        form[name] = code_digest(value) if name == "code" else value.reveal()
    if command.grant_type == "authorization_code":
        for name in ("code", "redirect_uri", "code_verifier"):
            if name not in form:
                raise OAuthRefused("invalid_request", reason=f"{name}_missing")
        if not _VERIFIER.fullmatch(form["code_verifier"]):
            raise OAuthRefused("invalid_request", reason="code_verifier_malformed")
    resource = command.parameters.get("resource")
    if resource is not None and resource.reveal() not in own_resources():
        raise OAuthRefused("invalid_target", reason="resource_unknown")
    return urlencode(form)


def own_resources() -> tuple[str, ...]:
    """The resources (RFC 8707) tokens are for: the portal's API, which is where they work anyway."""
    return (settings.PUBLIC_URL, f"{settings.PUBLIC_URL}/api/v1")


def _refusal(said: Mapping[str, Any], why: str) -> OAuthRefused:
    error = str(said.get("error", "invalid_request"))
    return OAuthRefused(error, reason=why or error)
