"""Structured logs: one JSON object per line, with allow-listed fields and a last net for our own secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# Our own artefacts, and anything in an Authorization header: a log line is never their place.
_NET = re.compile(
    r"(?:\b(?:awt|acs|ast|abb|aot|aor|aoc|aos)_[0-9]{12}[0-9A-Za-z]{20,})|(?:eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)|(?i:bearer\s+[\w.~+/-]{12,})"
)
_MASK = "[removed]"


def scrub(text: str) -> str:
    """Replace everything that looks like one of our secrets, or a JWT."""
    return _NET.sub(_MASK, text)


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: _scrubbed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(inner) for inner in value]
    return value


def _scrub_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = _scrubbed(value)
    return event


# Frames of a sign-in hold the password: tracebacks without their local variables.
_tracebacks = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def configure() -> None:
    """Set structlog and the standard library's logging up for this process."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _tracebacks,
        _scrub_event,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared[:-1], _scrub_event],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _scrub_event,
                structlog.processors.JSONRenderer(default=repr),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("portal").setLevel(logging.INFO)
    # Query texts and outbound URLs may carry what is nobody's business.
    for noisy in ("django.db.backends", "urllib3", "requests", "oauthlib", "oauth2_provider", "social"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
