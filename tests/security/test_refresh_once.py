"""Renewal: one call to the provider however many ask, and no end in which a dead connection looks alive."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.security import oracle
from tests.security.lab import RETURN, Flow, Lab, denied, must


def due(lab: Lab, *, expired: bool = True) -> None:
    """The access token's time has come; past its end too, unless told otherwise."""
    end = ", access_expires_at = now()" if expired else ""
    oracle.execute(f"UPDATE connections_connection SET refresh_after = now(){end} WHERE tenant_id = %s", lab.tenant.id)


def refreshes(lab: Lab, after: int) -> int:
    return sum(
        1
        for entry in lab.hub.requests_seen(after=after, client=lab.client, endpoint="token")
        if entry["values"].get("grant_type") == "refresh_token"
    )


def mark(lab: Lab) -> int:
    return max((entry["seq"] for entry in lab.hub.requests_seen()), default=0)


def state(lab: Lab) -> tuple[str, str]:
    return lab.rows("SELECT status, status_reason FROM connections_connection WHERE tenant_id = %s")[0]


def ended_grants(lab: Lab) -> list[str]:
    return [grant["ended_because"] for grant in lab.hub.grants(lab.client) if grant["ended_at"]]


def asks_again(lab: Lab, flow: Flow) -> None:
    """The person is asked, and their new consent works."""
    asked = must(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN))
    assert "accessToken" not in asked
    again = Flow(flow.wat, flow.user, asked["sessionUri"], asked["authorizationUrl"], {"scopes": ["repo:read"]})
    lab.consent(again)
    must(lab.complete(again))
    assert must(lab.ask(flow.wat))["accessToken"]
    assert state(lab)[0] == "active"


@pytest.mark.case("T117")
@pytest.mark.parametrize("delay_ms", [0, 600], ids=["quick provider", "slow provider"])
def test_T117_thirty_callers_on_two_processes_cause_one_refresh(own_lab: Lab, switch: Any, delay_ms: int) -> None:
    lab = own_lab
    flow = lab.connect()
    old = must(lab.ask(flow.wat))["accessToken"]
    due(lab)
    switch(lab.client, slow_ms=delay_ms)
    reuses, before = lab.hub.counters()["refresh_token_reuses"], mark(lab)
    with ThreadPoolExecutor(30) as pool:
        replies = list(pool.map(lambda _: lab.ask(flow.wat), range(30)))
    assert Counter(reply.status for reply in replies) == {200: 30}, {r.body for r in replies if r.status != 200}
    tokens = {reply["accessToken"] for reply in replies}
    assert len(tokens) == 1 and tokens != {old}
    assert refreshes(lab, before) == 1
    assert lab.hub.counters()["refresh_token_reuses"] == reuses and ended_grants(lab) == []
    assert state(lab)[0] == "active"


@pytest.mark.case("T117")
def test_T117_thirty_callers_for_machine_tokens_cause_one_call(own_lab: Lab) -> None:
    lab = own_lab
    wat = lab.wat()
    machine = {"oauth2Flow": "M2M", "scopes": ["status:read"]}
    oracle.calls_to(lab.hub)
    with ThreadPoolExecutor(30) as pool:
        replies = list(pool.map(lambda _: lab.ask(wat, **machine), range(30)))
    assert {reply.status for reply in replies} == {200}, {r.body for r in replies if r.status != 200}
    assert len({reply["accessToken"] for reply in replies}) == 1
    assert oracle.calls_to(lab.hub) == ["token"]


@pytest.mark.case("T117")
@pytest.mark.parametrize("rival", ["renewal", "moved provider"])
def test_T117_nothing_gets_between_the_look_and_the_lease(own_lab: Lab, rival: str) -> None:
    """At the worst moment another process renews, or an administrator moves the provider to a server of their own."""
    import threading

    from apps.broker.upkeep import asking, renewal
    from apps.broker.work import Work
    from apps.connections.models import Connection
    from tests.security.test_provider_config import custom, metadata
    from tests.security.thief import Thief

    lab = own_lab
    flow = lab.connect()
    due(lab)
    (row,) = lab.rows("SELECT id FROM connections_connection WHERE tenant_id = %s")
    admin = lab.admin()
    before, reuses = mark(lab), lab.hub.counters()["refresh_token_reuses"]
    with Thief() as thief:
        moved = custom(lab.provider_input(), oauthDiscovery=metadata(thief.url), clientSecret="for-the-thief")
        rivals = {
            "renewal": lambda: lab.ask(flow.wat),
            "moved provider": lambda: lab.wire.call("UpdateOauth2CredentialProvider", moved),
        }
        other = threading.Thread(target=rivals[rival])

        def prepare(connection: Connection) -> Any:
            early = asking.refresh_with(connection) if rival == "renewal" else None
            other.start()
            other.join(1.0)
            return early or asking.refresh_with(connection)

        renewal.renew(row[0], Work("connection.renew", admin), prepare=prepare)
        other.join(20)
        assert not other.is_alive()
        assert "refresh_token" not in thief.everything(), "the old server's refresh token went to the new one"
    assert refreshes(lab, before) == 1
    assert lab.hub.counters()["refresh_token_reuses"] == reuses and ended_grants(lab) == []


@pytest.mark.case("T117")
@pytest.mark.case("T061")
def test_finding_3_a_new_secret_is_not_sent_to_the_old_address(own_lab: Lab) -> None:
    """Somebody read the provider's row before it was moved; the secret they would open is for another server."""
    from apps.broker import providers_upstream
    from apps.core.errors import Conflict
    from apps.providers.models import Provider
    from apps.tenants.scope import tenant_scope
    from tests.security.test_provider_config import custom, metadata
    from tests.security.thief import Thief

    lab = own_lab
    with tenant_scope(lab.tenant.id):
        stale = Provider.objects.get(name="hub")
        assert providers_upstream.credentials(stale).client_id == lab.client.client_id
    with Thief() as thief:
        moved = custom(lab.provider_input(), oauthDiscovery=metadata(thief.url), clientSecret="for-the-new-one")
        must(lab.wire.call("UpdateOauth2CredentialProvider", moved))
    with tenant_scope(lab.tenant.id), pytest.raises(Conflict):
        providers_upstream.credentials(stale)


@pytest.mark.case("T118")
def test_T118_a_holder_that_comes_late_writes_nothing(own_lab: Lab) -> None:
    """Its lease ran out, another renewed meanwhile: the fence is the generation."""
    from apps.connections import leases
    from apps.connections.leases import NewTokens
    from apps.core import clock
    from apps.core.secret import Secret
    from apps.tenants.scope import tenant_scope

    lab = own_lab
    flow = lab.connect()
    (row,) = lab.rows("SELECT id FROM connections_connection WHERE tenant_id = %s")

    def tokens(text: str) -> NewTokens:
        return NewTokens(
            access_token=Secret(text),
            refresh_token=Secret(f"rt-{text}"),
            expires_at=clock.now() + timedelta(hours=1),
            refresh_after=clock.now() + timedelta(minutes=50),
            granted_scopes=None,
        )

    with tenant_scope(lab.tenant.id):
        late = leases.take(row[0], now=clock.now())
        assert late is not None and leases.take(row[0], now=clock.now()) is None
    with tenant_scope(lab.tenant.id):
        winner = leases.take(row[0], now=clock.now() + timedelta(seconds=leases.LEASE_S + 1))
        assert winner is not None
        assert leases.commit(winner, tokens("winner"))
    with tenant_scope(lab.tenant.id):
        assert not leases.commit(late, tokens("late"))
        assert not leases.park(late, reason="invalid_grant"), "a loser's refusal must not end the winner's connection"
    assert must(lab.ask(flow.wat))["accessToken"] == "winner"


@pytest.mark.case("T119")
def test_T119_an_answer_lost_after_rotation_ends_in_a_new_consent(own_lab: Lab, switch: Any) -> None:
    lab = own_lab
    flow = lab.connect()
    due(lab)
    switch(lab.client, drop_response_after_rotating=1)
    before = mark(lab)
    reply = must(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN))
    assert "accessToken" not in reply and reply["authorizationUrl"]
    assert refreshes(lab, before) == 2, "one retry, then no more"
    assert state(lab)[0] == "needs_reconsent" and state(lab)[1]
    for _ in range(3):
        assert "accessToken" not in must(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN))
    assert refreshes(lab, before) == 2, "nothing is tried with a token that is gone"
    asks_again(lab, flow)


@pytest.mark.case("T119")
def test_T119_without_rotation_one_retry_brings_the_token(own_lab: Lab, switch: Any) -> None:
    lab = own_lab
    lab.hub.change_client(lab.client, rotate_refresh_tokens=False)
    flow = lab.connect()
    due(lab)
    switch(lab.client, drop_response_after_rotating=1)
    before = mark(lab)
    assert must(lab.ask(flow.wat))["accessToken"]
    assert refreshes(lab, before) == 2 and state(lab) == ("active", "")


@pytest.mark.case("T119")
def test_T119_two_lost_answers_are_an_unknown_end_and_say_so(own_lab: Lab, switch: Any) -> None:
    lab = own_lab
    lab.hub.change_client(lab.client, rotate_refresh_tokens=False)
    flow = lab.connect()
    due(lab)
    switch(lab.client, drop_response_after_rotating=2)
    reply = must(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN))
    assert "accessToken" not in reply
    assert state(lab) == ("needs_reconsent", "renewal_outcome_unknown")
    asks_again(lab, flow)


@pytest.mark.case("T120")
def test_T120_a_provider_in_trouble_ends_nothing(own_lab: Lab, switch: Any) -> None:
    lab = own_lab
    flow = lab.connect()
    token = must(lab.ask(flow.wat))["accessToken"]
    switch(lab.client, token_endpoint_500=True)
    due(lab, expired=False)
    assert must(lab.ask(flow.wat))["accessToken"] == token, "past its mark, not past its end"
    due(lab)
    for _ in range(2):
        denied(lab.ask(flow.wat), 500, "InternalServerException")
    assert state(lab) == ("active", "")
    lab.hub.clear_switches(lab.client)
    assert must(lab.ask(flow.wat))["accessToken"] != token


@pytest.mark.case("T120")
def test_T120_a_refused_refresh_token_means_a_new_consent(own_lab: Lab) -> None:
    lab = own_lab
    flow = lab.connect()
    due(lab)
    [grant] = lab.hub.grants(lab.client)
    lab.hub.withdraw(grant["grant_id"])
    before = mark(lab)
    assert "accessToken" not in must(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN))
    assert refreshes(lab, before) == 1 and state(lab)[0] == "needs_reconsent"
    asks_again(lab, flow)


@pytest.mark.case("T120")
def test_T120_wrong_client_credentials_are_the_administrators_not_the_persons(own_lab: Lab) -> None:
    lab = own_lab
    flow = lab.connect()
    due(lab)
    lab.hub.change_client(lab.client, new_secret=True)
    denied(lab.ask(flow.wat), 400, "ValidationException")
    assert state(lab) == ("active", ""), "the consent is not at fault"


@pytest.mark.case("T120")
def test_T120_a_new_consent_and_a_renewal_at_once_leave_the_new_consents_tokens(own_lab: Lab, switch: Any) -> None:
    """The renewal of the old grant is still under way when the new one is stored."""
    import time

    lab = own_lab
    flow = lab.connect()
    forced = must(lab.ask(flow.wat, resourceOauth2ReturnUrl=RETURN, forceAuthentication=True))
    new = Flow(flow.wat, flow.user, forced["sessionUri"], forced["authorizationUrl"], {"scopes": ["repo:read"]})
    lab.consent(new)
    due(lab, expired=False)
    switch(lab.client, slow_ms=1200)
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(lab.ask, flow.wat)
        deadline = time.monotonic() + 5
        while not lab.rows("SELECT 1 FROM connections_connection WHERE lease_until IS NOT NULL AND tenant_id = %s"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        must(lab.complete(new))
        assert renewing.result(30).status == 200
    lab.hub.clear_switches(lab.client)
    newest = lab.hub.grants(lab.client)[-1]
    due(lab)
    before = mark(lab)
    assert must(lab.ask(flow.wat))["accessToken"]
    assert refreshes(lab, before) == 1
    after = {grant["grant_id"]: grant for grant in lab.hub.grants(lab.client)}[newest["grant_id"]]
    assert after["refreshes"] == newest["refreshes"] + 1, "what is stored is the new consent's"
    assert ended_grants(lab) == []
