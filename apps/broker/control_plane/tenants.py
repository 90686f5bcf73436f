"""Tenants: made by the platform, set by their owners."""

from __future__ import annotations

import re
import secrets
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction

from apps.authn.caller import Caller, CallerKind
from apps.broker import contracts as c
from apps.broker import versions
from apps.broker.run import handles, run
from apps.broker.upkeep import housekeeping
from apps.broker.work import Work
from apps.core import clock, names
from apps.core.errors import Conflict, Invalid
from apps.core.secret import Secret
from apps.tenants import due
from apps.tenants.models import Tenant

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])", re.ASCII)


def system_caller(tenant: Tenant, name: str) -> Caller:
    """Our own code working for a tenant: the command line and the clock."""
    return Caller(
        tenant_id=tenant.id,
        account_id=tenant.account_id,
        kind=CallerKind.SYSTEM,
        name=name,
        row_id=None,
        proof="local",
        request_id=str(uuid.uuid4()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTenant:
    tenant: Tenant
    key: c.NewAccessKey
    endpoint_url: str


def create_tenant(*, slug: str, name: str, closed: bool, dev: bool, by: str) -> NewTenant:
    """Make a tenant and the access key that may do everything inside it.

    Raises Invalid for a slug that is not 3 to 63 lower-case letters, digits and dashes, Conflict if it is taken.
    """
    if not _SLUG.fullmatch(slug):
        raise Invalid.field(
            "slug",
            "A tenant's slug is 3 to 63 lower-case letters, digits and dashes, not at the ends.",
            reason="slug_invalid",
        )
    tenant = _insert(slug, name, closed, dev)
    caller = system_caller(tenant, by)
    run(RecordNewTenant(closed=closed, dev=dev), caller)
    due.schedule(
        tenant_id=tenant.id, kind=housekeeping.KIND, item_id=tenant.id, due_at=clock.now() + housekeeping.EVERY
    )
    key = run(c.CreateAccessKey(label="first key", full_access=True), caller)
    return NewTenant(tenant=tenant, key=key, endpoint_url=settings.PUBLIC_URL)


def _insert(slug: str, name: str, closed: bool, dev: bool) -> Tenant:
    for _ in range(20):
        try:
            with transaction.atomic():
                return Tenant.objects.create(
                    slug=slug,
                    name=name or slug,
                    account_id=f"{secrets.randbelow(9 * 10**11) + 10**11}",
                    binding_mode="closed" if closed else "open",
                    claim_user_ids=dev,
                    pseudonym_key=Secret(secrets.token_urlsafe(32)),  # type: ignore[misc]
                )
        except IntegrityError:
            if Tenant.objects.filter(slug=slug).exists():
                raise Conflict("There is a tenant with this slug already.", reason="slug_taken") from None
    raise Conflict("No free account number was found. Try again.", reason="account_numbers")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordNewTenant(c.Command):
    """The first record in a new tenant's trail."""

    action = "tenant.create"
    closed: bool
    dev: bool


@handles(RecordNewTenant)
def _record(command: RecordNewTenant, work: Work) -> None:
    with work.change():
        work.require(names.VAULT)
        work.note(binding_mode="closed" if command.closed else "open", claim_user_ids=command.dev)


@handles(c.UpdateTenant)
def update(command: c.UpdateTenant, work: Work) -> None:
    wanted = {
        field: value
        for field in (
            "name",
            "binding_mode",
            "claim_user_ids",
            "workload_token_life_s",
            "consent_session_life_s",
            "stale_issuer_keys_s",
        )
        if (value := getattr(command, field)) is not None
    }
    for field, low, high in (
        ("workload_token_life_s", 300, 43_200),
        ("consent_session_life_s", 60, 3_600),
        ("stale_issuer_keys_s", 0, 259_200),
    ):
        if field in wanted and not low <= int(wanted[field]) <= high:
            raise Invalid.field(field, f"Between {low} and {high} seconds.", reason="out_of_range")
    if wanted.get("binding_mode") not in (None, "open", "closed"):
        raise Invalid.field("binding_mode", "Either open or closed.", reason="out_of_range")
    with work.change():
        work.require(names.VAULT)
        tenant = Tenant.objects.select_for_update().get(id=work.caller.tenant_id)
        versions.require(tenant, command.expect)
        work.note(before={f: getattr(tenant, f) for f in wanted}, after=wanted)
        for field, value in wanted.items():
            setattr(tenant, field, value)
        tenant.save(update_fields=[*wanted, "updated_at"])
