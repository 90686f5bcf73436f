"""Roles and keys: nobody gives, changes or takes what is above their own."""

from __future__ import annotations

import secrets

import pytest

from apps.authn.caller import CallerKind
from apps.broker import contracts as c
from apps.broker.control_plane.tenants import system_caller
from apps.broker.run import run
from apps.core.errors import Conflict, NotAllowed
from apps.tenants.models import Membership
from tests.support import trail


def email() -> str:
    return f"{secrets.token_hex(5)}@acme.example"


def member(tenant, role):
    return run(c.AddMember(email=email(), role=role), system_caller(tenant.tenant, "test"))


def as_person(tenant, user):
    return tenant.caller(kind=CallerKind.PERSON, name=str(user.id), row_id=user.id, proof="session")


@pytest.fixture
def people(acme):
    owner, admin = member(acme, "tenant_owner"), member(acme, "tenant_admin")
    return acme, owner, admin


def test_an_admin_cannot_demote_or_remove_an_owner(people):
    acme, owner, admin = people
    member(acme, "tenant_owner")
    for attempt in (c.AddMember(email=owner.email, role="end_user"), c.RemoveMember(user_id=owner.id)):
        with pytest.raises(NotAllowed):
            run(attempt, as_person(acme, admin))
    assert Membership.objects.get(user=owner).role == "tenant_owner"
    assert trail(acme, action="member.add", outcome="denied")[-1].reason == "grant_above_own"


def test_an_admin_cannot_make_an_owner(people):
    acme, _, admin = people
    with pytest.raises(NotAllowed):
        run(c.AddMember(email=email(), role="tenant_owner"), as_person(acme, admin))
    assert run(c.AddMember(email=email(), role="agent_developer"), as_person(acme, admin))


def test_the_last_owner_can_neither_leave_nor_step_down(people):
    acme, owner, _ = people
    for attempt in (c.AddMember(email=owner.email, role="tenant_admin"), c.RemoveMember(user_id=owner.id)):
        with pytest.raises(Conflict):
            run(attempt, as_person(acme, owner))
    member(acme, "tenant_owner")
    run(c.AddMember(email=owner.email, role="tenant_admin"), as_person(acme, owner))
    assert Membership.objects.get(user=owner).role == "tenant_admin"


@pytest.mark.parametrize(
    "action",
    ["*", "bedrock-agentcore:*", "bedrock-agentcore:GetWorkload*", "bedrock-agentcore:GetWorkloadAccessTokenForUserId"],
)
def test_an_admin_cannot_make_a_key_that_may_name_unproven_people(people, action):
    acme, owner, admin = people
    with pytest.raises(NotAllowed):
        run(c.CreateAccessKey(grants=((action, "*"),)), as_person(acme, admin))
    assert run(c.CreateAccessKey(grants=((action, "*"),)), as_person(acme, owner))
    assert run(c.CreateAccessKey(grants=(("bedrock-agentcore:GetResource*", "*"),)), as_person(acme, admin))


def test_an_admin_cannot_make_a_key_that_may_do_everything(people):
    acme, owner, admin = people
    with pytest.raises(NotAllowed):
        run(c.CreateAccessKey(full_access=True), as_person(acme, admin))
    assert run(c.CreateAccessKey(full_access=True), as_person(acme, owner))
