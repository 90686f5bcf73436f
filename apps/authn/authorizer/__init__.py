"""The agent authorizer: may the holder of this token call this agent?

    rules = JwtRules(issuers=(IssuerRules(...), ...))
    verdict = decide(token, rules, keys_for=..., introspect=..., now=...)

Pure: keys and answers about opaque tokens come in through functions; every verdict names the clause that gave it.
"""

from apps.authn.authorizer.claim_rules import claim_rule
from apps.authn.authorizer.decide import IssuerRules, JwtRules, Passed, Stopped, decide

__all__ = ["IssuerRules", "JwtRules", "Passed", "Stopped", "claim_rule", "decide"]
