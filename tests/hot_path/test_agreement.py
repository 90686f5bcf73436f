"""The one-round-trip functions and the ORM reference decide alike, every deny included.

One world in which everything is right; then each fault alone, and many random combinations of faults.
"""

from __future__ import annotations

import os
import random
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest

from apps.agents.models import Agent
from apps.authn.models import AccessKey, AccessKeyGrant, WorkloadToken
from apps.broker import contracts as c
from apps.broker.data_plane import api_key as slow_api_key
from apps.broker.data_plane import oauth_token as slow_oauth
from apps.broker.data_plane import workload_token as slow_mint
from apps.broker.hot_path import fast
from apps.broker.run import run
from apps.broker.work import Work
from apps.connections import principals
from apps.connections.leases import NewTokens, store_tokens
from apps.connections.models import Connection, Principal
from apps.connections.params import RequestParams
from apps.core import clock
from apps.core.errors import PortalError
from apps.core.secret import Secret
from apps.policy.conditions import USER_ID
from apps.policy.models import Binding
from apps.providers.models import Provider
from apps.tenants.models import Tenant
from apps.tenants.scope import tenant_scope
from benchmarks.wiretap import tapped
from tests.support import trail

FETCH_GRANTS = [
    ("bedrock-agentcore:GetResource*", "arn:aws:bedrock-agentcore:*:workload-identity-directory/default"),
    ("bedrock-agentcore:GetResource*", "*workload-identity/bot"),
    ("bedrock-agentcore:Get*", "*token-vault/default"),
    ("*", "arn:aws:bedrock-agentcore:us-east-1:*:token-vault/default/*credentialprovider/*"),
]


class World:
    """A tenant where an agent may fetch a stored token, an API key, and mint."""

    def __init__(self, handle, m2m: bool):
        self.handle = handle
        caller = handle.caller()
        run(c.CreateAgent(name="bot"), caller)
        run(c.CreateAgent(name="other"), caller)
        run(c.CreateApiKeyProvider(name="keys", api_key=Secret("k-1")), caller)
        kind = c.IssueWorkloadToken(agent="bot") if m2m else c.IssueWorkloadTokenForUserId(agent="bot", user_id="dana")
        self.token = run(kind, caller)
        self.flow = c.Flow.M2M if m2m else c.Flow.USER_FEDERATION
        with tenant_scope(handle.id):
            agent = Agent.objects.get(name="bot")
            tenant = Tenant.objects.get(id=handle.id)
            person = principals.own(agent.id, tenant.pseudonym_key) if m2m else Principal.objects.get(kind="uid")
            provider = Provider.objects.create(
                kind="oauth2", name="hub", vendor="CustomOauth2", client_id="c", endpoints={}, callback_id="x"
            )
            params = RequestParams(m2m_scopes=("a",) if m2m else None)
            row = Connection.objects.create(
                agent=agent,
                principal=person,
                provider=provider,
                flow=self.flow.value,
                params_digest=params.digest(),
                requested_scopes=["a"] if m2m else ["a", "b"],
                granted_scopes=["a"] if m2m else ["a", "b"],
                provider_config_version=1,
            )
            soon = clock.now() + timedelta(hours=1)
            store_tokens(
                row,
                NewTokens(
                    access_token=Secret("at-1"),
                    refresh_token=None,
                    expires_at=soon,
                    refresh_after=soon - timedelta(minutes=1),
                    granted_scopes=None,
                ),
            )
            row.save()
            key = AccessKey.objects.get(key_id=handle.access_key_id)
            self.ids = SimpleNamespace(
                agent=agent.id, principal=person.id, provider=provider.id, row=row.id, key=key.id
            )
            self.caller = handle.caller()

    def fetch(self, scopes=("a",), **more):
        return c.FetchOAuthToken(
            workload_token=self.token, provider="hub", scopes=tuple(scopes), flow=self.flow, **more
        )


@contextmanager
def changed(model, row_id, tenant_id, **values):
    with tenant_scope(tenant_id):
        before = model._base_manager.filter(id=row_id).values(*values).get()
        model._base_manager.filter(id=row_id).update(**values)
    try:
        yield
    finally:
        with tenant_scope(tenant_id):
            model._base_manager.filter(id=row_id).update(**before)


@contextmanager
def added(make, tenant_id):
    with tenant_scope(tenant_id):
        rows = make()
    try:
        yield
    finally:
        with tenant_scope(tenant_id):
            for row in rows:
                row.delete()


def _past():
    return clock.now() - timedelta(seconds=1)


def _binding(w, **values):
    def make():
        return [Binding.objects.create(agent_id=w.ids.agent, provider_id=w.ids.provider, **values)]

    return added(make, w.handle.id)


def _grants(w, rows, conditions=None):
    def make():
        return [
            AccessKeyGrant.objects.create(access_key_id=w.ids.key, action=a, resource=r, conditions=conditions)
            for a, r in rows
        ]

    return added(make, w.handle.id)


def _token_row(w):
    with tenant_scope(w.handle.id):
        return WorkloadToken.objects.filter(agent_id=w.ids.agent).first().id


FAULTS = {
    "tenant suspended": lambda w: changed(Tenant, w.handle.id, w.handle.id, status="suspended"),
    "tenant epoch moved": lambda w: changed(Tenant, w.handle.id, w.handle.id, epoch=2),
    "tenant closed": lambda w: changed(Tenant, w.handle.id, w.handle.id, binding_mode="closed"),
    "agent suspended": lambda w: changed(Agent, w.ids.agent, w.handle.id, status="suspended"),
    "agent epoch moved": lambda w: changed(Agent, w.ids.agent, w.handle.id, epoch=2),
    "principal suspended": lambda w: changed(Principal, w.ids.principal, w.handle.id, status="suspended"),
    "principal epoch moved": lambda w: changed(Principal, w.ids.principal, w.handle.id, epoch=2),
    "provider suspended": lambda w: changed(Provider, w.ids.provider, w.handle.id, status="suspended"),
    "provider changed": lambda w: changed(Provider, w.ids.provider, w.handle.id, config_version=2),
    "provider renamed": lambda w: changed(Provider, w.ids.provider, w.handle.id, name="gone"),
    "key disabled": lambda w: changed(AccessKey, w.ids.key, w.handle.id, status="disabled"),
    "key expired": lambda w: changed(AccessKey, w.ids.key, w.handle.id, expires_at=_past()),
    "key of another agent": lambda w: changed(AccessKey, w.ids.key, w.handle.id, agent_id=_other(w)),
    "key of this agent": lambda w: changed(AccessKey, w.ids.key, w.handle.id, agent_id=w.ids.agent),
    "key without grants": lambda w: changed(AccessKey, w.ids.key, w.handle.id, full_access=False),
    "grants for all": lambda w: _grants(w, FETCH_GRANTS),
    "grants for some": lambda w: _grants(w, FETCH_GRANTS[:2]),
    "token expired": lambda w: changed(WorkloadToken, _token_row(w), w.handle.id, expires_at=_past()),
    "connection revoked": lambda w: changed(Connection, w.ids.row, w.handle.id, status="revoked"),
    "connection parked": lambda w: changed(Connection, w.ids.row, w.handle.id, status="needs_reconsent"),
    "consent over": lambda w: changed(Connection, w.ids.row, w.handle.id, expires_at=_past()),
    "scope never asked": lambda w: changed(Connection, w.ids.row, w.handle.id, requested_scopes=["b"]),
    "binding": lambda w: _binding(w),
    "binding for another flow": lambda w: _binding(w, flows=["api_key"]),
    "binding for this flow": lambda w: _binding(w, flows=["m2m", "user_federation"]),
    "ceiling below request": lambda w: _binding(w, scope_ceiling=["b"]),
    "ceiling below grant": lambda w: _binding(w, scope_ceiling=["a"]),
    "binding not yet": lambda w: _binding(w, valid_from=clock.now() + timedelta(hours=1)),
    "binding already": lambda w: _binding(w, valid_from=_past()),
    "binding over": lambda w: _binding(w, valid_until=_past()),
    "binding for nobody": lambda w: _binding(w, people_listed=True),
    "binding for resources": lambda w: _binding(w, resources=["https://r.example"]),
    "binding for audiences": lambda w: _binding(w, audiences=["https://a.example"]),
    "binding without parameters": lambda w: _binding(w, custom_parameters={}),
    "binding with a short life": lambda w: _binding(w, connection_life_s=60),
    "grants under a condition": lambda w: _grants(w, FETCH_GRANTS, {"StringEquals": {USER_ID: ["dana"]}}),
    "uses counted": lambda w: changed(Connection, w.ids.row, w.handle.id, uses_left=1),
    "ceiling above": lambda w: _binding(w, scope_ceiling=["a", "b", "c"]),
}
# What the SQL does not know: it gives no answer, and the reference decides.
SLOW_ONLY = {
    "binding not yet", "binding already", "binding over", "binding for nobody", "binding for resources",
    "binding for audiences", "binding without parameters", "binding with a short life", "uses counted",
}  # fmt: skip
_BINDINGS = {name for name in FAULTS if name.startswith(("binding", "ceiling"))}
_SAME_COLUMN = [
    _BINDINGS,
    {"key of another agent", "key of this agent"},
    {"grants for all", "grants for some", "grants under a condition"},
    {"connection revoked", "connection parked"},
]


def _other(w):
    with tenant_scope(w.handle.id):
        return Agent.objects.get(name="other").id


def released_fast(w, command):
    outcome = fast.fetch_oauth(command, w.caller)
    return outcome.access_token.reveal() if outcome else None


def released_slow(w, command):
    """What the reference says. A token it would first have to renew is not a release."""
    work = Work(command.action, w.caller)
    try:
        outcome = slow_oauth.fetch(command, work)
    except PortalError:
        return None
    return outcome.access_token.reveal() if isinstance(outcome, c.TokenReleased) else None


@pytest.fixture(params=[False, True], ids=["for a person", "machine to machine"])
def world(request, new_tenant):
    return World(new_tenant(), request.param)


def test_without_a_fault_both_release(world):
    assert released_fast(world, world.fetch()) == "at-1"
    assert released_slow(world, world.fetch()) == "at-1"


# Machine to machine has no consent: there the slow path asks the provider anew instead of refusing.
ASKS_ANEW = {"scope never asked", "provider changed", "connection parked", "consent over"}
ALONE = [(m2m, fault) for m2m in (False, True) for fault in FAULTS if not (m2m and fault in ASKS_ANEW)]


@pytest.mark.parametrize(("m2m", "fault"), ALONE, ids=[f"{'m2m' if m else 'person'}: {f}" for m, f in ALONE])
def test_each_fault_alone(new_tenant, m2m, fault):
    world = World(new_tenant(), m2m)
    with FAULTS[fault](world):
        quick, slow = released_fast(world, world.fetch()), released_slow(world, world.fetch())
        assert quick == (None if fault in SLOW_ONLY else slow)
    assert released_fast(world, world.fetch()) == "at-1"


def test_random_combinations(world):
    seed = int(os.environ.get("AGREEMENT_SEED", random.randrange(10**6)))
    dice = random.Random(seed)
    unusable = ASKS_ANEW | {"connection revoked"}
    pool = [name for name in FAULTS if world.flow is not c.Flow.M2M or name not in unusable]
    for _ in range(60):
        chosen = dice.sample(pool, dice.randint(2, 4))
        if any(len(group & set(chosen)) > 1 for group in _SAME_COLUMN):
            continue
        held = [FAULTS[name](world) for name in chosen]
        for one in held:
            one.__enter__()
        try:
            command = world.fetch(
                dice.choice([("a",), ("a",), ("b",), ("a", "b"), ()]) if world.flow is not c.Flow.M2M else ("a",)
            )
            quick, slow = released_fast(world, command), released_slow(world, command)
            assert quick == (None if SLOW_ONLY & set(chosen) else slow), (seed, chosen, command.scopes)
        finally:
            for one in reversed(held):
                one.__exit__(None, None, None)


@pytest.mark.parametrize(
    "fault", [f for f in FAULTS if f.split()[0] in ("tenant", "agent", "principal", "key", "token", "grants")]
)
def test_api_keys_agree_too(new_tenant, fault):
    world = World(new_tenant(), False)
    command = c.FetchApiKey(workload_token=world.token, provider="keys")

    def slow():
        try:
            return slow_api_key.fetch(command, Work(command.action, world.caller)).reveal()
        except PortalError:
            return None

    def quick():
        outcome = fast.fetch_api_key(command, world.caller)
        return outcome.reveal() if outcome else None

    assert quick() == slow() == "k-1"
    with FAULTS[fault](world):
        assert quick() == slow()


@pytest.mark.parametrize(
    "fault",
    [f for f in FAULTS if f.split()[0] in ("tenant", "agent", "principal", "key", "grants") and "epoch" not in f],
)
def test_minting_agrees_too(new_tenant, fault):
    world = World(new_tenant(), False)
    command = c.IssueWorkloadTokenForUserId(agent="bot", user_id="dana")

    def slow():
        try:
            return bool(slow_mint.issue_for_user_id(command, Work(command.action, world.caller)))
        except PortalError:
            return False

    def quick():
        return slow_mint.issue_for_user_id_fast(command, world.caller) is not None

    assert quick() and slow()
    with FAULTS[fault](world):
        assert quick() == slow()


def test_a_release_is_one_round_trip_and_one_record(world):
    with tapped() as tap:
        released_fast(world, world.fetch())
        before = len(trail(world.handle))
        tap.clear()
        assert released_fast(world, world.fetch()) == "at-1"
        assert tap.round_trips == 1
    after = trail(world.handle)
    assert len(after) == before + 1
    record = after[-1]
    assert (record.action, record.outcome, record.agent_name) == ("credential.fetch_oauth", "allowed", "bot")
    assert record.digest and record.actor == world.handle.access_key_id and record.details["scopes"] == ["a"]


def test_a_refused_release_leaves_no_trace_of_its_own(world):
    before = len(trail(world.handle))
    assert fast.fetch_oauth(world.fetch(("zz",)), world.caller) is None
    assert len(trail(world.handle)) == before
