"""Which tenant a link belongs to is read from the link, and nothing else about it is believed."""

from __future__ import annotations

import pytest

from apps.audit.models import OperatorRecord
from apps.authn.caller import CallerKind
from apps.broker import page_gate
from apps.core import tickets
from apps.core.errors import NotFound
from apps.tenants.models import Tenant


def ticket_for(account_id: str) -> str:
    return tickets.mint(tickets.Kind.CONSENT_SESSION, account_id).reveal()


def test_a_ticket_names_its_tenant(acme, globex):
    for tenant in (acme, globex):
        made = page_gate.for_session(ticket_for(tenant.account_id), user=None, request_id="r1", source_ip="192.0.2.7")
        assert (made.tenant_id, made.account_id) == (tenant.id, tenant.account_id)
        assert (made.kind, made.name, made.row_id, made.proof) == (CallerKind.PERSON, "browser", None, "ticket")
        assert (made.request_id, made.source_ip) == ("r1", "192.0.2.7")


def test_a_signed_in_person_is_the_caller(world):
    dana = world.user("dana")
    made = page_gate.for_callback(world.tenant.account_id + "a" * 24, user=dana, request_id="r1", source_ip=None)
    assert (made.tenant_id, made.name, made.row_id, made.proof) == (world.tenant.id, str(dana.id), dana.id, "session")


@pytest.mark.parametrize(
    "mutate",
    [
        lambda t: "",
        lambda t: t[:-1],
        lambda t: t + "0",
        lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"),
        lambda t: t.replace("acs_", "awt_"),
        lambda t: "٣" + t[1:],
        lambda t: tickets.mint(tickets.Kind.CONSENT_SESSION, "000000000000").reveal(),
    ],
    ids=["empty", "shorter", "longer", "checksum", "another kind", "foreign digits", "no such tenant"],
)
def test_a_ticket_that_names_no_tenant_is_not_found_and_noted_once(acme, mutate):
    good = ticket_for(acme.account_id)
    page_gate.for_session(good, user=None, request_id="good", source_ip=None)
    with pytest.raises(NotFound):
        page_gate.for_session(mutate(good), user=None, request_id=f"bad-{acme.slug}", source_ip="192.0.2.7")
    (noted,) = OperatorRecord.objects.filter(request_id=f"bad-{acme.slug}")
    assert noted.action == "request.rejected" and noted.reason and noted.source_ip == "192.0.2.7"
    assert good[16:] not in str(noted.details)
    assert not OperatorRecord.objects.filter(request_id="good").exists()


@pytest.mark.parametrize("rest", ["", "x" * 15, "x" * 53, "x" * 20 + "-", "x" * 20 + "\n", "é" * 20])
def test_a_malformed_callback_id_is_not_found_and_noted_once(acme, rest):
    page_gate.for_callback(acme.account_id + "x" * 20, user=None, request_id="good", source_ip=None)
    with pytest.raises(NotFound):
        page_gate.for_callback(acme.account_id + rest, user=None, request_id=f"bad-{acme.slug}", source_ip=None)
    (noted,) = OperatorRecord.objects.filter(request_id=f"bad-{acme.slug}")
    assert (noted.action, noted.reason) == ("oauth.callback_rejected", "callback_malformed")


def test_a_suspended_tenant_has_no_pages(acme):
    ticket = ticket_for(acme.account_id)
    page_gate.for_session(ticket, user=None, request_id="r", source_ip=None)
    Tenant.objects.filter(id=acme.id).update(status="suspended")
    for gate, word in ((page_gate.for_session, ticket), (page_gate.for_callback, acme.account_id + "x" * 20)):
        with pytest.raises(NotFound):
            gate(word, user=None, request_id=f"late-{acme.slug}", source_ip=None)
    assert OperatorRecord.objects.filter(request_id=f"late-{acme.slug}", reason="tenant_suspended").count() == 2
