"""Failures that can be turned on, so that others can show how they bear them.

A switch holds for everybody or for one client; the client's own setting wins. A counting switch is `true`
(until turned off) or the number of times it strikes. Every switch spoils exactly one thing.
"""

from __future__ import annotations

import threading
from typing import Any

COUNTING: dict[str, str] = {
    "refresh_fails": "the token endpoint answers a refresh with invalid_grant, and rotates nothing",
    "token_endpoint_500": "the token endpoint answers 500 before it looks at the request",
    "invalid_grant_once": "the next code or refresh token is refused with invalid_grant, unspent; then all is well",
    "drop_response_after_rotating": "a refresh is carried out, then the connection closes without an answer",
    "deny_consent": "the person is not asked; the application is told access_denied",
    "wrong_iss": "the authorization response carries another issuer (RFC 9207)",
    "omit_iss": "the authorization response carries no issuer",
    "bad_nonce": "the ID token carries another nonce",
    "bad_id_token_signature": "the ID token is signed with a key that is not in the key set",
    "unsigned_id_token": "the ID token has alg none",
    "omit_expires_in": "the token response does not say how long the access token lives",
    "revocation_fails": "the revocation endpoint answers 503 and revokes nothing",
    "userinfo_wrong_sub": "userinfo names another subject than the ID token",
}
OTHER: dict[str, str] = {
    "slow_ms": "milliseconds to wait before any answer to a program (pages are not delayed)",
    "reduce_scopes": "the scopes to leave out of what is granted, or true for every scope that ends in :write",
    "id_token_claims": "claims to put into the ID token in place of the right ones; null leaves one out",
    "token_reply": "members to put into the token response in place of the right ones; null leaves one out",
}
EVERYBODY = ""
_LONGEST_DELAY_MS = 120_000


class Switches:
    """The current settings; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set: dict[str, dict[str, Any]] = {}

    def change(self, changes: dict[str, Any], client_id: str = EVERYBODY) -> dict[str, Any]:
        """Apply changes for everybody or one client and return that party's settings.

        Raises:
            ValueError: an unknown switch or an impossible value; nothing was changed.
        """
        checked = {name: _checked(name, value) for name, value in changes.items()}
        with self._lock:
            mine = self._set.setdefault(client_id, {})
            mine.update(checked)
            return dict(mine)

    def clear(self, client_id: str | None = None) -> None:
        """Turn everything off, for one client or (None) altogether."""
        with self._lock:
            if client_id is None:
                self._set.clear()
            else:
                self._set.pop(client_id, None)

    def settings(self) -> dict[str, dict[str, Any]]:
        """All settings by client id; those for everybody under the empty name."""
        with self._lock:
            return {client_id: dict(values) for client_id, values in self._set.items()}

    def value(self, name: str, client_id: str = EVERYBODY) -> Any:
        """The setting in force, or None."""
        with self._lock:
            return self._set.get(self._owner(name, client_id), {}).get(name)

    def strikes(self, name: str, client_id: str = EVERYBODY) -> bool:
        """Whether a counting switch applies now; counts it down if it was set to a number."""
        with self._lock:
            mine = self._set.get(self._owner(name, client_id), {})
            left = mine.get(name)
            if isinstance(left, bool) or left is None:
                return bool(left)
            if left > 0:
                mine[name] = left - 1
            return bool(left > 0)

    def _owner(self, name: str, client_id: str) -> str:
        return client_id if name in self._set.get(client_id, {}) else EVERYBODY


def _checked(name: str, value: Any) -> Any:
    if name in COUNTING:
        if value is True and name == "invalid_grant_once":
            return 1
        if isinstance(value, bool) or (isinstance(value, int) and 0 <= value <= 1_000_000):
            return value
        raise ValueError(f"{name} takes true, false or how many times")
    if name == "slow_ms":
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LONGEST_DELAY_MS:
            return value
        raise ValueError(f"slow_ms takes 0 to {_LONGEST_DELAY_MS}")
    if name == "reduce_scopes":
        if isinstance(value, bool) or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            return value
        raise ValueError("reduce_scopes takes true, false or a list of scopes")
    if name in OTHER:
        if value is None or isinstance(value, dict):
            return value
        raise ValueError(f"{name} takes an object, or null")
    raise ValueError(f"there is no switch {name!r}; there are {', '.join(sorted(COUNTING | OTHER))}")
