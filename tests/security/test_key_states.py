"""A key that may not be used is refused like one that never was, whatever it asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.authn import sigv4, sigv4_keys
from apps.broker import contracts as c
from apps.core import clock
from apps.entrypoints.aws_wire.contract import CONTRACT
from tests.security import oracle
from tests.security.calls import SUCCEEDS, outside
from tests.security.lab import Lab, denied, must
from tests.security.wire import Wire


def unknown(lab: Lab) -> Wire:
    return Wire(lab.portal.url, sigv4_keys.new_key_id(lab.tenant.account_id), "s" * 40)


def disabled(lab: Lab) -> Wire:
    wire = lab.key(full_access=True)
    must(wire.call("GetTokenVault"))
    lab.run(c.DisableAccessKey(access_key_id=wire.key_id))
    return wire


def expired(lab: Lab) -> Wire:
    wire = lab.key(full_access=True, expires_at=clock.now() + timedelta(hours=1))
    must(wire.call("GetTokenVault"))
    oracle.execute("UPDATE authn_accesskey SET expires_at = now() WHERE key_id = %s", wire.key_id)
    return wire


def deleted(lab: Lab) -> Wire:
    wire = lab.key(full_access=True)
    must(wire.call("GetTokenVault"))  # its signing key is in the processes' memory from here on
    lab.run(c.DeleteAccessKey(access_key_id=wire.key_id))
    return wire


def of_a_deleted_agent(lab: Lab) -> Wire:
    lab.add_agent("short-lived")
    wire = lab.key(full_access=True, agent="short-lived")
    must(wire.call("GetTokenVault"))
    must(lab.wire.call("DeleteWorkloadIdentity", {"name": "short-lived"}))
    return wire


STATES = [disabled, expired, deleted, of_a_deleted_agent]


@pytest.fixture(scope="module")
def requests(lab: Lab) -> dict[str, dict[str, Any]]:
    """Operation -> members that would succeed with a good key."""
    return {name: SUCCEEDS[name](lab) if name in SUCCEEDS else outside(name) for name in CONTRACT.operations}


@pytest.mark.case("T035")
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_T035_every_operation_answers_an_ended_key_like_an_unknown_one(
    lab: Lab, requests: dict[str, dict[str, Any]], state: Any
) -> None:
    nobody, ended = unknown(lab), state(lab)
    answers_alike(lab, requests, nobody, ended, REASONS[state])
    must(lab.wire.call("GetTokenVault"))


def answers_alike(lab: Lab, requests: dict[str, dict[str, Any]], nobody: Wire, ended: Wire, reasons: set[str]) -> None:
    """Every operation, with both keys: the same answer to the byte, nothing done, one record each."""
    with lab.watching() as watch:
        for operation, members in requests.items():
            want = denied(nobody.call(operation, members), 401, "UnauthorizedException")
            assert ended.call(operation, members).comparable == want.comparable, operation
    assert (watch.changed, watch.calls) == (set(), [])
    found = watch.reasons()
    assert sum(found.values()) == 2 * len(requests)
    assert set(found) <= {"signature_mismatch", *reasons} and any(found[reason] for reason in reasons)


# A process that still remembers a deleted key says "gone" in its record; to another it is any unknown key.
REASONS = {
    disabled: {"access_key_disabled"},
    expired: {"access_key_expired"},
    deleted: {"access_key_gone", "signature_mismatch"},
    of_a_deleted_agent: {"access_key_gone", "signature_mismatch"},
}


@pytest.mark.case("T035")
def test_T035_a_suspended_tenants_key_is_answered_like_an_unknown_one(
    own_lab: Lab,
) -> None:
    lab = own_lab
    members = {name: SUCCEEDS[name](lab) if name in SUCCEEDS else outside(name) for name in CONTRACT.operations}
    nobody = unknown(lab)
    oracle.execute("UPDATE tenants_tenant SET status = 'suspended' WHERE id = %s", lab.tenant.id)
    answers_alike(lab, members, nobody, lab.wire, {"tenant_suspended"})
    oracle.execute("UPDATE tenants_tenant SET status = 'active' WHERE id = %s", lab.tenant.id)
    must(lab.wire.call("GetTokenVault"))


@pytest.mark.case("T035")
@pytest.mark.parametrize(
    "request_of",
    [
        lambda wire: wire.sign_raw("POST", "/identities/NoSuchOperation", b"{}"),
        lambda wire: wire.sign_raw("POST", "/identities/GetWorkloadIdentity", b"not json"),
        lambda wire: wire.sign("GetWorkloadIdentity", {"name": "!"}),
    ],
    ids=["unknown operation", "unreadable", "invalid"],
)
def test_T035_a_disabled_key_learns_nothing_from_a_request_that_is_wrong_anyway(lab: Lab, request_of: Any) -> None:
    nobody, ended = unknown(lab), disabled(lab)
    assert request_of(lab.wire).send().status in (400, 404)
    with lab.refuses("access_key_disabled"):
        assert request_of(ended).send().comparable == request_of(nobody).send().comparable


@pytest.mark.case("T035")
def test_T035_an_unknown_key_takes_the_same_path_with_a_dummy(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics are for `make bench`; here: the same derivation and the same comparison are run."""
    steps: list[str] = []

    def spy(module: Any, name: str) -> None:
        real = getattr(module, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            steps.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, wrapped)

    spy(sigv4_keys, "derive_signing_key")
    spy(sigv4, "verify")
    wrong = Wire(lab.portal.url, lab.wire.key_id, "w" * 40, here=True)
    sigv4_keys.forget_cached()
    assert wrong.call("GetTokenVault").status == 401
    known, steps[:] = list(steps), []
    stranger = unknown(lab)
    assert Wire(lab.portal.url, stranger.key_id, "w" * 40, here=True).call("GetTokenVault").status == 401
    assert steps == known == ["derive_signing_key", "verify"]
    assert len(sigv4_keys.dummy_signing_key("20300101", "r", "s")) == 32


@pytest.mark.case("T035")
@pytest.mark.case("T030")
def test_T035_a_kept_answer_is_not_given_to_a_key_that_ended_since(lab: Lab) -> None:
    wire = lab.key(full_access=True)
    captured = wire.sign("CreateWorkloadIdentity", {"name": f"kept-{lab.new_user()}"})
    assert captured.send().status == captured.send().status == 201
    lab.run(c.DisableAccessKey(access_key_id=wire.key_id))
    with lab.refuses("access_key_disabled"):
        assert captured.send().comparable == unknown(lab).call("GetTokenVault").comparable
