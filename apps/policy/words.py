"""What each clause of a decision says, for people. Every rule is here; a test holds the list against the code."""

from __future__ import annotations

# rule -> (said where it holds, said where it does not)
RULES: dict[str, tuple[str, str]] = {
    "tenant.active": ("The tenant is active.", "The tenant is suspended."),
    "agent.exists": ("There is such an agent.", "There is no such agent."),
    "agent.active": ("The agent is active.", "The agent is suspended: its tokens have ended."),
    "principal.active": ("The person is not suspended.", "The person is suspended: their tokens have ended."),
    "key.exists": ("There is such an access key.", "There is no such access key."),
    "key.active": ("The access key is active.", "The access key is disabled."),
    "key.not_expired": ("The access key has not ended.", "The access key has ended."),
    "key.full_access": ("The access key may do everything in this tenant.", ""),
    "key.operation": ("Keys can be given this operation.", "No key can be given this operation."),
    "key.permission": (
        "The access key has a permission for this resource.",
        "The access key has no permission for this resource.",
    ),
    "key.condition": (
        "The conditions of a permission are met.",
        "No permission for this resource has its conditions met.",
    ),
    "key.agent": ("The access key may serve this agent.", "The access key belongs to another agent."),
    "client.exists": ("There is such an API client.", "There is no such API client."),
    "client.active": ("The API client is active.", "The API client is disabled."),
    "client.token": ("The API client came with an access token.", "The API client came without an access token."),
    "client.agent": ("The API client may serve this agent.", "The API client belongs to another agent."),
    "token.scopes": ("The access token allows this.", "The access token does not allow this."),
    "role.action": ("The role may do this.", "The role may not do this."),
    "gateway_key.invocation": (
        "The gateway's key may ask about this agent.",
        "The gateway's key may not ask about this agent.",
    ),
    "system.action": ("The portal does this itself.", "The portal does not do this by itself."),
    "provider.exists": ("There is such a provider.", "There is no such provider."),
    "provider.active": ("The provider is active.", "The provider is suspended."),
    "flow.offered": ("The portal offers this flow.", "The portal does not offer this flow."),
    "flow.person": (
        "The agent acts for somebody, or needs nobody's consent.",
        "The agent acts for itself: there is nobody to consent.",
    ),
    "tenant.open": (
        "The tenant is open: no binding is needed.",
        "The tenant is closed, and there is no binding between agent and provider.",
    ),
    "binding.valid_from": ("The binding has begun.", "The binding has not begun."),
    "binding.valid_until": ("The binding is not over.", "The binding is over."),
    "binding.flow": ("The binding is for this flow.", "The binding is not for this flow."),
    "binding.people": ("The binding is for this person.", "The binding is not for this person."),
    "binding.scopes": (
        "What is asked is below the binding's highest scopes.",
        "What is asked is above the binding's highest scopes.",
    ),
    "binding.scopes_named": (
        "Scopes are named, or there is no ceiling.",
        "There is a ceiling, and the request names no scopes.",
    ),
    "binding.resources": (
        "The resources are among the binding's.",
        "The resources are not among the binding's, or none is named.",
    ),
    "binding.audiences": (
        "The audiences are among the binding's.",
        "The audiences are not among the binding's, or none is named.",
    ),
    "binding.custom_parameters": (
        "The custom parameters are among the binding's.",
        "A custom parameter, or its value, is not among the binding's.",
    ),
    "consent.given": ("The person has consented.", "The person has not consented."),
    "consent.active": ("The consent is active.", "The consent was ended, or has to be given again."),
    "consent.same_provider": (
        "The provider is set up as it was at the consent.",
        "The provider's settings changed since the consent.",
    ),
    "consent.scopes": ("The consent covers what is asked.", "The consent does not cover what is asked."),
    "consent.not_over": ("The consent is not over.", "The consent is over."),
    "consent.within_life": (
        "The consent is younger than the binding's limit.",
        "The consent is older than the binding allows.",
    ),
    "consent.uses_left": ("The consent is not used up.", "The consent is used up."),
    "grant.below_ceiling": (
        "What the provider granted is below the binding's highest scopes.",
        "What the provider granted is above the binding's highest scopes, or is not known.",
    ),
}


def sentence(rule: str, holds: bool) -> str:
    return RULES[rule][0 if holds else 1]
