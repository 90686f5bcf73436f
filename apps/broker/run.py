"""The only road from an entrypoint to an answer: prove the right, act, record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from django.db import DatabaseError

from apps.authn.caller import Caller
from apps.broker.contracts import Command
from apps.broker.work import Work
from apps.core.errors import PortalError, Unavailable

Handler = Callable[[Any, Work], Any]
FastPath = Callable[[Any, Caller], Any]
_HANDLERS: dict[type[Command], Handler] = {}
_FAST: dict[type[Command], FastPath] = {}
log = structlog.get_logger("portal.broker")


def handles(command: type[Command]) -> Callable[[Handler], Handler]:
    """Register the handler of a command."""

    def register(handler: Handler) -> Handler:
        if command in _HANDLERS:
            raise RuntimeError(f"{command.__name__} has a handler already")
        _HANDLERS[command] = handler
        return handler

    return register


def answers_fast(command: type[Command]) -> Callable[[FastPath], FastPath]:
    """Register a one-round-trip answer: it authorises, reads and records, or says None and leaves no trace."""

    def register(fast: FastPath) -> FastPath:
        _FAST[command] = fast
        return fast

    return register


def run(command: Command, caller: Caller) -> Any:
    """Do what the command says for this caller, and leave exactly one record of it.

    Raises PortalError. If the record cannot be written the caller gets `Unavailable` and nothing else.
    """
    kind = type(command)
    fast = _FAST.get(kind)
    if fast is not None:
        outcome = fast(command, caller)
        if outcome is not None:
            return outcome
    work = Work(kind.action, caller)
    try:
        result = _HANDLERS[kind](command, work)
        if not work.authorized:
            raise RuntimeError(f"the handler of {kind.__name__} proved no right")
        work.finish()
    except PortalError as refusal:
        if work.recorded:
            raise
        ended = None if work.authorized else work.ended()
        work.refuse(ended or refusal)
        if ended is not None:
            raise ended from refusal
        raise
    except DatabaseError as broken:
        log.error("database_failed", action=kind.action, request_id=caller.request_id, error=type(broken).__name__)
        raise Unavailable(
            "The portal's database did not answer. Try again shortly.", reason="database_unavailable"
        ) from broken
    except Exception as fault:
        if not work.recorded:
            work.break_off(fault)
        raise
    return result
