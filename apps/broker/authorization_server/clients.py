"""Clients of the authorization server: made with explicit scopes, shown their secret once, ended at once."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from apps.agents import queries as agents
from apps.authn.api_scopes import SCOPES, actions_of, unknown
from apps.authn.caller import CallerKind
from apps.authn.models import OAuthClient
from apps.authn.oauth import client_auth
from apps.authn.oauth.assertions import checked_key_set
from apps.authn.oauth.issuer import Issuer
from apps.authn.oauth.validator import end_all_tokens
from apps.broker.authorization_server import contracts as c
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import Conflict, Invalid, NotAllowed, NotFound
from apps.core.return_urls import check_registrable
from apps.core.secret import Secret
from apps.policy import facts
from apps.policy.permissions import GRANTABLE, PERMISSION, ROLE_ACTIONS
from apps.tenants.models import Tenant

_GRANTS = {
    "client_credentials": OAuthClient.GRANT_CLIENT_CREDENTIALS,
    "authorization_code": OAuthClient.GRANT_AUTHORIZATION_CODE,
}
_MAX_REDIRECTS = 20
_ANSWERS = {"code", "state", "iss", "error", "error_description"}


@handles(c.CreateApiClient)
def create(command: c.CreateApiClient, work: Work) -> c.NewApiClient:
    with work.change():
        work.require(names.VAULT)
        _check(command)
        _require_holds(command.scopes, work)
        tenant = Tenant.objects.get(id=work.caller.tenant_id)
        secret = client_auth.new_secret(tenant.account_id) if command.proof == "client_secret" else None
        row = OAuthClient.objects.create(
            client_id=f"client-{secrets.token_hex(16)}",
            name=command.name.strip()[:255],
            client_type=OAuthClient.CLIENT_PUBLIC if command.proof == "none" else OAuthClient.CLIENT_CONFIDENTIAL,
            authorization_grant_type=_GRANTS[command.grant],
            client_secret=client_auth.digest(secret) if secret is not None else "",
            proof=command.proof,
            allowed_scopes=sorted(set(command.scopes)),
            public_jwks=checked_key_set(command.jwks) if command.jwks is not None else {},
            redirect_uris=" ".join(dict.fromkeys(command.redirect_uris)),
            agent=agents.by_name(command.agent) if command.agent else None,
        )
        work.note(client_id=row.client_id, scopes=row.allowed_scopes, grant=command.grant, proof=command.proof)
        if row.agent is not None:
            work.note(agent=row.agent)
        return _shown(row, secret, tenant)


@handles(c.RotateApiClient)
def rotate(command: c.RotateApiClient, work: Work) -> c.NewApiClient:
    with work.change():
        work.require(names.VAULT)
        row = _find(command.client_id)
        work.note(client_id=row.client_id)
        _require_holds(tuple(row.allowed_scopes), work)
        tenant = Tenant.objects.get(id=work.caller.tenant_id)
        secret = None
        if row.proof == OAuthClient.Proof.SECRET and command.jwks is None:
            secret = client_auth.new_secret(tenant.account_id)
            row.client_secret = client_auth.digest(secret)
        elif row.proof == OAuthClient.Proof.PRIVATE_KEY and command.jwks is not None:
            row.public_jwks = checked_key_set(command.jwks)
        else:
            raise Invalid.field("jwks", "Give public keys for a client that signs, nothing otherwise.", reason="proof")
        row.save(update_fields=["client_secret", "public_jwks", "updated"])
        return _shown(row, secret, tenant)


@handles(c.DisableApiClient)
def disable(command: c.DisableApiClient, work: Work) -> None:
    with work.change():
        work.require(names.VAULT)
        row = _find(command.client_id)
        _set_status(row, OAuthClient.Status.DISABLED)
        work.note(client_id=row.client_id, tokens_ended=end_all_tokens(row))


@handles(c.EnableApiClient)
def enable(command: c.EnableApiClient, work: Work) -> None:
    with work.change():
        work.require(names.VAULT)
        row = _find(command.client_id)
        work.note(client_id=row.client_id)
        _require_holds(tuple(row.allowed_scopes), work)
        _set_status(row, OAuthClient.Status.ACTIVE)


@handles(c.DeleteApiClient)
def delete(command: c.DeleteApiClient, work: Work) -> None:
    with work.change():
        work.require(names.VAULT)
        row = _find(command.client_id)
        work.note(client_id=row.client_id, tokens_ended=end_all_tokens(row))
        row.delete()


def _check(command: c.CreateApiClient) -> None:
    def wrong(field: str, message: str) -> Invalid:
        return Invalid.field(field, message, reason=f"{field}_invalid")

    if not command.name.strip() or not command.name.isprintable():
        raise wrong("name", "A name people can read.")
    if strange := unknown(command.scopes):
        raise wrong("scopes", f"{strange[0][:64]!r} is not one of {', '.join(SCOPES)}.")
    if not command.scopes:
        raise wrong("scopes", "At least one scope.")
    if command.grant not in _GRANTS:
        raise wrong("grant", f"One of {', '.join(_GRANTS)}.")
    if command.proof not in OAuthClient.Proof.values:
        raise wrong("proof", f"One of {', '.join(OAuthClient.Proof.values)}.")
    if (command.proof == "private_key_jwt") != (command.jwks is not None):
        raise wrong("jwks", "Public keys, for a client that proves itself by private_key_jwt and for no other.")
    people = command.grant == "authorization_code"
    if command.proof == "none" and not people:
        raise wrong("proof", "A client of its own right has to prove itself.")
    if people != bool(command.redirect_uris):
        raise wrong("redirect_uris", "Needed for authorization_code, and for nothing else.")
    if command.agent and (people or not all(scope.startswith("tokens:") for scope in command.scopes)):
        raise wrong("agent", "A client of one agent uses client_credentials, with scopes that begin with tokens: only.")
    _check_redirects(command.redirect_uris, public=command.proof == "none")


def _check_redirects(uris: tuple[str, ...], *, public: bool) -> None:
    """https; for a public client (RFC 8252) the loopback host as well, with the port it is registered with."""
    if len(uris) > _MAX_REDIRECTS:
        raise Invalid.field("redirect_uris", f"At most {_MAX_REDIRECTS}.", reason="redirect_uris_invalid")
    for uri in uris:
        check_registrable(uri)
        if {name for name, _ in parse_qsl(urlsplit(uri).query)} & _ANSWERS:
            raise Invalid.field(
                "redirect_uris", "It may not hold a parameter the answer has.", reason="redirect_uris_invalid"
            )
        if not uri.startswith("https://") and not (public and uri.startswith("http://")):
            raise Invalid.field(
                "redirect_uris",
                "A redirect URI is https; the loopback host over http is for clients without a proof.",
                reason="redirect_uris_invalid",
            )


def _require_holds(scopes: tuple[str, ...], work: Work) -> None:
    """Nobody gives what they do not hold. Raises NotAllowed."""
    caller = work.caller
    if caller.scopes is not None and not set(scopes) <= caller.scopes:
        raise NotAllowed("The client would have scopes that this token lacks.", reason="grant_above_own")
    if caller.kind is not CallerKind.PERSON:
        return
    role = facts.role_of(caller.row_id, caller.tenant_id) if caller.row_id else None
    by_name = GRANTABLE.get(role or "", frozenset())
    by_role = ROLE_ACTIONS.get(role or "", frozenset())
    lacking = [
        action for action in actions_of(scopes) if action not in by_role and PERMISSION.get(action) not in by_name
    ]
    # Scopes also name actions of later versions; what nobody can do yet takes nothing from anybody.
    known = set().union(*ROLE_ACTIONS.values()) | set(PERMISSION)
    if any(action in known for action in lacking):
        raise NotAllowed("Your own role may not do all that this client could.", reason="grant_above_own")


def _find(client_id: str) -> OAuthClient:
    row: OAuthClient | None = (
        OAuthClient.objects.select_for_update(of=("self",)).select_related("agent").filter(client_id=client_id).first()
    )
    if row is None:
        raise NotFound("There is no such client.", reason="api_client_not_found")
    return row


def _set_status(row: OAuthClient, status: str) -> None:
    if row.status == status:
        raise Conflict("It is that already.", reason="status_unchanged")
    row.status = status
    row.save(update_fields=["status", "updated"])


def _shown(row: OAuthClient, secret: Secret | None, tenant: Any) -> c.NewApiClient:
    issuer = Issuer(tenant.slug)
    return c.NewApiClient(
        row_id=row.id,
        client_id=row.client_id,
        client_secret=secret,
        issuer=issuer.identifier,
        token_endpoint=issuer.endpoint("token"),
    )
