"""Per tenant, once an hour: forget what is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import Exists, OuterRef

from apps.authn.models import (
    OAuthAccessToken,
    OAuthAssertion,
    OAuthGrant,
    OAuthRefreshToken,
    WorkloadToken,
)
from apps.authn.oauth.server import REFRESH_TOKEN_LIFE_S
from apps.broker import idempotency
from apps.connections import sessions
from apps.connections.models import ConsentSession
from apps.core import clock
from apps.tenants import due
from apps.tenants.scope import tenant_scope

log = structlog.get_logger("portal.housekeeping")
KIND = "housekeeping"
EVERY = timedelta(hours=1)
_BATCH = 5_000
# An ended session is kept a week, so that a late poll or click still gets a sentence instead of a 404.
_KEEP_SESSIONS = timedelta(days=7)


def sweep(*, limit: int = 50) -> int:
    """Clean the tenants that are due. Returns how many."""
    items = due.claim(KIND, now=clock.now(), limit=limit, lease_s=300)
    for item in items:
        removed = clean(item.tenant_id)
        log.info("cleaned", tenant=str(item.tenant_id), **removed)
        due.again(item, due_at=clock.now() + EVERY)
    return len(items)


def clean(tenant_id: UUID) -> dict[str, int]:
    """Remove expired workload tokens, old answers and old sessions; close sessions whose time is up."""
    now = clock.now()
    removed: dict[str, int] = {}
    with tenant_scope(tenant_id):
        ids = list(WorkloadToken.objects.filter(expires_at__lt=now).values_list("id", flat=True)[:_BATCH])
        removed["tokens"] = WorkloadToken.objects.filter(id__in=ids).delete()[0]
        removed["answers"] = idempotency.forget_old(now)
        for session in ConsentSession.objects.filter(status__in=ConsentSession.LIVE, expires_at__lt=now)[:500]:
            sessions.end(session, ConsentSession.Status.EXPIRED, "expired")
        gone = ConsentSession.objects.filter(updated_at__lt=now - _KEEP_SESSIONS).exclude(
            status__in=ConsentSession.LIVE
        )
        removed["sessions"] = gone.delete()[0]
        removed |= _clean_oauth(now)
    return removed


def _clean_oauth(now: datetime) -> dict[str, int]:
    """Used codes and ended refresh tokens stay as long as their second use has something to end."""
    over = now - timedelta(seconds=REFRESH_TOKEN_LIFE_S) - EVERY
    live = OAuthRefreshToken.objects.filter(access_token_id=OuterRef("id"), revoked=None)
    expired = OAuthAccessToken.objects.filter(expires__lt=now - EVERY / 2).exclude(Exists(live))
    return {
        "assertions": OAuthAssertion.objects.filter(expires_at__lt=now).delete()[0],
        "refresh_tokens": OAuthRefreshToken.objects.filter(updated__lt=over).delete()[0],
        "codes": OAuthGrant.objects.filter(expires__lt=over).delete()[0],
        "access_tokens": expired.delete()[0],
    }
