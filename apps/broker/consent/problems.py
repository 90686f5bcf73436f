"""How a consent can end badly, in sentences for the agent's developer and codes for the person's page."""

from __future__ import annotations

from apps.core.errors import Code, Gone, NotAllowed, PortalError

# code -> what a poll, and the developer behind it, is told
SENTENCES: dict[str, str] = {
    "denied": "The person declined the request. Ask again only after talking to them.",
    "expired": "The consent request expired before the person finished. Ask for a new one.",
    "used": "This consent request was used already. Ask for a new one.",
    "superseded": "A newer consent request replaced this one.",
    "wrong_user": "Another person than the one this request is for tried to complete it.",
    "provider_denied": "The person, or the provider, declined at the provider's own page.",
    "provider_error": "The provider answered with an error. An administrator should check the provider's settings.",
    "provider_changed": "The provider's settings changed while the request was open. Ask for a new one.",
    "provider_gone": "The provider is no longer there, or is suspended.",
    "not_bound": "The workload identity may no longer use this provider so. An administrator can change its binding.",
    "agent_suspended": "The workload identity is suspended.",
    "id_token_invalid": "The provider's answer about who signed in did not hold. Nothing was stored.",
    "too_many_attempts": "Too many failed attempts to complete this request. Ask for a new one.",
    "callback_invalid": "The provider's answer did not belong to this request.",
}


def refusal(problem: str) -> PortalError:
    sentence = SENTENCES.get(problem, "The consent request failed. Ask for a new one.")
    return NotAllowed(sentence, reason=f"consent_{problem or 'failed'}")


def gone(problem: str) -> PortalError:
    return Gone(SENTENCES.get(problem, SENTENCES["used"]), reason=f"consent_{problem}", code=Code.GONE)
