"""May this agent use this provider so? Pure. Open tenants need no binding; ceilings hold in both modes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apps.policy.decide import Allow, Decision, Deny


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingFacts:
    """`flows` empty: every flow. `ceiling` None: every scope."""

    flows: frozenset[str]
    ceiling: frozenset[str] | None


def may_use(*, closed: bool, binding: BindingFacts | None, flow: str, scopes: Iterable[str]) -> Decision:
    """Decide for a request of these scopes; call again with the granted scopes before a token is released."""
    if binding is None:
        return Deny("no_binding") if closed else Allow()
    if binding.flows and flow not in binding.flows:
        return Deny("flow_not_bound")
    if binding.ceiling is not None and not set(scopes) <= binding.ceiling:
        return Deny("scope_above_ceiling")
    return Allow()
