"""The one transport of this process. Settings configure it once; everything else asks for it."""

from __future__ import annotations

from pathlib import Path

from apps.core.net.guarded import GuardedTransport

_transport: GuardedTransport | None = None


def configure(
    *,
    allowed_private: frozenset[tuple[str, int]] = frozenset(),
    approved_hosts: frozenset[str] | None = None,
    ca_bundle: Path | None = None,
    per_tenant: int = 8,
) -> GuardedTransport:
    """Build the transport from the operator's settings. Called again, it replaces the earlier one.

    Costs nothing until the first call: certificates are loaded and sockets opened only then.
    """
    return install(
        GuardedTransport(
            allowed_private=allowed_private,
            approved_hosts=approved_hosts,
            ca_bundle=ca_bundle,
            per_tenant=per_tenant,
        )
    )


def install(transport: GuardedTransport) -> GuardedTransport:
    """Use this transport from now on, for example one with a test's resolver."""
    global _transport
    _transport = transport
    return transport


def transport() -> GuardedTransport:
    """Raises RuntimeError if nobody configured one: a forgotten setting must not mean an unguarded call."""
    if _transport is None:
        raise RuntimeError("apps.core.net.process.configure() was not called")
    return _transport
