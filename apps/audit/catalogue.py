"""Every action that can appear in the audit trail, in words. An action missing here cannot be recorded."""

from __future__ import annotations

ACTIONS: dict[str, str] = {
    "agent.create": "An agent was added to the directory.",
    "agent.read": "An agent's entry was read.",
    "agent.update": "An agent's entry was changed.",
    "agent.delete": "An agent was removed; its tokens and connections ended.",
    "agent.list": "The directory was listed.",
    "agent.suspend": "An agent was suspended: it gets no further token.",
    "agent.resume": "A suspended agent was allowed to work again.",
    "oauth_provider.create": "An OAuth credential provider was added.",
    "oauth_provider.read": "An OAuth credential provider was read (never its secret).",
    "oauth_provider.update": "An OAuth credential provider was changed.",
    "oauth_provider.delete": "An OAuth credential provider was removed with its connections.",
    "oauth_provider.list": "The OAuth credential providers were listed.",
    "api_key_provider.create": "An API key was stored.",
    "api_key_provider.read": "An API-key provider was read (never its key).",
    "api_key_provider.update": "A stored API key was replaced.",
    "api_key_provider.delete": "A stored API key was removed.",
    "api_key_provider.list": "The API-key providers were listed.",
    "provider.suspend": "A provider was suspended: nothing is released from it.",
    "provider.resume": "A suspended provider was allowed again.",
    "vault.read": "The vault's settings were read.",
    "vault.integrity_failure": "A sealed value did not open: wrong key, moved row or changed byte.",
    "tags.read": "A resource's tags were read.",
    "tags.write": "A resource's tags were changed.",
    "tags.delete": "Tags were removed from a resource.",
    "operation.unsupported": "An operation outside the product was refused.",
    "request.rejected": "A request could not be read or was not valid.",
    "authn.failure": "A signed request could not be proven.",
    "workload_token.issue": "An agent got a workload access token for itself.",
    "workload_token.issue_for_jwt": "An agent got a workload access token for a person proven by a token.",
    "workload_token.issue_for_user_id": "An agent got a workload access token for a user id the application named.",
    "credential.fetch_oauth": "An agent asked for an OAuth access token.",
    "credential.fetch_api_key": "An agent asked for an API key.",
    "credential.release_failed": "A release was authorised, but the secret could not be opened.",
    "connection.renew": "A connection's token is being, or was, renewed at the provider.",
    "connection.store": "Tokens from a provider were sealed into the vault.",
    "connection.revoke": "A connection was ended.",
    "consent.open": "A consent request was opened.",
    "consent.view": "A person looked at a consent request.",
    "consent.decide": "A person approved or declined a consent request.",
    "consent.wrong_user": "Somebody else opened or completed a person's consent request.",
    "oauth.callback": "A provider sent the person back.",
    "oauth.callback_rejected": "A provider's answer was refused.",
    "consent.complete": "The application vouched for who came back.",
    "tenant.create": "A tenant was created.",
    "tenant.update": "A tenant's settings were changed.",
    "tenant.enter": "Platform staff chose this tenant to work in.",
    "access_key.create": "An access key was made.",
    "access_key.disable": "An access key was disabled.",
    "access_key.delete": "An access key was removed.",
    "issuer.trust": "An issuer of tokens is trusted from here on.",
    "issuer.distrust": "An issuer is no longer trusted.",
    "binding.set": "A binding between agent and provider was set.",
    "binding.read": "A binding between agent and provider was read.",
    "binding.list": "The bindings between agents and providers were listed.",
    "binding.delete": "A binding between agent and provider was removed.",
    "binding.survey": "What is in use without a binding was listed.",
    "policy.explain": "A decision, past or possible, was explained.",
    "member.add": "A person got a role in the tenant.",
    "member.remove": "A person lost their role in the tenant.",
    "principal.link": "A portal account was linked to a principal.",
    "person.sign_in": "A person signed in to the portal.",
    "person.sign_in_failed": "Somebody tried to sign in as this person and could not.",
    "tenancy.violation": "Work for one tenant named another tenant's object.",
}


class UnknownAction(ValueError):
    """Somebody tried to record an action that the catalogue does not hold."""


def require(action: str) -> str:
    if action not in ACTIONS:
        raise UnknownAction(action)
    return action
