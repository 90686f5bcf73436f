"""API-key credential providers."""

from __future__ import annotations

from apps.broker import contracts as c
from apps.broker import cursors, versions
from apps.broker.control_plane import provider_secrets
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import Invalid
from apps.core.secret import Secret
from apps.providers import actions, queries
from apps.providers.models import Provider
from apps.vault import storing

_KIND = Provider.Kind.API_KEY


def _view(row: Provider, work: Work) -> c.ApiKeyProviderView:
    return c.ApiKeyProviderView(
        id=row.id,
        name=row.name,
        arn=work.arn(names.api_key_provider(row.name)),
        secret_arn=provider_secrets.arn(row, work),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _checked(key: Secret) -> Secret:
    if not key:
        raise Invalid.field("api_key", "The API key is empty.", reason="api_key_empty")
    return key


@handles(c.CreateApiKeyProvider)
def create(command: c.CreateApiKeyProvider, work: Work) -> c.ApiKeyProviderView:
    work.note(provider_name=command.name)
    with work.change():
        work.require(names.VAULT, names.api_key_provider(command.name))
        key = _checked(command.api_key)
        row = actions.create(kind=_KIND, name=command.name, tags=dict(command.tags))
        provider_secrets.keep(row, key)
        return _view(row, work)


@handles(c.GetApiKeyProvider)
def get(command: c.GetApiKeyProvider, work: Work) -> c.ApiKeyProviderView:
    work.note(provider_name=command.name)
    with work.change():
        work.require(names.VAULT, names.api_key_provider(command.name))
        return _view(queries.by_name(_KIND, command.name), work)


@handles(c.UpdateApiKeyProvider)
def update(command: c.UpdateApiKeyProvider, work: Work) -> c.ApiKeyProviderView:
    """None keeps the stored key."""
    work.note(provider_name=command.name, replaced=command.api_key is not None)
    with work.change():
        work.require(names.VAULT, names.api_key_provider(command.name))
        row = queries.by_name(_KIND, command.name, lock=True)
        versions.require(row, command.expect)
        if command.api_key is not None:
            provider_secrets.keep(row, _checked(command.api_key))
        row.save(update_fields=["updated_at"])
        return _view(row, work)


@handles(c.DeleteApiKeyProvider)
def delete(command: c.DeleteApiKeyProvider, work: Work) -> None:
    work.note(provider_name=command.name)
    with work.change():
        work.require(names.VAULT, names.api_key_provider(command.name))
        row = queries.by_name(_KIND, command.name, lock=True)
        storing.forget(table=provider_secrets.TABLE, row_ids=[row.id])
        row.delete()


@handles(c.ListApiKeyProviders)
def list_(command: c.ListApiKeyProviders, work: Work) -> c.Page:
    with work.change():
        work.require(names.VAULT)
        return cursors.paged(
            work.caller.tenant_id,
            "api_keys",
            cursor=command.cursor,
            limit=command.limit,
            fetch=lambda after, limit: queries.page(_KIND, after=after, limit=limit),
            show=lambda row: _view(row, work),
        )
