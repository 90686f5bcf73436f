"""Names and resting places of providers' secrets."""

from __future__ import annotations

import base64
from uuid import UUID

from apps.broker.work import Work
from apps.core import names
from apps.core.secret import Secret
from apps.providers.models import Provider
from apps.vault import storing

TABLE = "providers_provider"
COLUMN = {Provider.Kind.OAUTH2: "client_secret", Provider.Kind.API_KEY: "api_key"}
_PURPOSE = {Provider.Kind.OAUTH2: "provider.client_secret", Provider.Kind.API_KEY: "provider.api_key"}
_WORD = {Provider.Kind.OAUTH2: "oauth2", Provider.Kind.API_KEY: "apikey"}


def keep(provider: Provider, secret: Secret) -> None:
    kind = Provider.Kind(provider.kind)
    storing.put(secret, table=TABLE, row_id=provider.id, column=COLUMN[kind], purpose=_PURPOSE[kind])


def held(provider: Provider) -> bool:
    return storing.has(table=TABLE, row_id=provider.id, column=COLUMN[Provider.Kind(provider.kind)])


def arn(provider: Provider, work: Work) -> str:
    """The synthetic name of the stored secret, stable for the provider's life. It opens nothing."""
    return names.managed_secret(
        work.caller.region,
        work.caller.account_id,
        _WORD[Provider.Kind(provider.kind)],
        provider.name,
        _suffix(provider.id),
    )


def _suffix(row_id: UUID) -> str:
    return base64.b32encode(row_id.bytes).decode()[:6]
