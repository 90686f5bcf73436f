"""Libraries that bring their own `requests` calls go through the same guard."""

from __future__ import annotations

import pytest
import requests

from apps.core.net.requests_session import GuardRefused, session
from tests.fakes.hostile_acts import json_answer, redirect
from tests.unit.net.conftest import NAME, URL, Net


def test_a_library_can_post_a_form_and_read_json(net: Net) -> None:
    net.server.answer(json_answer({"access_token": "x"}))
    made = session(net.transport)
    answer = made.post(URL, data={"code": "abc"}, auth=("id", "secret"), timeout=5)
    answer.raise_for_status()
    assert answer.json() == {"access_token": "x"}
    assert net.server.seen[0].form == {"code": "abc"}
    assert net.server.seen[0].header("Authorization") == "Basic aWQ6c2VjcmV0"
    assert made.get(URL, params={"a": "b"}).status_code == 200
    assert net.server.seen[1].target == "/config?a=b"


@pytest.mark.case("T062")
@pytest.mark.case("T063")
@pytest.mark.parametrize("url", ["http://idp.example.com/", "https://127.0.0.1/", "https://metadata.google.internal/"])
def test_T063_a_library_cannot_reach_inside(net: Net, url: str) -> None:
    net.proves_good()
    before = net.server.connects
    with pytest.raises(requests.exceptions.ConnectionError) as caught:
        session(net.transport).get(url, verify=False)
    assert isinstance(caught.value, GuardRefused)
    assert net.server.connects == before


@pytest.mark.case("T065")
@pytest.mark.case("T072")
def test_T072_a_library_gets_no_redirects_cookies_or_netrc(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    made = session(net.transport)
    net.server.answer(json_answer({}, extra=[("Set-Cookie", "a=b")]))
    made.get(URL)
    made.cookies.set("c", "d", domain=NAME)
    made.get(URL, cookies={"e": "f"}, headers={"X-Other": "y"})
    assert [seen.header("Cookie") for seen in net.server.seen] == [None, None]
    assert net.server.seen[1].header("X-Other") is None
    net.server.answer(redirect(302, "https://127.0.0.1/"))
    with pytest.raises(GuardRefused):
        made.get(URL)
    assert net.server.connects == 3
