"""Every way a request can end badly has a page of its own with a way on."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from apps.broker.consent.problems import SENTENCES
from apps.broker.consent.returns import CallbackRejected, ProviderDeclined
from apps.core.errors import Code, Gone, NotAllowed, PortalError, Throttled, UpstreamUnavailable
from apps.entrypoints.consent.problems import PROBLEMS, STATUS, code_of, problem_page
from tests.pages.conftest import problem, seen


def page_for(refusal: PortalError, *, link: str | None = "acs_x"):
    request = RequestFactory().get("/connect/acs_x")
    request.user, request.portal_request_id = AnonymousUser(), "req-1"
    return problem_page(request, refusal, link=link)


def test_every_problem_of_the_domain_has_a_page():
    assert set(SENTENCES) <= set(PROBLEMS)


def test_every_code_has_a_status():
    assert set(STATUS) == set(Code)


@pytest.mark.parametrize("word", sorted(PROBLEMS))
def test_the_page_says_what_happened_what_to_do_and_which_request_it_was(word):
    answer = page_for(NotAllowed("for developers", reason=f"consent_{word}"))
    assert problem(answer) == (403, word)
    body = answer.content.decode()
    assert "for developers" not in body and "req-1" in body and body.count("<h1") == 1
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Referrer-Policy"] == "no-referrer"


def test_titles_are_unique():
    titles = [str(p.title) for p in PROBLEMS.values()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    ("refusal", "status", "word"),
    [
        (Gone("x", reason="consent_used"), 410, "used"),
        (NotAllowed("x", reason="something_new"), 403, "failed"),
        (UpstreamUnavailable("x", reason="timeout"), 503, "provider_down"),
        (PortalError("x", reason="id_token_invalid", code=Code.UPSTREAM_REFUSED), 502, "id_token_invalid"),
        (PortalError("x", reason="boom"), 500, "failed"),
        (PortalError("x", reason="audit_unavailable", code=Code.UNAVAILABLE), 503, "unavailable"),
    ],
)
def test_reasons_become_words_and_codes_become_statuses(refusal, status, word):
    assert code_of(refusal) == word
    assert problem(page_for(refusal)) == (status, word)


def test_a_refused_callback_is_one_word_whatever_the_reason():
    for reason in ("state_invalid", "iss_mismatch", "browser_mismatch", "provider_mismatch", "malformed_callback"):
        rejected = CallbackRejected("x", reason=reason, code=Code.INVALID)
        assert problem(page_for(rejected, link=None)) == (400, "callback_invalid")


def test_too_fast_says_when_to_come_back():
    answer = page_for(Throttled("x", reason="rate", retry_after_s=12.4))
    assert problem(answer) == (429, "rate_limited") and answer.headers["Retry-After"] == "12"


def test_an_address_that_would_run_here_is_never_offered():
    with pytest.raises(ValueError, match="no usable scheme"):
        page_for(ProviderDeclined("provider_denied", "javascript:alert(1)"))
    fine = page_for(ProviderDeclined("provider_denied", 'https://a.example/?x="><b>&y=1;2'))
    assert seen(fine).refresh[1] == 'https://a.example/?x="><b>&y=1;2'
    assert b"<b>" not in fine.content


def test_error_pages_of_the_frame_look_the_same(browser):
    answer = browser.get("/nothing/here")
    assert problem(answer) == (404, "404") and b"portal.css" in answer.content


def test_the_fault_page_needs_neither_session_nor_database(django_db_blocker):
    from apps.entrypoints.ops.views import server_error

    request = RequestFactory().get("/anything")
    request.portal_request_id = "req-2"
    with django_db_blocker.block():
        assert problem(server_error(request)) == (500, "500")
