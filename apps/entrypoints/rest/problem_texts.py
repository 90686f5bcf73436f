"""What each kind of problem means and what to do about it: the text behind every `type` address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    title: str
    cause: str
    fix: str


TEXTS: Mapping[str, Text] = {
    "unreadable": Text(
        "The request cannot be read",
        "The body is not one JSON object in UTF-8, names a member twice, or the address has parameters that do not "
        "belong there.",
        "Send one JSON object, each member once, with Content-Type: application/json. The detail says what was found.",
    ),
    "invalid": Text(
        "A member is not valid",
        "The request was read, but a member or parameter is missing, unknown, or of the wrong form.",
        "The member errors lists each place, as a JSON pointer into the body or as the name of a query parameter, "
        "with what is expected there. Correct it and send the request again.",
    ),
    "unauthenticated": Text(
        "The credential does not hold",
        "There is no credential, or it is unknown, expired, disabled, wrongly signed, or of a tenant that is "
        "suspended. Which of these is not said, so that nobody can find out by trying.",
        "Check key, secret and clock (five minutes either way). The request id leads an administrator to the reason "
        "in the audit trail.",
    ),
    "not-allowed": Text(
        "You may not do this",
        "The credential is good, but its role or its permissions do not cover this request, or a policy forbids it.",
        "Ask an administrator of the tenant for the permission; the audit trail has the reason under the request id.",
    ),
    "not-found": Text(
        "There is nothing here",
        "Nothing of this name exists for you: it never did, was removed, or belongs to somebody else. These are not "
        "told apart.",
        "Check the address and the spelling, and that the credential is one of the tenant you mean.",
    ),
    "method-not-allowed": Text(
        "The address does not take this method",
        "There is something here, but it cannot be used with this HTTP method.",
        "The header Allow lists the methods it takes.",
    ),
    "conflict": Text(
        "The state of things is in the way",
        "The name is taken, the thing changed meanwhile, or the same request is still being answered.",
        "Read the current state, decide anew, and send a new request.",
    ),
    "changed-meanwhile": Text(
        "It was changed meanwhile",
        "The request names in If-Match a version that is not the current one: somebody else was faster.",
        "Get it again, apply your change to what is there now, and send that with the new ETag.",
    ),
    "gone": Text(
        "It is over",
        "What you name existed, but was used, ended or has expired.",
        "Start again; for a consent, ask for the token without a session to open a new one.",
    ),
    "quota": Text(
        "There are too many already",
        "A limit on how many may exist is reached.",
        "Remove what is not needed any more, or ask the operator for a higher limit.",
    ),
    "throttled": Text(
        "Too many requests",
        "The credential, the agent, the tenant or the address is over its number of requests per second.",
        "Wait the seconds in Retry-After and slow down. RateLimit-Policy and RateLimit say what there is.",
    ),
    "not-supported": Text(
        "This portal does not offer that",
        "The operation or the option exists elsewhere, but not here.",
        "The detail names the alternative, if there is one.",
    ),
    "too-large": Text(
        "The body is too large",
        "The body has more bytes than any request needs.",
        "Send less. Lists can be sent in parts.",
    ),
    "media-type": Text(
        "The media type is not supported",
        "Bodies are JSON in UTF-8, not compressed.",
        "Send Content-Type: application/json and no Content-Encoding.",
    ),
    "idempotency-key-reused": Text(
        "The idempotency key was used for something else",
        "An earlier request of this credential had the same Idempotency-Key, but asked for something different.",
        "Make a new key for every new request, and repeat the old key only with exactly the old request.",
    ),
    "upstream-refused": Text(
        "The provider said no",
        "The provider refused, or answered something that cannot be believed. Asking again will not help.",
        "An administrator checks the provider's client id, secret, scopes and addresses.",
    ),
    "upstream-unavailable": Text(
        "The provider cannot be reached",
        "The provider did not answer in time, or could not be reached at all.",
        "Try again in a moment. If it stays so, look at the provider's own status.",
    ),
    "seal-broken": Text(
        "A stored secret does not open",
        "A sealed value did not open: the key ring is not the one it was sealed with, or the stored bytes changed.",
        "This is for the operator of the portal: check the key files. The audit trail has a record of it.",
    ),
    "unavailable": Text(
        "The portal is not able to answer",
        "The portal's own database, key ring or audit trail is not there. Nothing was released.",
        "Try again shortly. If it stays so, tell the operator.",
    ),
    "broken": Text(
        "Something went wrong on our side",
        "A fault of the portal. It has been noted.",
        "Give the request id to whoever runs this portal.",
    ),
}
