"""How long a portal session lives."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as live
from django.contrib.sessions.models import Session

from apps.core import clock
from apps.tenants.models import User
from tests.pages.conftest import sign_in


@pytest.fixture
def signed_in(world, browser):
    world.user("dana")
    sign_in(browser, world, "dana")
    return browser


def is_in(browser) -> bool:
    return browser.get("/me/").status_code == 200


def session_key(browser) -> str:
    return browser.cookies[live.SESSION_COOKIE_NAME].value


def test_half_an_hour_without_use_ends_it(signed_in):
    start, key = clock.now(), session_key(signed_in)
    with time_machine.travel(start + timedelta(minutes=29), tick=False):
        assert is_in(signed_in)
    with time_machine.travel(start + timedelta(minutes=58), tick=False):
        assert is_in(signed_in)
    with time_machine.travel(start + timedelta(minutes=89), tick=False):
        assert not is_in(signed_in)
        assert not Session.objects.filter(session_key=key).exists()
    assert not is_in(signed_in)


def test_twelve_hours_end_it_however_busy_it_was(signed_in):
    start = clock.now()
    for minutes in range(20, 12 * 60, 20):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=False):
            assert is_in(signed_in)
    with time_machine.travel(start + timedelta(hours=12), tick=False):
        assert not is_in(signed_in)


def test_deactivating_the_account_ends_it_for_good(world, signed_in):
    key = session_key(signed_in)
    assert is_in(signed_in)
    User.objects.filter(email=world.email("dana")).update(is_active=False)
    assert not is_in(signed_in)
    assert not Session.objects.filter(session_key=key).exists()
    User.objects.filter(email=world.email("dana")).update(is_active=True)
    assert not is_in(signed_in)


def test_a_new_password_ends_it(world, signed_in):
    dana = User.objects.get(email=world.email("dana"))
    dana.set_password("another quiet harbour")
    dana.save()
    assert not is_in(signed_in)


def test_a_session_without_a_known_start_is_not_believed(signed_in):
    assert is_in(signed_in)
    session = signed_in.session
    del session["signed_in_at"]
    session.save()
    assert not is_in(signed_in)


def test_the_use_of_a_session_is_written_down_once_a_minute_at_most(signed_in):
    seen_at = signed_in.session["seen_at"]
    assert is_in(signed_in) and signed_in.session["seen_at"] == seen_at
    with time_machine.travel(clock.now() + timedelta(seconds=61), tick=False):
        assert is_in(signed_in)
        assert signed_in.session["seen_at"] >= seen_at + 60


@pytest.mark.case("T109")
def test_T109_signing_out_in_another_tab_is_noticed_before_a_decision(world, signed_in):
    link = world.link(return_url=None)
    assert signed_in.get(link).status_code == 200
    signed_in.post("/signin/out")
    answer = signed_in.post(f"{link}/decision", {"decision": "approve"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/signin/?next={link}")
    assert world.session().status == "pending"
