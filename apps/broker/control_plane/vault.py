"""The token vault's settings."""

from __future__ import annotations

from apps.broker import contracts as c
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names
from apps.core.errors import NotFound
from apps.tenants.models import Tenant
from apps.vault.models import TenantKey


@handles(c.GetVault)
def get(command: c.GetVault, work: Work) -> c.VaultView:
    with work.change():
        work.require(names.VAULT)
        if command.vault_id != "default":
            raise NotFound(
                "There is no such token vault. Each tenant has one, named default.", reason="vault_not_found"
            )
        key = TenantKey.objects.filter(state=TenantKey.State.ACTIVE).first()
        updated = key.created_at if key else Tenant.objects.get(id=work.caller.tenant_id).created_at
        return c.VaultView(vault_id="default", customer_key=None, updated_at=updated)
