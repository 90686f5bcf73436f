"""Access keys whose permissions hold under conditions: felt at every call, and not to be shaken off by passing on."""

from __future__ import annotations

import json

import pytest

from apps.authn.caller import CallerKind
from apps.authn.models import AccessKey, AccessKeyGrant
from apps.broker import contracts as c
from apps.broker.run import run
from apps.core.errors import Invalid, NotAllowed
from apps.core.secret import Secret
from apps.policy.conditions import CLAIM, USER_ID
from apps.policy.grants import parse
from apps.tenants.scope import tenant_scope
from tests.flows.test_nobody_grants_above_their_own import as_person, member
from tests.support import rows, trail

S = "bedrock-agentcore"


def key_with(tenant, *grants: str):
    """A caller whose key has these permissions, in their text form."""
    made = run(c.CreateAccessKey(grants=tuple(parse(text) for text in grants)), tenant.caller(kind=CallerKind.SYSTEM))
    return tenant.caller(name=made.access_key_id, row_id=made.row_id)


@pytest.fixture
def bot(acme):
    run(c.CreateAgent(name="bot"), acme.caller())
    return acme


def test_a_key_names_only_the_people_it_is_for(bot):
    caller = key_with(bot, f"{S}:GetWorkloadAccessTokenForUserId * if StringLike {USER_ID} team-a/*")
    for _ in range(2):  # the second would be the fast path's
        assert run(c.IssueWorkloadTokenForUserId(agent="bot", user_id="team-a/dana"), caller)
        with pytest.raises(NotAllowed):
            run(c.IssueWorkloadTokenForUserId(agent="bot", user_id="team-b/erin"), caller)
    last = trail(bot, action="workload_token.issue_for_user_id", outcome="denied")[-1]
    assert last.reason == "condition_not_met" and last.details["clause"]["rule"] == "key.condition"
    assert "team-b/erin" not in json.dumps(last.details)


def test_several_permissions_are_several_ways(bot):
    caller = key_with(
        bot,
        f"{S}:GetWorkloadAccessTokenForUserId arn:*workload-identity-directory/default",
        f"{S}:GetWorkloadAccessTokenForUserId arn:*/bot if StringEquals {USER_ID} dana",
        f"{S}:GetWorkloadAccessTokenForUserId arn:*/bot if StringEquals {USER_ID} erin",
    )
    assert run(c.IssueWorkloadTokenForUserId(agent="bot", user_id="dana"), caller)
    assert run(c.IssueWorkloadTokenForUserId(agent="bot", user_id="erin"), caller)
    with pytest.raises(NotAllowed):
        run(c.IssueWorkloadTokenForUserId(agent="bot", user_id="mallory"), caller)


def test_claims_of_the_proven_token_are_looked_at(bot, hub):
    run(
        c.TrustIssuer(discovery_url=f"{hub.url}/.well-known/openid-configuration", audiences=("demo-app",)),
        bot.caller(kind=CallerKind.SYSTEM),
    )
    jwt = Secret(hub.person("dana").sign_in_and_get_jwt())
    ask = c.IssueWorkloadTokenForJwt(agent="bot", jwt=jwt)
    right = key_with(
        bot, f"{S}:*JWT * if StringEquals {CLAIM}iss {hub.url} and ForAllValues:StringEquals {CLAIM}aud demo-app"
    )
    others = [
        key_with(bot, f"{S}:*JWT * if StringEquals {CLAIM}iss https://other.example"),
        key_with(bot, f"{S}:*JWT * if StringEquals {CLAIM}sub nobody"),
        key_with(bot, f"{S}:*JWT * if StringEquals {CLAIM}scope admin"),  # this token has no such claim
    ]
    for _ in range(2):
        assert run(ask, right)
        for caller in others:
            with pytest.raises(NotAllowed):
                run(ask, caller)


def test_tags_of_the_resource_are_looked_at_as_they_are_now(bot):
    caller = key_with(
        bot,
        f"{S}:GetWorkloadIdentity arn:*workload-identity-directory/default",
        f"{S}:GetWorkloadIdentity arn:*/workload-identity/* if StringEquals aws:ResourceTag/team a",
    )
    with pytest.raises(NotAllowed):
        run(c.GetAgent(name="bot"), caller)
    arn = run(c.GetAgent(name="bot"), bot.caller()).arn
    run(c.TagResource(arn=arn, tags={"team": "a"}), bot.caller())
    assert run(c.GetAgent(name="bot"), caller)
    run(c.TagResource(arn=arn, tags={"team": "b"}), bot.caller())
    with pytest.raises(NotAllowed):
        run(c.GetAgent(name="bot"), caller)


def test_a_condition_written_into_the_table_by_hand_and_not_understood_closes(bot):
    caller = key_with(bot, f"{S}:GetWorkloadAccessTokenForUserId * if StringEquals {USER_ID} dana")
    ask = c.IssueWorkloadTokenForUserId(agent="bot", user_id="dana")
    assert run(ask, caller)
    for odd in ({}, {"Bool": {"aws:SecureTransport": ["true"]}}, {"StringEquals": {"aws:username": ["dana"]}}, []):
        with tenant_scope(bot.id):
            AccessKeyGrant.objects.filter(access_key_id=caller.row_id).update(conditions=odd)
        with pytest.raises(NotAllowed):
            run(ask, caller)


@pytest.mark.case("T098")
def test_T098_an_admin_gives_no_key_more_than_the_admins_role_holds(acme):
    """Also not under a condition: what a role does not hold it does not hold in part."""
    owner, admin = member(acme, "tenant_owner"), member(acme, "tenant_admin")
    wide = c.CreateAccessKey(grants=(parse(f"{S}:GetWorkload* * if StringEquals {USER_ID} dana"),))
    before = len(rows(acme, AccessKey))
    with pytest.raises(NotAllowed):
        run(wide, as_person(acme, admin))
    assert len(rows(acme, AccessKey)) == before
    (record,) = trail(acme, action="access_key.create", outcome="denied")
    assert record.reason == "grant_above_own"
    assert run(wide, as_person(acme, owner))
    assert run(c.CreateAccessKey(grants=(parse(f"{S}:GetResource* *"),)), as_person(acme, admin))


@pytest.mark.parametrize("role", ["agent_developer", "security_auditor", "approver", "end_user"])
def test_others_make_no_keys_at_all(acme, role):
    with pytest.raises(NotAllowed):
        run(c.CreateAccessKey(), as_person(acme, member(acme, role)))


def test_conditions_that_could_never_hold_are_refused_when_given(acme):
    for text in (f"{S}:GetResourceApiKey * if StringEquals {USER_ID} dana", "* * if Bool aws:SecureTransport true"):
        with pytest.raises(Invalid) as refused:
            run(c.CreateAccessKey(grants=(parse(text),)), acme.caller(kind=CallerKind.SYSTEM))
        assert refused.value.reason == "grant_invalid"


def test_the_commands_grammar():
    from apps.entrypoints.ops.management.commands.create_access_key import read_grant

    short = read_grant(
        f"GetWorkloadAccessTokenForUserId:* if StringLike {USER_ID} team-a/*|team-b/* and StringEquals aws:ResourceTag/x y"
    )
    assert short.action == f"{S}:GetWorkloadAccessTokenForUserId" and short.resource == "*"
    assert [one.values for one in short.conditions] == [("team-a/*", "team-b/*"), ("y",)]
    assert read_grant(f"{S}:List*:arn:aws:x:*:d").resource == "arn:aws:x:*:d"
    for wrong in ("GetResourceApiKey", "GetResourceApiKey:* if", "GetResourceApiKey:* if StringEquals"):
        with pytest.raises(Invalid):
            read_grant(wrong)
