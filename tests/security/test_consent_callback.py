"""What comes to the callback is suspect until it fits exactly one open request of this browser."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import requests

from apps.core import tickets
from tests.security import oracle
from tests.security.lab import RETURN, Flow, Lab, denied, must

# The attempt is closed by its own failure; nothing else may move.
CLOSES = ("connections_consentsession", "vault_sealedsecret")
Pairs = list[tuple[str, str]]


def taken_apart(url: str) -> tuple[str, Pairs]:
    base, _, query = url.partition("?")
    return base, parse_qsl(query, keep_blank_values=True)


def without(pairs: Pairs, *names: str) -> Pairs:
    return [pair for pair in pairs if pair[0] not in names]


def value(pairs: Pairs, name: str) -> str:
    return dict(pairs)[name]


def refused_page(page: Any) -> str:
    """The one page for every bad callback. Returns its text without what names this one request."""
    assert page.status == 400, (page.status, page.title)
    assert page.headers["cache-control"] == "no-store" and page.headers["referrer-policy"] == "no-referrer"
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "REQUEST", page.text)


def ended(lab: Lab, flow: Flow, status: str) -> None:
    rows = lab.rows(
        "SELECT s.status FROM connections_consentsession s JOIN connections_principal p ON p.id = s.principal_id "
        "WHERE p.subject = %s AND s.tenant_id = %s",
        flow.user,
    )
    assert rows == [(status,)]


STATES = {
    "absent": lambda state: None,
    "empty": lambda state: "",
    "cut by one": lambda state: state[:-1],
    "random": lambda state: tickets.mint(tickets.Kind.STATE, state[4:16]).reveal(),
    "no such account": lambda state: tickets.mint(tickets.Kind.STATE, "100000000000").reveal(),
    "other case": lambda state: state.swapcase(),
    "with blank": lambda state: state + " ",
    "other kind": lambda state: tickets.mint(tickets.Kind.CONSENT_SESSION, state[4:16]).reveal(),
}


@pytest.mark.case("T052")
@pytest.mark.parametrize("fault", STATES)
def test_T052_a_callback_without_the_very_state_is_refused_and_asks_nobody(lab: Lab, fault: str) -> None:
    flow = lab.start()
    base, pairs = taken_apart(lab.to_callback(flow))
    state = STATES[fault](value(pairs, "state"))
    wrong = without(pairs, "state") + ([("state", state)] if state is not None else [])
    with lab.refuses("state_invalid", action="oauth.callback_rejected"):
        refused_page(lab.dana.open(f"{base}?{urlencode(wrong)}"))
    # The request itself is untouched: the right answer still works.
    assert lab.dana.open(f"{base}?{urlencode(pairs)}").url.startswith(RETURN)
    must(lab.complete(flow))
    assert must(lab.poll(flow))["accessToken"]


@pytest.mark.case("T052")
def test_T052_a_state_works_once_and_only_in_time(lab: Lab) -> None:
    flow, late = lab.start(), lab.start()
    used, expired = lab.to_callback(flow), lab.to_callback(late)
    assert lab.dana.open(used).url.startswith(RETURN)
    with lab.refuses("state_invalid", action="oauth.callback_rejected"):
        already = refused_page(lab.dana.open(used))
    must(lab.complete(flow))
    with lab.refuses("state_invalid", action="oauth.callback_rejected"):
        refused_page(lab.dana.open(used))
    oracle.execute(
        "UPDATE connections_consentsession s SET expires_at = now() FROM connections_principal p "
        "WHERE p.id = s.principal_id AND p.subject = %s",
        late.user,
    )
    with lab.refuses("state_invalid", action="oauth.callback_rejected", may_change=CLOSES):
        assert refused_page(lab.dana.open(expired)) == already
    ended(lab, late, "expired")
    denied(lab.complete(late), 403, "AccessDeniedException")


@pytest.mark.case("T052")
def test_T052_a_state_sent_twice_at_once_is_used_once(lab: Lab) -> None:
    from concurrent.futures import ThreadPoolExecutor

    flow = lab.start()
    url = lab.to_callback(flow)
    cookies = {cookie.name: cookie.value for cookie in lab.dana.cookies}

    def open_it(_: int) -> int:
        return requests.get(url, cookies=cookies, timeout=20, allow_redirects=False).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(open_it, range(6)))
    assert sorted(statuses) == [303] + [400] * 5
    must(lab.complete(flow))


@pytest.mark.case("T053")
def test_T053_a_state_at_another_providers_callback_closes_both_requests(own_lab: Lab) -> None:
    lab = own_lab
    _, second_callback = lab.add_provider("hub-2")
    flow = lab.start()
    other = lab.start(flow.user, resourceCredentialProviderName="hub-2")
    other_url = lab.to_callback(other, callback=second_callback)
    url = lab.to_callback(flow)
    with lab.refuses("provider_mismatch", action="oauth.callback_rejected", may_change=CLOSES):
        refused_page(lab.dana.open(url.replace(lab.callback_url, second_callback)))
    rows = lab.rows("SELECT status, problem FROM connections_consentsession WHERE tenant_id = %s")
    assert rows == [("failed", "callback_invalid")] * 2
    for late in (url, other_url):
        with lab.refuses("state_invalid", action="oauth.callback_rejected"):
            refused_page(lab.dana.open(late))
    for closed in (flow, other):
        with lab.refuses("consent_callback_invalid"):
            denied(lab.poll(closed), 403, "AccessDeniedException")
    lab.works()


@pytest.mark.case("T053")
def test_T053_a_state_at_a_callback_of_another_tenant_or_of_nobody_is_refused(lab: Lab, neighbour: Lab) -> None:
    flow = lab.start()
    url = lab.to_callback(flow)
    nobody = lab.callback_url[:-6] + ("aaaaaa" if lab.callback_url[-6:] != "aaaaaa" else "bbbbbb")
    with lab.refuses("state_invalid", action="oauth.callback_rejected", neighbours=(neighbour.tenant,)):
        refused_page(lab.dana.open(url.replace(lab.callback_url, neighbour.callback_url)))
    with lab.refuses("callback_unknown", neighbours=(neighbour.tenant,)):
        assert lab.dana.open(url.replace(lab.callback_url, nobody)).status == 404
    for malformed in ("x", "1" * 12, "a" * 44, "0" * 12 + "a" * 32, lab.tenant.account_id + "%2e%2e"):
        with lab.refuses({"callback_malformed", "tenant_unknown"}):
            assert lab.dana.open(f"{lab.portal.url}/connect/callback/{malformed}").status == 404
    assert lab.dana.open(url).url.startswith(RETURN)
    must(lab.complete(flow))


@pytest.mark.case("T052")
@pytest.mark.parametrize("kind", ["no cookie", "another browser's", "another request's", "made up"])
def test_T052_only_the_browser_that_approved_may_come_back(lab: Lab, kind: str) -> None:
    """State and PKCE do not stop somebody who sends a victim a finished link; the cookie does."""
    flow = lab.start()
    url = lab.to_callback(flow)
    name = "portal_consent"
    mine = lab.dana.cookies.get(name)
    other = lab.browser("lee")
    if kind == "another browser's":
        lab.to_callback(lab.start(), other)
    cookie = {
        "no cookie": None,
        "another browser's": other.cookies.get(name),
        "another request's": _swapped(lab, mine),
        "made up": "x." + tickets.mint(tickets.Kind.BROWSER, lab.tenant.account_id).reveal(),
    }[kind]
    with lab.refuses("browser_mismatch", action="oauth.callback_rejected", may_change=CLOSES):
        reply = requests.get(url, cookies={name: cookie} if cookie else {}, timeout=20, allow_redirects=False)
        assert reply.status_code == 400
    ended(lab, flow, "failed")
    denied(lab.poll(flow), 403, "AccessDeniedException")
    lab.works()


def _swapped(lab: Lab, cookie: str) -> str:
    """The right mark with the ticket of another request of the same browser."""
    first = cookie.split("~")[0].partition(".")[0]
    lab.to_callback(lab.start())
    newest = lab.dana.cookies.get("portal_consent").split("~")[0].partition(".")[2]
    return f"{first}.{newest}"


POLLUTED = {
    "two codes": lambda p: [*p, ("code", "other")],
    "the same code twice": lambda p: [*p, ("code", value(p, "code"))],
    "code and error": lambda p: [*p, ("error", "access_denied")],
    "access token": lambda p: [*p, ("access_token", "x")],
    "ID token": lambda p: [*p, ("id_token", "x")],
    "20 kB code": lambda p: [*without(p, "code"), ("code", "c" * 20_000)],
    "no code": lambda p: without(p, "code"),
    "empty code": lambda p: [*without(p, "code"), ("code", "")],
    "code with line break": lambda p: [*without(p, "code"), ("code", "a\r\nb")],
    "two issuers": lambda p: [*p, ("iss", value(p, "iss"))],
    "sixty parameters": lambda p: [*p, *((f"x{n}", "1") for n in range(60))],
}


@pytest.mark.case("T055")
@pytest.mark.parametrize("fault", POLLUTED)
def test_T055_an_ambiguous_answer_ends_the_request_unexchanged(lab: Lab, fault: str) -> None:
    flow = lab.start()
    base, pairs = taken_apart(lab.to_callback(flow))
    with lab.refuses("malformed_callback", action="oauth.callback_rejected", may_change=CLOSES):
        refused_page(lab.dana.open(f"{base}?{urlencode(POLLUTED[fault](pairs))}"))
    ended(lab, flow, "failed")
    with lab.refuses("state_invalid", action="oauth.callback_rejected"):
        refused_page(lab.dana.open(f"{base}?{urlencode(pairs)}"))
    denied(lab.poll(flow), 403, "AccessDeniedException")
    lab.works()


@pytest.mark.case("T055")
def test_T055_two_states_are_no_state(lab: Lab) -> None:
    flow = lab.start()
    base, pairs = taken_apart(lab.to_callback(flow))
    for extra in ("other", value(pairs, "state"), ""):
        with lab.refuses("malformed_callback", action="oauth.callback_rejected"):
            refused_page(lab.dana.open(f"{base}?{urlencode([*pairs, ('state', extra)])}"))
    assert lab.dana.open(f"{base}?{urlencode(pairs)}").url.startswith(RETURN)
    must(lab.complete(flow))


@pytest.mark.case("T055")
def test_T055_an_answer_by_post_is_not_read(lab: Lab) -> None:
    flow = lab.start()
    base, pairs = taken_apart(lab.to_callback(flow))
    cookies = {cookie.name: cookie.value for cookie in lab.dana.cookies}
    with lab.refuses(None):
        for method in ("POST", "PUT", "DELETE"):
            reply = requests.request(method, base, data=pairs, cookies=cookies, timeout=20, allow_redirects=False)
            assert reply.status_code in (403, 405), method
        headed = requests.head(f"{base}?{urlencode(pairs)}", cookies=cookies, timeout=20, allow_redirects=False)
        assert headed.status_code in (400, 403, 405), "a link checker must not use the state up"
    assert lab.dana.open(f"{base}?{urlencode(pairs)}").url.startswith(RETURN)


@pytest.mark.case("T054")
@pytest.mark.parametrize("fault", ["omit_iss", "wrong_iss"])
def test_T054_the_issuer_has_to_be_there_and_right(lab: Lab, switch: Any, fault: str) -> None:
    flow = lab.start()
    switch(lab.client, **{fault: 1})
    url = lab.to_callback(flow)
    with lab.refuses("iss_mismatch", action="oauth.callback_rejected", may_change=CLOSES):
        refused_page(lab.dana.open(url))
    ended(lab, flow, "failed")
    denied(lab.poll(flow), 403, "AccessDeniedException")
    lab.works()


@pytest.mark.case("T054")
def test_T054_an_issuer_that_was_never_announced_has_to_be_right_all_the_same(lab: Lab, switch: Any) -> None:
    """A provider given by its metadata announces nothing about `iss`."""
    client = lab.hub.register_client(name="quiet", redirect_uris=["http://127.0.0.1:9/none"])
    metadata = {
        "issuer": lab.hub.url,
        "authorizationEndpoint": f"{lab.hub.url}/authorize",
        "tokenEndpoint": f"{lab.hub.url}/token",
    }
    made = must(
        lab.wire.call(
            "CreateOauth2CredentialProvider",
            lab.provider_input("quiet", client=client, oauthDiscovery={"authorizationServerMetadata": metadata}),
        )
    )
    callback = made["callbackUrl"]
    lab.hub.change_client(client, redirect_uris=[callback])
    for fault, good in (("omit_iss", True), ("wrong_iss", False)):
        flow = lab.start(resourceCredentialProviderName="quiet")
        switch(client, omit_iss=0, wrong_iss=0)
        switch(client, **{fault: 1})
        url = lab.to_callback(flow, callback=callback)
        if good:
            assert lab.dana.open(url).url.startswith(RETURN)
            must(lab.complete(flow))
            continue
        with lab.refuses("iss_mismatch", action="oauth.callback_rejected", may_change=CLOSES):
            refused_page(lab.dana.open(url))


@pytest.mark.case("T052")
def test_every_refused_callback_shows_one_and_the_same_page(lab: Lab) -> None:
    pages = set()
    for fault in ("absent", "random", "cut by one"):
        flow = lab.start()
        base, pairs = taken_apart(lab.to_callback(flow))
        state = STATES[fault](value(pairs, "state"))
        wrong = without(pairs, "state") + ([("state", state)] if state is not None else [])
        pages.add(refused_page(lab.dana.open(f"{base}?{urlencode(wrong)}")))
    for fault in ("two codes", "no code", "access token"):
        flow = lab.start()
        base, pairs = taken_apart(lab.to_callback(flow))
        pages.add(refused_page(lab.dana.open(f"{base}?{urlencode(POLLUTED[fault](pairs))}")))
    assert len(pages) == 1
