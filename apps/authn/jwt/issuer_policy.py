"""What we demand of one issuer's tokens. Decided by our configuration, never by the token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from apps.authn.jwt.algorithms import ALGORITHMS, Algorithm
from apps.core.errors import Invalid

DEFAULT_ALGORITHMS = tuple(ALGORITHMS)
DEFAULT_LEEWAY_S = 30
CLIENT_CLAIMS = ("azp", "appid", "cid")


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """One claim must have one of `values`, compared as exact text.

    `of_list` says that the claim is a list and one member suffices; without it a list never matches, whatever
    it holds. Types are never converted: true is not "true", 1 is not "1".
    """

    claim: str
    values: tuple[str, ...]
    of_list: bool = False

    def holds(self, claims: Mapping[str, object]) -> bool:
        found = claims.get(self.claim)
        if self.of_list:
            return (
                isinstance(found, list)
                and all(isinstance(one, str) for one in found)
                and any(one in self.values for one in found)
            )
        return isinstance(found, str) and found in self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerPolicy:
    """Making one checks it; a policy that could accept a stranger's token cannot be made.

    issuer: compared with `iss` as exact text.
    audiences: at least one must be in `aud`. Empty is possible only with `clients`.
    clients: if not empty, the token's client must be one of them; it is looked for in `client_id` and in
        `client_claims` (`azp`, `appid`, `cid`), and all of these that are present must agree.
    scopes, scope_match: "any" (as AWS documents allowedScopes) or "all".
    allow_id_tokens: agents' authorizers refuse ID tokens; GetWorkloadAccessTokenForJWT takes them (T017).
    max_lifetime_s: refuse tokens that live longer than this from `iat` to `exp`, in seconds.

    Raises Invalid naming the member that is wrong: whoever configures the issuer can fix it.
    """

    issuer: str
    audiences: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    client_claims: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    scopes: tuple[str, ...] = ()
    scope_match: Literal["any", "all"] = "any"
    rules: tuple[ClaimRule, ...] = ()
    allow_id_tokens: bool = False
    max_lifetime_s: int | None = None
    leeway_s: int = DEFAULT_LEEWAY_S
    accepted: frozenset[Algorithm] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.issuer:
            raise _wrong("issuer", "An issuer is needed.")
        if not self.audiences and not self.clients:
            raise _wrong("audiences", "Name at least one audience, or at least one client.")
        for member in ("audiences", "clients", "scopes", "client_claims"):
            values = getattr(self, member)
            # A bare text is a sequence too: "api" would allow the audiences "a", "p" and "i".
            if not isinstance(values, tuple) or not all(isinstance(one, str) and one for one in values):
                raise _wrong(member, "Each entry is a non-empty text.")
        if unknown := [claim for claim in self.client_claims if claim not in CLIENT_CLAIMS]:
            raise _wrong("client_claims", f"{unknown[0]!r} is not one of {', '.join(CLIENT_CLAIMS)}.")
        if not self.algorithms or any(name not in ALGORITHMS for name in self.algorithms):
            raise _wrong("algorithms", f"Choose among {', '.join(ALGORITHMS)}.")
        if self.scope_match not in ("any", "all"):
            raise _wrong("scope_match", "Choose any or all.")
        if not 0 <= self.leeway_s <= 300:
            raise _wrong("leeway_s", "Choose 0 to 300 seconds.")
        object.__setattr__(self, "accepted", frozenset(ALGORITHMS[name] for name in self.algorithms))


def _wrong(member: str, message: str) -> Invalid:
    return Invalid.field(member, message, reason="issuer_policy_invalid")
