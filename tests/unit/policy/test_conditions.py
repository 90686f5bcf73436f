"""Conditions and grants: what is not known never holds, and nobody can pass on more than they hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.policy import conditions
from apps.policy.clauses import Allow
from apps.policy.conditions import CLAIM, OPERATORS, TAG, USER_ID, Condition, Context, holds, implies, read, stored
from apps.policy.decide import KeyFacts, key_may
from apps.policy.grants import EVERYTHING, Grant, not_held, parse, problem
from apps.policy.permissions import PERMISSION

ARN = "arn:aws:x"
NOW = datetime(2027, 1, 1, tzinfo=UTC)


def said(**values: tuple[str, ...]) -> Context:
    return Context(request={USER_ID: values.get("user", ()), CLAIM + "aud": values.get("aud", ())})


@pytest.mark.parametrize(
    ("operator", "values", "got", "yes"),
    [
        ("StringEquals", ("dana",), ("dana",), True),
        ("StringEquals", ("dana",), ("Dana",), False),
        ("StringEqualsIgnoreCase", ("DANA",), ("dana",), True),
        ("StringNotEquals", ("dana",), ("erin",), True),
        ("StringNotEquals", ("dana",), ("dana",), False),
        ("StringNotEqualsIgnoreCase", ("DANA",), ("dana",), False),
        ("StringLike", ("team-a/*",), ("team-a/dana",), True),
        ("StringLike", ("team-a/*",), ("team-b/dana",), False),
        ("StringNotLike", ("team-a/*",), ("team-b/dana",), True),
        ("StringEquals", ("x", "y"), ("y",), True),
        # several values: a plain operator wants one that fits, a negated one that none does
        ("StringEquals", ("x",), ("x", "y"), True),
        ("StringNotEquals", ("x",), ("x", "y"), False),
        ("ForAllValues:StringEquals", ("x",), ("x", "y"), False),
        ("ForAllValues:StringEquals", ("x", "y"), ("x", "y"), True),
        ("ForAnyValue:StringEquals", ("x",), ("x", "y"), True),
        ("ForAnyValue:StringNotEquals", ("x",), ("x", "y"), True),
        ("ForAllValues:StringNotEquals", ("x",), ("x", "y"), False),
    ],
)
def test_operators(operator, values, got, yes):
    assert holds(Condition(operator, CLAIM + "aud", values), said(aud=got), ARN) is yes


@pytest.mark.parametrize("operator", OPERATORS)
def test_what_the_request_does_not_say_satisfies_no_operator(operator):
    """Not even a negated one, and not `ForAllValues`, which AWS lets hold over nothing."""
    assert not holds(Condition(operator, USER_ID, ("dana",)), Context(), ARN)
    assert not holds(Condition(operator, TAG + "team", ("a",)), Context(tags={"arn:other": {"team": "a"}}), ARN)


@pytest.mark.parametrize(
    "unknown",
    [
        Condition("NumericEquals", USER_ID, ("dana",)), Condition("", USER_ID, ("dana",)),
        Condition("StringEqualsIfExists", USER_ID, ("dana",)), Condition("ForSome:StringEquals", USER_ID, ("dana",)),
        Condition("stringequals", USER_ID, ("dana",)), Condition("StringNotEquals", "aws:SourceIp", ("x",)),
        Condition("StringEquals", CLAIM + "email", ("dana",)), Condition("StringEquals", TAG, ("x",)),
    ],
)  # fmt: skip
def test_an_unknown_operator_or_key_never_holds(unknown):
    everything = Context(
        request={USER_ID: ("dana",), CLAIM + "email": ("dana",), "aws:SourceIp": ("y",)}, tags={ARN: {"": "x"}}
    )
    assert not holds(unknown, everything, ARN)
    assert problem(Grant("bedrock-agentcore:GetWorkloadAccessTokenForUserId", "*", (unknown,)))


@pytest.mark.parametrize(
    "odd", [{}, [], "x", 1, {"StringEquals": {}}, {"StringEquals": "x"}, {"StringEquals": {USER_ID: []}},
            {"StringEquals": {USER_ID: "dana"}}, {"StringEquals": {USER_ID: [1]}}],
)  # fmt: skip
def test_what_cannot_be_read_is_never_met(odd):
    grant = Grant("*", "*", read(odd))
    assert grant.conditions and not grant.met(said(user=("dana",)), ARN)


def test_no_conditions_are_no_conditions():
    assert read(None) == () and stored(()) is None
    both = (Condition("StringLike", USER_ID, ("a*",)), Condition("StringEquals", TAG + "t", ("x", "y")))
    assert read(stored(both)) == both


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("s3:Get* *", "An action looks like"),
        ("bedrock-agentcore:Nothing *", "An action looks like"),
        ("* bucket", "ARN pattern"),
        (f"bedrock-agentcore:GetResourceApiKey * if StringEquals {USER_ID} dana", "says anything about"),
        (f"bedrock-agentcore:GetWorkloadAccessTokenForUserId * if StringEquals {CLAIM}sub dana", "says anything about"),
        (f"* * if StringEquals {USER_ID} a and StringEquals {USER_ID} b", "stand once"),
        (f"* * if StringEquals {USER_ID} ${{aws:username}}", "Policy variables"),
        (f"* * if StringEquals {USER_ID} a||b", "1 to 100 values"),
    ],
)
def test_a_grant_that_could_not_be_meant_is_explained(text, wrong):
    assert wrong in problem(parse(text))


@pytest.mark.parametrize("text", ["", "one", "a b c", "* * if", "* * if StringEquals x", "* * if StringEquals x y z"])
def test_text_that_is_no_grant(text):
    with pytest.raises(ValueError):
        parse(text)


def test_the_text_form_says_the_same_both_ways():
    text = f"bedrock-agentcore:Get* arn:x/* if StringLike {USER_ID} a*|b* and StringEquals {TAG}team x"
    assert parse(text).words() == text and problem(parse(text)) == ""


# --- nobody gives what they do not hold -------------------------------------------------------------------------------

words = st.text("ab*?", min_size=1, max_size=3)
keys = st.sampled_from([USER_ID, TAG + "t"])
limits = st.lists(
    st.builds(
        Condition,
        st.sampled_from(OPERATORS),
        keys,
        st.lists(words, min_size=1, max_size=2).map(tuple),
    ),
    max_size=2,
).map(tuple)
actions = st.sampled_from(["*", "bedrock-agentcore:Get*", "bedrock-agentcore:*ForUserId", "bedrock-agentcore:*JWT"])
grants = st.builds(Grant, actions, st.text("ab*?", max_size=3), limits)
names = st.text("ab", max_size=3)
requests = st.tuples(
    st.sampled_from(sorted(PERMISSION)),
    names,
    st.builds(
        lambda users, tag, arn: (users, tag),
        st.lists(names, max_size=2).map(tuple),
        st.none() | names,
        names,
    ),
)


def allows(held: tuple[Grant, ...], request: tuple) -> bool:
    action, arn, (users, tag) = request
    context = Context(request={USER_ID: users} if users else {}, tags={arn: {"t": tag}} if tag is not None else {})
    key = KeyFacts(status="active", tenant_status="active", expires_at=None, full_access=False, grants=held)
    return key_may(key, action=action, arns=(arn,), now=NOW, context=context) == Allow()


@settings(max_examples=500)
@given(st.lists(grants, min_size=1, max_size=3).map(tuple), grants, st.lists(requests, min_size=1, max_size=8))
def test_what_may_be_passed_on_allows_nothing_the_giver_may_not_do(held, wanted, asked):
    if not_held(wanted, held):
        return
    for request in asked:
        if allows((wanted,), request):
            assert allows(held, request)


@settings(max_examples=500)
@given(grants, limits, st.lists(requests, min_size=1, max_size=8))
def test_a_giver_may_always_add_conditions_and_never_lose_one(grant, more, asked):
    narrower = Grant(grant.action, grant.resource, grant.conditions + more)
    assert not not_held(narrower, (grant,))
    for request in asked:
        assert not allows((narrower,), request) or allows((grant,), request)
    if grant.conditions and grant.permissions():
        assert not_held(Grant(grant.action, grant.resource), (grant,)) == grant.permissions()


@settings(max_examples=500)
@given(limits, limits, st.lists(names, min_size=1, max_size=3).map(tuple), names)
def test_implication_is_never_a_wrong_yes(narrow, wide, users, tag):
    context = Context(request={USER_ID: users}, tags={ARN: {"t": tag}})
    for one in narrow:
        for other in wide:
            if implies(one, other) and conditions.holds(one, context, ARN):
                assert conditions.holds(other, context, ARN)


@pytest.mark.parametrize(
    ("operator", "narrow", "wide", "yes"),
    [
        ("StringEquals", ("a",), ("a", "b"), True), ("StringEquals", ("a", "b"), ("a",), False),
        ("StringNotEquals", ("a", "b"), ("a",), True), ("StringNotEquals", ("a",), ("a", "b"), False),
        ("StringLike", ("a/x*",), ("a/*",), True), ("StringLike", ("a/*",), ("a/x*",), False),
        ("StringNotLike", ("a*", "b*"), ("a*",), True), ("ForAllValues:StringNotEquals", ("a",), ("a", "b"), False),
    ],
)  # fmt: skip
def test_implication_by_example(operator, narrow, wide, yes):
    assert implies(Condition(operator, USER_ID, narrow), Condition(operator, USER_ID, wide)) is yes
    assert not implies(Condition(operator, USER_ID, narrow), Condition(operator, TAG + "t", narrow))


def test_an_owner_holds_everything_and_nobody_else_does():
    assert not not_held(EVERYTHING, (EVERYTHING,))
    assert not_held(EVERYTHING, (Grant("*", "arn:*"),)) and not_held(EVERYTHING, ())
