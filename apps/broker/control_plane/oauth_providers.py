"""OAuth 2.0 credential providers.

A client secret belongs to (issuer, token endpoint, client id): changing any of them needs the secret again in
the same call, and parks every connection made under the old settings (security: credentials are bound to the
authorization server they are for).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

from apps.broker import contracts as c
from apps.broker import cursors, versions
from apps.broker.control_plane import provider_secrets
from apps.broker.control_plane.agents import forget_secrets_of
from apps.broker.control_plane.provider_settings import Resolved, resolve
from apps.broker.run import handles
from apps.broker.work import Work
from apps.connections.models import Connection
from apps.core import names
from apps.core.errors import Invalid
from apps.providers import actions, queries
from apps.providers.models import Provider
from apps.vault import storing

_KIND = Provider.Kind.OAUTH2
_BOUND = ("issuer", "token_endpoint", "authorization_endpoint", "revocation_endpoint", "jwks_uri")


def view(row: Provider, work: Work) -> c.OAuthProviderView:
    config: Mapping[str, Any] = row.config
    meta = config.get("metadata")
    return c.OAuthProviderView(
        id=row.id,
        name=row.name,
        vendor=row.vendor,
        arn=work.arn(names.oauth_provider(row.name)),
        secret_arn=provider_secrets.arn(row, work),
        callback_url=f"{settings.PUBLIC_URL}/connect/callback/{row.callback_id}",
        client_id=row.client_id,
        discovery_url=config.get("discovery_url"),
        metadata=(
            c.ServerMetadata(
                issuer=meta["issuer"],
                authorization_endpoint=meta["authorization_endpoint"],
                token_endpoint=meta["token_endpoint"],
                response_types=tuple(meta.get("response_types", ())),
                token_endpoint_auth_methods=tuple(meta.get("token_endpoint_auth_methods", ())),
            )
            if meta
            else None
        ),
        client_authentication_method=config.get("client_authentication_method"),
        on_behalf_of=config.get("on_behalf_of"),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


@handles(c.CreateOAuthProvider)
def create(command: c.CreateOAuthProvider, work: Work) -> c.OAuthProviderView:
    work.note(provider_name=command.name, vendor=command.settings.vendor)
    with work.look():
        work.require(names.VAULT, names.oauth_provider(command.name))
    resolved = resolve(command.settings, for_tenant=work.caller.tenant_id)  # may read discovery: outside any scope
    if not command.settings.client_secret:
        raise Invalid.field("client_secret", "The client secret is missing.", reason="client_secret_missing")
    with work.change():
        row = actions.create(
            kind=_KIND,
            name=command.name,
            vendor=command.settings.vendor,
            client_id=command.settings.client_id,
            config=resolved.config,
            endpoints=resolved.endpoints,
            callback_id=actions.new_callback_id(work.caller.account_id),
            tags=dict(command.tags),
        )
        provider_secrets.keep(row, command.settings.client_secret)
        work.note(token_endpoint=resolved.endpoints["token_endpoint"])
        return view(row, work)


@handles(c.GetOAuthProvider)
def get(command: c.GetOAuthProvider, work: Work) -> c.OAuthProviderView:
    work.note(provider_name=command.name)
    with work.change():
        work.require(names.VAULT, names.oauth_provider(command.name))
        return view(queries.by_name(_KIND, command.name), work)


@handles(c.UpdateOAuthProvider)
def update(command: c.UpdateOAuthProvider, work: Work) -> c.OAuthProviderView:
    work.note(provider_name=command.name, vendor=command.settings.vendor)
    with work.look():
        work.require(names.VAULT, names.oauth_provider(command.name))
        stored = queries.by_name(_KIND, command.name)
    wanted = command.settings
    if command.keep_exchange:
        wanted = replace(wanted, on_behalf_of=stored.config.get("on_behalf_of"))
    resolved = resolve(wanted, for_tenant=work.caller.tenant_id)
    with work.change():
        row = queries.by_name(_KIND, command.name, lock=True)
        versions.require(row, command.expect)
        moved = _moved(row, command.settings, resolved)
        if moved and not command.settings.client_secret:
            raise Invalid.field(
                "client_secret",
                "This changes who the stored client secret would be sent to. Give the secret again.",
                reason="secret_needed_again",
            )
        if moved:
            work.note(moved=moved, before=row.endpoints["token_endpoint"], after=resolved.endpoints["token_endpoint"])
            row.config_version += 1
            parked = Connection.objects.filter(provider=row, status=Connection.Status.ACTIVE).update(
                status=Connection.Status.NEEDS_RECONSENT, status_reason="provider_changed"
            )
            work.note(connections_parked=parked)
        row.vendor, row.client_id = command.settings.vendor, command.settings.client_id
        row.config, row.endpoints = resolved.config, resolved.endpoints
        row.save()
        if command.settings.client_secret:
            provider_secrets.keep(row, command.settings.client_secret)
        return view(row, work)


def _moved(row: Provider, wanted: c.OAuthSettings, resolved: Resolved) -> list[str]:
    changed = [name for name in _BOUND if row.endpoints.get(name) != resolved.endpoints.get(name)]
    return changed + (["client_id"] if row.client_id != wanted.client_id else [])


@handles(c.DeleteOAuthProvider)
def delete(command: c.DeleteOAuthProvider, work: Work) -> None:
    """Its connections and open consents end with it."""
    work.note(provider_name=command.name)
    with work.change():
        work.require(names.VAULT, names.oauth_provider(command.name))
        row = queries.by_name(_KIND, command.name, lock=True)
        work.note(connections_ended=forget_secrets_of(provider_id=row.id))
        storing.forget(table=provider_secrets.TABLE, row_ids=[row.id])
        row.delete()


@handles(c.ListOAuthProviders)
def list_(command: c.ListOAuthProviders, work: Work) -> c.Page:
    with work.change():
        work.require(names.VAULT)
        return cursors.paged(
            work.caller.tenant_id,
            "oauth_providers",
            cursor=command.cursor,
            limit=command.limit,
            fetch=lambda after, limit: queries.page(_KIND, after=after, limit=limit),
            show=lambda row: view(row, work),
        )
