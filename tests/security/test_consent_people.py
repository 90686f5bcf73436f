"""Whose consent it is: the person who started it, and nobody who was handed the link."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.security import oracle
from tests.security.lab import RETURN, Flow, Lab, denied, must
from tests.support import mutated

ATTEMPT = ("connections_consentsession",)
CLOSES = ("connections_consentsession", "vault_sealedsecret")


def attempts_of(lab: Lab, flow: Flow) -> tuple[str, int]:
    return lab.rows(
        "SELECT s.status, s.attempts FROM connections_consentsession s JOIN connections_principal p "
        "ON p.id = s.principal_id WHERE p.subject = %s AND s.tenant_id = %s",
        flow.user,
    )[0]


def portal_start(lab: Lab, user: str | None = None) -> Flow:
    """A portal-verified request: no return URL, the person signs in at the portal."""
    return lab.start(user, resourceOauth2ReturnUrl=None)


def signed_in(lab: Lab, account: Any, hub_person: str = "dana") -> Any:
    browser = lab.browser(hub_person, account=account)
    browser.open(f"{lab.portal.url}/signin/")
    browser.sign_in_here()
    return browser


# --- the portal knows the person ----------------------------------------------------------------------------------


@pytest.mark.case("T056")
def test_T056_somebody_else_signed_in_at_the_portal_is_stopped_before_the_provider(own_lab: Lab) -> None:
    lab = own_lab
    oracle.execute("UPDATE tenants_tenant SET claim_user_ids = false WHERE id = %s", lab.tenant.id)
    user = lab.new_user()
    owner, other = lab.member(linked_to=user), lab.member(linked_to="somebody-else")
    stranger = lab.member()
    flow = portal_start(lab, user)
    for account in (other, stranger):
        browser = signed_in(lab, account, "lee")
        with lab.refuses("binding_mismatch", action="consent.wrong_user", may_change=ATTEMPT) as watch:
            page = browser.open(flow.url)
        assert page.status == 403 and "another account" in page.text
        assert page.button("consent-approve") is None
        [record] = [r for r in watch.records if r.action == "consent.wrong_user"]
        assert record.details["expected"].startswith("p_") and record.details["account"] == str(account.id)
        assert user not in str(record), "people are pseudonyms in the trail"
    assert "accessToken" not in must(lab.poll(flow))
    # The right person still can.
    browser = signed_in(lab, owner)
    browser.open(flow.url)
    assert browser.walk().shows("consent-done") or "/done" in browser.page.url
    assert must(lab.poll(flow))["accessToken"]


@pytest.mark.case("T056")
def test_T056_a_decision_posted_by_somebody_else_is_refused_too(own_lab: Lab) -> None:
    """The page was shown to the right person; the form comes from another account's browser."""
    lab = own_lab
    user = lab.new_user()
    owner, other = lab.member(linked_to=user), lab.member(linked_to="somebody-else")
    flow = portal_start(lab, user)
    browser = signed_in(lab, owner)
    shown = browser.open(flow.url)
    assert shown.button("consent-approve")
    thief = signed_in(lab, other, "lee")
    mine = thief.open(portal_start(lab, "somebody-else").url)
    form, _ = mine.button("consent-approve")
    form.action = f"/connect/{flow.ticket}/decision"
    with lab.refuses("binding_mismatch", action="consent.wrong_user", may_change=ATTEMPT):
        page = thief.submit(button="consent-approve", form=form)
    assert page.status == 403
    browser.submit(button="consent-approve")
    browser.walk()
    assert must(lab.poll(flow))["accessToken"]


@pytest.mark.case("T056")
def test_T056_nobody_signed_in_gets_no_further_than_the_sign_in(lab: Lab) -> None:
    flow = portal_start(lab)
    browser = lab.browser()
    page = browser.open(flow.url)
    assert "/signin/" in page.url and page.button("consent-approve") is None
    # Nor does a form made by hand.
    flow_open = lab.start()
    shown = browser.open(flow_open.url)
    form, _ = shown.button("consent-approve")
    form.action = f"/connect/{flow.ticket}/decision"
    with lab.refuses("consent_sign_in"):
        page = browser.submit(button="consent-approve", form=form)
    assert "/signin/" in page.url
    assert attempts_of(lab, flow) == ("pending", 0)


@pytest.mark.case("T056")
def test_T056_who_came_back_must_be_who_approved(own_lab: Lab) -> None:
    """Approved as the right person, come back signed in as another: the code is not exchanged."""
    lab = own_lab
    user = lab.new_user()
    owner, other = lab.member(linked_to=user), lab.member(linked_to="somebody-else")
    flow = portal_start(lab, user)
    browser = signed_in(lab, owner)
    url = lab.to_callback(flow, browser)
    _sign_in_as(lab, browser, other)
    with lab.refuses("binding_mismatch", action="consent.wrong_user", may_change=CLOSES):
        page = browser.open(url)
    assert page.status == 403
    assert "accessToken" not in must(lab.poll(flow))
    # The request survives a wrong person: the right one begins again at the same link.
    _sign_in_as(lab, browser, owner)
    browser.open(flow.url)
    browser.walk()
    assert must(lab.poll(flow))["accessToken"]


@pytest.mark.case("T056")
def test_T056_who_signed_out_before_coming_back_is_nobody(own_lab: Lab) -> None:
    lab = own_lab
    user = lab.new_user()
    owner = lab.member(linked_to=user)
    flow = portal_start(lab, user)
    browser = signed_in(lab, owner)
    url = lab.to_callback(flow, browser)
    browser.cookies.set("portal_session", None)
    with lab.refuses("binding_mismatch", action="consent.wrong_user", may_change=CLOSES):
        assert browser.open(url).status == 403
    assert "accessToken" not in must(lab.poll(flow))


@pytest.mark.case("T056")
@pytest.mark.case("T061")
def test_T061_an_account_deactivated_meanwhile_is_nobody(own_lab: Lab) -> None:
    lab = own_lab
    user = lab.new_user()
    owner = lab.member(linked_to=user)
    flow = portal_start(lab, user)
    browser = signed_in(lab, owner)
    url = lab.to_callback(flow, browser)
    oracle.execute("UPDATE tenants_user SET is_active = false WHERE id = %s", owner.id)
    with lab.refuses("binding_mismatch", action="consent.wrong_user", may_change=CLOSES):
        assert browser.open(url).status == 403
    assert browser.open(flow.url).button("consent-approve") is None
    assert "accessToken" not in must(lab.poll(flow))


def _sign_in_as(lab: Lab, browser: Any, account: Any) -> None:
    from tests.security.lab import PASSWORD

    browser.cookies.set("portal_session", None)
    browser.knows_login(lab.portal.url, account.email, PASSWORD)
    browser.open(f"{lab.portal.url}/signin/")
    browser.sign_in_here()


@pytest.mark.case("T056")
def test_T056_a_user_id_is_claimed_once_and_only_where_that_is_switched_on(own_lab: Lab) -> None:
    lab = own_lab
    user = lab.new_user()
    first, second = lab.member(), lab.member()
    flow = portal_start(lab, user)
    browser = signed_in(lab, first)
    browser.open(flow.url)
    browser.walk()
    assert must(lab.poll(flow))["accessToken"]
    more = must(lab.ask(flow.wat, ["repo:write"]))
    with lab.refuses("binding_mismatch", action="consent.wrong_user", may_change=ATTEMPT):
        assert signed_in(lab, second, "lee").open(more["authorizationUrl"]).status == 403
    oracle.execute("UPDATE tenants_tenant SET claim_user_ids = false WHERE id = %s", lab.tenant.id)
    unclaimed = portal_start(lab)
    with lab.refuses("binding_mismatch", action="consent.wrong_user", may_change=ATTEMPT):
        assert signed_in(lab, second, "lee").open(unclaimed.url).status == 403


@pytest.mark.case("T056")
def test_T056_an_account_of_another_principal_cannot_go_through_an_applications_request(lab: Lab) -> None:
    """Application-verified: nobody has to be signed in, but who is must not be somebody else."""
    flow = lab.start()
    other = lab.member(linked_to=lab.new_user())
    browser = signed_in(lab, other, "lee")
    with lab.refuses("binding_mismatch", action="consent.wrong_user", may_change=ATTEMPT):
        assert browser.open(flow.url).status == 403
    lab.consent(flow)
    must(lab.complete(flow))
    assert must(lab.poll(flow))["accessToken"]


@pytest.mark.case("T056")
def test_T056_five_wrong_attempts_close_the_request(lab: Lab) -> None:
    flow = lab.start()
    browser = signed_in(lab, lab.member(linked_to=lab.new_user()), "lee")
    for number in range(1, 6):
        with lab.refuses("binding_mismatch", action="consent.wrong_user", may_change=CLOSES):
            assert browser.open(flow.url).status == 403
        assert attempts_of(lab, flow) == ("failed" if number == 5 else "pending", number)
    with lab.refuses("consent_too_many_attempts"):
        denied(lab.poll(flow), 403, "AccessDeniedException")
    assert lab.dana.open(flow.url).status in (403, 410)
    lab.works()


# --- the application vouches --------------------------------------------------------------------------------------


@pytest.mark.case("T057")
def test_T057_nothing_is_completed_before_the_person_came_back(lab: Lab) -> None:
    flow = lab.start()
    with lab.refuses("consent_not_returned"):
        denied(lab.complete(flow), 403, "AccessDeniedException")
    url = lab.to_callback(flow)
    with lab.refuses("consent_not_returned"):
        denied(lab.complete(flow), 403, "AccessDeniedException")
    lab.dana.open(url)
    must(lab.complete(flow))
    with lab.refuses("consent_used"):
        denied(lab.complete(flow), 403, "AccessDeniedException")


@pytest.mark.case("T057")
def test_T057_an_expired_request_is_not_completed(lab: Lab) -> None:
    flow = lab.start()
    lab.consent(flow)
    oracle.execute(
        "UPDATE connections_consentsession s SET expires_at = now() FROM connections_principal p "
        "WHERE p.id = s.principal_id AND p.subject = %s",
        flow.user,
    )
    for _ in range(2):
        with lab.refuses("consent_expired", may_change=CLOSES):
            denied(lab.complete(flow), 403, "AccessDeniedException")
    assert attempts_of(lab, flow)[0] == "expired"
    lab.works()


@pytest.mark.case("T057")
def test_T057_only_the_person_who_started_it_completes_it(lab: Lab) -> None:
    flow = lab.start()
    lab.consent(flow)
    wrong = [flow.user + "x", flow.user.upper(), "dana"]
    for number, user_id in enumerate(wrong, 1):
        with lab.refuses("binding_mismatch", action="consent.wrong_user", may_change=ATTEMPT):
            denied(lab.complete(flow, userId=user_id), 403, "AccessDeniedException")
        assert attempts_of(lab, flow) == ("returned", number)
    must(lab.complete(flow))
    assert must(lab.poll(flow))["accessToken"]


@pytest.mark.case("T057")
def test_T057_five_wrong_users_forget_the_code(lab: Lab) -> None:
    flow = lab.start()
    lab.consent(flow)
    for number in range(5):
        with lab.refuses("binding_mismatch", action="consent.wrong_user", may_change=CLOSES):
            denied(lab.complete(flow, userId=f"guess-{number}"), 403, "AccessDeniedException")
    with lab.refuses("consent_too_many_attempts"):
        denied(lab.complete(flow), 403, "AccessDeniedException")
    assert (
        lab.rows(
            "SELECT 1 FROM vault_sealedsecret v JOIN connections_consentsession s ON s.id = v.row_id "
            "JOIN connections_principal p ON p.id = s.principal_id WHERE p.subject = %s AND v.tenant_id = %s",
            flow.user,
        )
        == []
    )


@pytest.mark.case("T057")
def test_T057_exactly_one_identifier_is_given(lab: Lab) -> None:
    flow = lab.start()
    lab.consent(flow)
    for identifier in ({"userId": flow.user, "userToken": "x.y.z"}, {}, {"userId": ""}, {"email": "dana@hub.example"}):
        with lab.refuses({"field_invalid", "unknown_field", "identifier"}):
            members = {"sessionUri": flow.session_uri, "userIdentifier": identifier}
            denied(lab.wire.call("CompleteResourceTokenAuth", members), 400, "ValidationException")
    must(lab.complete(flow))


@pytest.mark.case("T057")
def test_T057_a_foreign_unknown_or_malformed_session_is_one_answer(lab: Lab, neighbour: Lab) -> None:
    from apps.core import tickets

    flow, theirs = lab.start(), neighbour.start()
    neighbour.consent(theirs)
    urn = "urn:ietf:params:oauth:request_uri:"
    unknown = urn + tickets.mint(tickets.Kind.CONSENT_SESSION, lab.tenant.account_id).reveal()
    answers = set()
    for uri in (theirs.session_uri, unknown, mutated(flow.session_uri), urn + "x", urn + "acs_" + "0" * 61):
        with lab.refuses("session_not_found", neighbours=(neighbour.tenant,)):
            members = {"sessionUri": uri, "userIdentifier": {"userId": theirs.user}}
            reply = denied(lab.wire.call("CompleteResourceTokenAuth", members), 404, "ResourceNotFoundException")
        answers.add(reply.body)
    assert len(answers) == 1
    must(neighbour.complete(theirs))


@pytest.mark.case("T057")
def test_T057_completed_many_times_at_once_the_code_is_sent_once(lab: Lab) -> None:
    flow = lab.start()
    lab.consent(flow)
    with lab.watching() as watch, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: lab.complete(flow), range(8)))
    assert sorted(reply.status for reply in replies) == [200] + [403] * 7
    assert watch.calls.count("token") == 1
    assert must(lab.poll(flow))["accessToken"]


@pytest.mark.case("T057")
def test_T057_a_person_proven_by_a_token_is_compared_by_issuer_and_subject(own_lab: Lab) -> None:
    """A re-issued token of the same person completes; another person's, or a user id of the same text, does not."""
    from tests.security.calls import SUCCEEDS

    lab = own_lab
    members = SUCCEEDS["GetWorkloadAccessTokenForJWT"](lab)
    wat = must(lab.wire.call("GetWorkloadAccessTokenForJWT", members))["workloadAccessToken"]
    asked = must(lab.ask(wat, resourceOauth2ReturnUrl=RETURN))
    flow = Flow(wat, "", asked["sessionUri"], asked["authorizationUrl"])
    assert lab.consent(flow).url.startswith(RETURN)
    from dataclasses import replace

    app = replace(lab.client, redirect_uri="http://127.0.0.1:9/app")
    other = lab.hub.person("lee").sign_in_and_get_jwt(app)
    subject = lab.rows("SELECT subject FROM connections_principal WHERE kind = 'jwt' AND tenant_id = %s")[0][0]
    with oracle.refused(lab.tenant, reason="binding_mismatch", action="consent.wrong_user", may_change=ATTEMPT):
        denied(lab.complete(flow, userToken=other), 403, "AccessDeniedException")
    with lab.refuses("binding_mismatch", action="consent.wrong_user", may_change=ATTEMPT):
        denied(lab.complete(flow, userId=subject), 403, "AccessDeniedException")
    forged = members["userToken"][:-4] + "AAAA"
    with oracle.refused(lab.tenant, reason="signature_invalid"):
        denied(lab.complete(flow, userToken=forged), 401, "UnauthorizedException")
    again = lab.hub.person("dana").sign_in_and_get_jwt(app)
    assert again != members["userToken"]
    must(lab.complete(flow, userToken=again))
    assert must(lab.ask(wat))["accessToken"]
