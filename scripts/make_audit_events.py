"""Write docs/reference/audit-events.md from the catalogue the code records by.

    python scripts/make_audit_events.py            write the page
    python scripts/make_audit_events.py --check    exit with 1 if the page is not what would be written

Needs neither Django nor a database: catalogue and permissions are plain data.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "audit-events.md"
sys.path.insert(0, str(ROOT))

from apps.audit.catalogue import ACTIONS  # noqa: E402
from apps.policy.permissions import PERMISSION, ROLE_ACTIONS  # noqa: E402

_HEAD = """\
# Audit events

<!-- Written by scripts/make_audit_events.py from apps/audit/catalogue.py and apps/policy/permissions.py. -->

Every record names one of these actions; an action that is not in this list cannot be recorded at all. How records come
about, and what else is in one, is told in [the audit trail](../explanation/audit-trail.md).

*Permission* is what an access key needs in a grant (`bedrock-agentcore:<name>`); without one the action is not open to
access keys. *Roles* are those who may do it in the console; "and up" follows agent
developer, tenant admin, tenant owner, platform admin. An action with neither is a step of another call, or
something that happened to the portal.
"""

_TABLE = """
| action | what it says | permission | roles |
| --- | --- | --- | --- |
"""

_FOOT = """
## Outcomes

| outcome | meaning |
| --- | --- |
| `allowed` | it was done, or authorised; for a fetch this is committed before the secret is opened |
| `denied` | it was refused; `reason` is a short stable word, such as `no_permission` or `return_url_not_registered` |
| `failed` | it was tried and did not work: at the provider, in the vault, or by a fault of ours |
| `intent` | about to call a provider; a record of the result follows, and its absence marks a crash in between |
"""

# Role sets as people say them; any other set is written out.
_LADDER = ("platform_admin", "tenant_owner", "tenant_admin", "agent_developer")
_PHRASES = {
    frozenset(_LADDER[: steps + 1]): f"{_LADDER[steps].replace('_', ' ')} and up" for steps in range(1, len(_LADDER))
} | {frozenset(ROLE_ACTIONS) - {"end_user"}: "everybody but end users", frozenset(): ""}


def _holders(action: str) -> str:
    roles = frozenset(role for role, actions in ROLE_ACTIONS.items() if action in actions)
    return _PHRASES.get(roles) or ", ".join(sorted(role.replace("_", " ") for role in roles))


def page() -> str:
    """The whole page as text."""
    rows = []
    for action, words in ACTIONS.items():
        permission = f"`{PERMISSION[action]}`" if action in PERMISSION else ""
        rows.append(f"| `{action}` | {words} | {permission} | {_holders(action)} |\n")
    return _HEAD + _TABLE + "".join(rows) + _FOOT


def main(argv: list[str] | None = None) -> int:
    """Write or check; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: make_audit_events.py [--check]\n")
        return 2
    wanted = page()
    if not arguments:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    found = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if found == wanted:
        return 0
    sys.stderr.write(f"{PAGE.relative_to(ROOT)} is not up to date: run python scripts/make_audit_events.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
