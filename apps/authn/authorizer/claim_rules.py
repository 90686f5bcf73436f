"""Custom claims of an authorizer: type, operator and value as the AWS models name them, as one exact rule.

    STRING        EQUALS        a text       the claim is this text
    STRING        CONTAINS      texts        the claim is one of these texts
    STRING_ARRAY  CONTAINS      a text       the claim is a list with this text in it
    STRING_ARRAY  CONTAINS_ANY  texts        the claim is a list with one of these texts in it

Nothing is compared by parts of a text: CONTAINS on a STRING asks whether the list we configured contains the claim.
Every other combination has two readings in the sources, and is refused when it is saved.
"""

from __future__ import annotations

from apps.authn.jwt import ClaimRule
from apps.core.errors import Invalid

_COMBINATIONS = {
    ("STRING", "EQUALS"): False,
    ("STRING", "CONTAINS"): True,
    ("STRING_ARRAY", "CONTAINS"): False,
    ("STRING_ARRAY", "CONTAINS_ANY"): True,
}


def claim_rule(*, claim: str, value_type: str, operator: str, values: tuple[str, ...], several: bool) -> ClaimRule:
    """The rule for one custom claim.

    `several` says that the values were given as a list. A list of one stands for the text where one text is
    needed; a lone text stands for a list of one where a list is. Raises Invalid `claim_rule_invalid`: whoever
    configures the authorizer can fix it.
    """
    wants_list = _COMBINATIONS.get((value_type, operator))
    if wants_list is None:
        known = ", ".join(f"{kind} with {how}" for kind, how in _COMBINATIONS)
        raise _wrong(f"{value_type} cannot be combined with {operator}. Possible are {known}.")
    if not claim or not values or not all(isinstance(one, str) and one for one in values):
        raise _wrong("A claim rule needs the claim's name and at least one non-empty value.")
    if several and not wants_list and len(values) > 1:
        raise _wrong(f"{value_type} with {operator} takes one value, not a list of {len(values)}.")
    return ClaimRule(claim=claim, values=values, of_list=value_type == "STRING_ARRAY")


def _wrong(message: str) -> Invalid:
    return Invalid.field("custom_claims", message, reason="claim_rule_invalid")
