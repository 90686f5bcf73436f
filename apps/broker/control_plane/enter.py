"""Platform staff enter a tenant: they belong to none, so each time is recorded in the tenant's own trail."""

from __future__ import annotations

from dataclasses import dataclass

from apps.broker import contracts as c
from apps.broker.run import handles
from apps.broker.work import Work
from apps.core import names


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterTenant(c.Command):
    """The caller's tenant is the one entered. `why` goes to the record."""

    action = "tenant.enter"
    why: str = ""


@handles(EnterTenant)
def enter(command: EnterTenant, work: Work) -> None:
    with work.change():
        work.require(names.VAULT)
        work.note(why=command.why.strip()[:500])
