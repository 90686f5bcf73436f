"""One call's working paper: the scopes it opens, the right it proved, the record it leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from django.db import DatabaseError, transaction

from apps.agents.models import Agent
from apps.audit import recorder
from apps.authn.caller import Caller, CallerKind
from apps.connections.models import Connection, Principal
from apps.core import clock, names
from apps.core.errors import NotAllowed, PortalError, SealBroken, Unauthenticated, Unavailable
from apps.policy import facts
from apps.policy.clauses import Clause, Clauses, Deny, decide
from apps.policy.decide import client_clauses, key_clauses, role_clauses, scope_clauses
from apps.providers.models import Provider
from apps.tenants.scope import tenant_scope

# An access key for which one of these holds is none any more: it is answered like one that never was (T035).
_ENDED = frozenset(
    {
        "api_client_gone",
        "api_client_disabled",
        "access_key_gone",
        "access_key_disabled",
        "access_key_expired",
        "tenant_suspended",
        "gateway_key_gone",
    }
)

# A system caller is our own code; these are the only things it does.
SYSTEM_ACTIONS = frozenset(
    {
        "connection.renew",
        "connection.store",
        "consent.view",
        "consent.decide",
        "oauth.callback",
        "tenant.create",
        "tenant.update",
        "access_key.create",
        "issuer.trust",
        "member.add",
        "principal.link",
        "binding.set",
        "binding.survey",
        "policy.explain",
        "operation.unsupported",
        "request.rejected",
        "authn.failure",
        "agent.create",
        "authorizer.set",
        "gateway_key.create",
        "oauth_provider.create",
        "api_key_provider.create",
        "signing_key.rotate",
        "api_client.create",
        "api_client.rotate",
        "api_client.disable",
        "api_client.enable",
        "api_client.delete",
    }
)


class Work:
    """Handed to every handler by `run`.

    `look()` opens the tenant's scope for reading; `change()` opens it and writes the call's one audit record
    in the same transaction as the change; `require()` proves the right, and a handler that never called it
    is treated as a fault. Keep network calls outside both blocks.
    """

    def __init__(self, action: str, caller: Caller) -> None:
        self.caller = caller
        self.now: datetime = clock.now()
        self.recorded = False
        self.authorized = False
        self._entry = recorder.Entry(
            action=action,
            actor_kind=caller.kind.value,
            actor=caller.name,
            proof=caller.proof,
            request_id=caller.request_id,
            source_ip=caller.source_ip,
        )

    # --- scopes -----------------------------------------------------------------------------------------------

    @contextmanager
    def look(self) -> Iterator[None]:
        with tenant_scope(self.caller.tenant_id):
            yield

    @contextmanager
    def change(self) -> Iterator[None]:
        # The inner block is a savepoint only where a console page already holds the scope: a refusal then
        # undoes the change, but not the record of the refusal.
        with tenant_scope(self.caller.tenant_id), transaction.atomic():
            yield
            self._write(self._entry)
            self.recorded = True

    # --- rights -----------------------------------------------------------------------------------------------

    def arn(self, path: str) -> str:
        return names.prefix(self.caller.region, self.caller.account_id) + path

    def require(self, *paths: str, about: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Prove that the caller may do this to these resources. Call it inside a scope.

        `about` is what is proven about the request so far, by condition key. Raises Unauthenticated when the key or
        the tenant has ended meanwhile, NotAllowed otherwise.
        """
        self._require(self.clauses(tuple(self.arn(p) for p in paths), about=about or {}))
        self.authorized = True

    def require_possible(self, *paths: str) -> None:
        """Refuse a caller who may not do this whoever it is for, before anything is asked of an issuer. Whoever gets
        past still has to `require`, with what was proven then. Raises as `require` does."""
        self._require(self.clauses(tuple(self.arn(p) for p in paths), before_proof=True))

    def _require(self, clauses: Clauses) -> None:
        decision = decide(clauses)
        if isinstance(decision, Deny):
            if decision.reason in _ENDED:
                raise Unauthenticated(reason=decision.reason)
            if decision.clause is not None:
                self.note(clause=decision.clause.as_json())
            raise NotAllowed("You are not allowed to do this.", reason=decision.reason)

    def ended(self) -> Unauthenticated | None:
        """The refusal of a caller whose access key or tenant has ended meanwhile; None for everybody else.

        Whatever is refused before the right was proven must not tell such a caller more than that: not that the
        operation is unknown, the body unreadable or a session absent.
        """
        if self.caller.kind is not CallerKind.ACCESS_KEY:
            return None
        with self.look():
            decision = decide(self.clauses(()))
        ended = isinstance(decision, Deny) and decision.reason in _ENDED
        return Unauthenticated(reason=decision.reason) if ended else None  # type: ignore[union-attr]

    def acts_as(self, caller: Caller) -> None:
        """From here on the record names this caller: for calls whose proof is a part of the call itself.

        Raises ValueError for a caller of another tenant than the one the call came to.
        """
        if caller.tenant_id != self.caller.tenant_id:
            raise ValueError("a caller of another tenant")
        self.caller = caller
        self._entry.actor_kind, self._entry.actor, self._entry.proof = caller.kind.value, caller.name, caller.proof

    def proven_by_possession(self) -> None:
        """For consent pages: who holds the session's ticket may see it; the handler compares the person."""
        self.authorized = True

    def clauses(
        self, arns: tuple[str, ...], *, about: Mapping[str, tuple[str, ...]] | None = None, before_proof: bool = False
    ) -> Clauses:
        """The decision about the caller, clause by clause, from what is true now."""
        caller, action = self.caller, self._entry.action
        match caller.kind:
            case CallerKind.ACCESS_KEY:
                key = facts.of_key(caller.row_id) if caller.row_id else None
                if key is None:
                    return iter((Clause(rule="key.exists", holds=False, reason="access_key_gone"),))
                context = facts.context_of(key, arns, about or {})
                return key_clauses(
                    key, action=action, arns=arns, now=self.now, context=context, before_proof=before_proof
                )
            case CallerKind.PERSON:
                role = facts.role_of(caller.row_id, caller.tenant_id) if caller.row_id else None
                return chain(role_clauses(role, action=action), scope_clauses(caller.scopes, action=action))
            case CallerKind.API_CLIENT:
                client = facts.of_client(caller.row_id) if caller.row_id else None
                if client is None:
                    return iter((Clause(rule="client.exists", holds=False, reason="api_client_gone"),))
                return client_clauses(client, scopes=caller.scopes, action=action, arns=arns)
            case CallerKind.GATEWAY:
                active = caller.row_id is not None and facts.gateway_key_active(caller.row_id)
                allowed = active and action == "invocation.authorize"
                return iter((Clause(rule="gateway_key.invocation", holds=allowed, reason="gateway_key_gone"),))
            case CallerKind.SYSTEM:
                ours = action in SYSTEM_ACTIONS
                return iter((Clause(rule="system.action", holds=ours, reason="not_a_system_action"),))

    # --- the record -------------------------------------------------------------------------------------------

    def note(
        self,
        *,
        agent: Agent | None = None,
        principal: Principal | None = None,
        pseudonym: str | None = None,
        provider: Provider | None = None,
        provider_name: str | None = None,
        connection_id: UUID | None = None,
        **details: Any,
    ) -> None:
        """Say more about this call in its record. Details are plain data, never secrets."""
        entry = self._entry
        if agent is not None:
            entry.agent_id, entry.agent_name = agent.id, agent.name
        if principal is not None:
            entry.on_behalf_of = principal.pseudonym
        if pseudonym is not None:
            entry.on_behalf_of = pseudonym
        if provider is not None:
            entry.provider_name = provider.name
        if provider_name is not None:
            entry.provider_name = provider_name
        if connection_id is not None:
            entry.connection_id = connection_id
        entry.details = {**entry.details, **details}

    def also(self, action: str, *, outcome: str = "allowed", reason: str = "", **details: Any) -> None:
        """A second record of the same call, for a step with a name of its own. Call it inside a scope."""
        self._write(replace(self._entry, action=action, outcome=outcome, reason=reason, details=details))

    def intent(self, action: str, **details: Any) -> None:
        """Committed on its own before the network is touched: a crash afterwards leaves a trace."""
        with tenant_scope(self.caller.tenant_id):
            self._write(replace(self._entry, action=action, outcome="intent", details=details))

    def finish(self) -> None:
        """Record a call that changed nothing."""
        if not self.recorded:
            with self.change():
                pass

    def refuse(self, refusal: PortalError) -> None:
        if isinstance(refusal, SealBroken):
            self.seal_broken(refusal, connection_id=self._entry.connection_id)
        self._close("denied", refusal.reason)

    def seal_broken(self, broken: SealBroken, *, connection_id: UUID | None = None, **where: Any) -> None:
        """Record that a sealed value did not open. A connection whose own token it was is taken out of service:
        asking for it again would fail for ever, and somebody may have put it there."""
        with self.look():
            self.also("vault.integrity_failure", outcome="failed", reason=broken.reason, **where)
            if connection_id is not None:
                Connection.objects.filter(id=connection_id, status=Connection.Status.ACTIVE).update(
                    status=Connection.Status.NEEDS_RECONSENT, status_reason=broken.reason
                )

    def break_off(self, fault: Exception) -> None:
        self._close("failed", type(fault).__name__)

    def _close(self, outcome: str, reason: str) -> None:
        with tenant_scope(self.caller.tenant_id):
            self._write(replace(self._entry, outcome=outcome, reason=reason))
        self.recorded = True

    def _write(self, entry: recorder.Entry) -> None:
        try:
            recorder.write(entry)
        except DatabaseError as broken:
            raise Unavailable(
                "The audit trail cannot be written, so nothing is released. Try again shortly.",
                reason="audit_unavailable",
                private=type(broken).__name__,
            ) from broken
