"""The gate of the pages: which tenant a link belongs to, and who is at the browser.

Pages have no tenant in their path. The session's ticket and the provider's callback id start with the tenant's
12-digit account id; that only says where to look, the broker proves the rest.
"""

from __future__ import annotations

import re

from apps.audit import operators
from apps.authn.caller import Caller, CallerKind
from apps.broker.work import Work
from apps.core import tickets
from apps.core.errors import NotFound, PortalError, Unauthenticated
from apps.tenants.models import Tenant, User

_CALLBACK_ID = re.compile(r"([0-9]{12})[0-9A-Za-z]{16,52}")


def for_session(ticket: str, *, user: User | None, request_id: str, source_ip: str | None) -> Caller:
    """The caller of a page about one consent session.

    Raises NotFound for anything that names no tenant at work; that leaves one operators' record.
    """
    try:
        account_id = tickets.read(tickets.Kind.CONSENT_SESSION, ticket).account_id
    except Unauthenticated as bad:
        raise _turned_away("request.rejected", bad.reason, request_id, source_ip) from bad
    return _caller("request.rejected", account_id, user, request_id, source_ip)


def for_callback(callback_id: str, *, user: User | None, request_id: str, source_ip: str | None) -> Caller:
    """The caller of a provider's callback address. Raises NotFound as `for_session` does."""
    form = _CALLBACK_ID.fullmatch(callback_id)
    if form is None:
        raise _turned_away("oauth.callback_rejected", "callback_malformed", request_id, source_ip)
    return _caller("oauth.callback_rejected", form[1], user, request_id, source_ip)


def record_rejection(caller: Caller, refused: PortalError) -> None:
    """A form that could not be read: one record, no work."""
    Work("request.rejected", caller).refuse(refused)


def record_sign_in(*, user: User | None, problem: str, request_id: str, source_ip: str | None) -> None:
    """Record that a person signed in, or in `problem` why somebody could not (`password_refused`, `locked_out`).

    In the operators' stream, because a person belongs to no tenant before they choose what to do. What was typed
    is not recorded: people type passwords into the wrong field.
    """
    operators.record(
        action="person.sign_in_failed" if problem else "person.sign_in",
        reason=problem,
        request_id=request_id,
        source_ip=source_ip,
        details={"account": str(user.id)} if user is not None else {"at": "sign_in"},
    )


def _caller(action: str, account_id: str, user: User | None, request_id: str, source_ip: str | None) -> Caller:
    tenant = Tenant.objects.filter(account_id=account_id).first()
    if tenant is None:
        raise _turned_away(action, "tenant_unknown", request_id, source_ip)
    if tenant.status != Tenant.Status.ACTIVE:
        raise _turned_away(action, "tenant_suspended", request_id, source_ip, account_id=account_id)
    return Caller(
        tenant_id=tenant.id,
        account_id=tenant.account_id,
        kind=CallerKind.PERSON,
        name=str(user.id) if user is not None else "browser",
        row_id=user.id if user is not None else None,
        proof="session" if user is not None else "ticket",
        request_id=request_id,
        source_ip=source_ip,
    )


def _turned_away(action: str, reason: str, request_id: str, source_ip: str | None, *, account_id: str = "") -> NotFound:
    operators.record(
        action=action,
        reason=reason,
        request_id=request_id,
        source_ip=source_ip,
        details={"account_id": account_id} if account_id else {},
    )
    return NotFound("There is no such consent request.", reason=reason)
