"""What a call gets is what the person, the administrators and the task all allow. No combination widens any of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.policy.bindings import (
    FLOWS,
    BindingFacts,
    ConsentFacts,
    Use,
    binding_clauses,
    consent_clauses,
    effective,
    granted_clauses,
    may_use,
    shorter,
    to_ask,
)
from apps.policy.clauses import Allow, decide

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
SCOPES = ("a", "b", "c", "d")
PLACES = ("https://x.example", "https://y.example")
PEOPLE = tuple(UUID(int=n) for n in range(1, 4))

some = lambda items: st.frozensets(st.sampled_from(items))  # noqa: E731
limit = lambda items: st.none() | some(items)  # noqa: E731
moments = st.integers(-3, 3).map(lambda hours: NOW + timedelta(hours=hours))

bindings = st.builds(
    BindingFacts,
    flows=some(FLOWS),
    ceiling=limit(SCOPES),
    resources=limit(PLACES),
    audiences=limit(PLACES),
    custom=st.none() | st.dictionaries(st.sampled_from("pq"), st.none() | some("12")),
    people=limit(PEOPLE),
    valid_from=st.none() | moments,
    valid_until=st.none() | moments,
    life=st.none() | st.integers(1, 6).map(lambda hours: timedelta(hours=hours)),
    uses=st.none() | st.integers(1, 3),
)
uses = st.builds(
    Use,
    flow=st.sampled_from(FLOWS),
    scopes=some(SCOPES),
    resources=some(PLACES),
    audiences=some(PLACES),
    custom=st.dictionaries(st.sampled_from("pq"), st.sampled_from("12")),
    principal=st.sampled_from(PEOPLE),
)
consents = st.builds(
    ConsentFacts,
    status=st.sampled_from(["active", "needs_reconsent", "revoked"]),
    held=st.booleans(),
    current=st.booleans(),
    requested=some(SCOPES),
    granted=some(SCOPES),
    consented_at=st.none() | moments,
    expires_at=st.none() | moments,
    uses_left=st.none() | st.integers(0, 2),
)


def released(closed: bool, binding: BindingFacts | None, use: Use, consent: ConsentFacts | None) -> bool:
    """Every decision a release for a person goes through."""
    return (
        may_use(closed=closed, binding=binding, use=use, now=NOW) == Allow()
        and decide(consent_clauses(consent, binding=binding, scopes=use.scopes, now=NOW)) == Allow()
        and decide(granted_clauses(consent.granted if consent else (), binding)) == Allow()
    )


live = st.builds(
    ConsentFacts,
    status=st.just("active"),
    held=st.just(True),
    current=st.just(True),
    requested=some(SCOPES),
    granted=some(SCOPES),
    consented_at=st.just(NOW - timedelta(hours=1)),
    expires_at=st.none() | moments,
    uses_left=st.none() | st.integers(0, 2),
)


@settings(max_examples=500)
@given(st.booleans(), st.none() | bindings, uses, st.none() | live | consents)
def test_what_is_released_is_below_all_three(closed, binding, use, consent):
    if not released(closed, binding, use, consent):
        return
    assert consent is not None and use.scopes <= consent.requested
    assert consent.status == "active" and consent.uses_left != 0
    assert consent.expires_at is None or consent.expires_at > NOW
    rights = effective(use.scopes, ceiling=binding.ceiling if binding else None, consented=consent.requested)
    assert rights == use.scopes  # nothing the task counts on is missing, and nothing is added
    if binding is None:
        assert not closed
        return
    assert binding.ceiling is None or (use.scopes <= binding.ceiling and consent.granted <= binding.ceiling)
    assert not binding.flows or use.flow in binding.flows
    assert binding.people is None or use.principal in binding.people
    assert binding.valid_from is None or binding.valid_from <= NOW
    assert binding.valid_until is None or NOW < binding.valid_until
    assert binding.life is None or NOW < consent.consented_at + binding.life
    if use.flow != "api_key":
        assert binding.resources is None or (use.resources and use.resources <= binding.resources)
        assert binding.audiences is None or (use.audiences and use.audiences <= binding.audiences)
        for name, value in use.custom.items() if binding.custom is not None else ():
            assert binding.custom[name] is None or value in binding.custom[name]


@given(some(SCOPES), limit(SCOPES), some(SCOPES))
def test_effective_rights_never_exceed_any_of_the_three(asked, ceiling, consented):
    rights = effective(asked, ceiling=ceiling, consented=consented)
    assert rights <= asked and rights <= consented and (ceiling is None or rights <= ceiling)


@given(some(SCOPES), limit(SCOPES), some(SCOPES))
def test_a_person_is_never_asked_for_more_than_the_task_and_the_ceiling_bring(asked, ceiling, earlier):
    asked_of_person = to_ask(asked, ceiling=ceiling, earlier=earlier)
    assert asked <= asked_of_person <= asked | earlier
    assert ceiling is None or asked_of_person - asked <= ceiling


narrowings = {
    "ceiling": some(SCOPES),
    "resources": some(PLACES),
    "audiences": some(PLACES),
    "people": some(PEOPLE),
    "custom": st.dictionaries(st.sampled_from("pq"), some("12")),
    "life": st.integers(1, 6).map(lambda hours: timedelta(hours=hours)),
    "valid_from": moments,
    "valid_until": moments,
}


@given(st.booleans(), bindings, uses, consents, st.data())
def test_a_further_limit_never_allows_what_was_denied(closed, binding, use, consent, data):
    """Also not by the order in which limits are looked at: narrowing any one of them only takes away."""
    name = data.draw(st.sampled_from(sorted(narrowings)))
    more = data.draw(narrowings[name])
    before = getattr(binding, name)
    match name:
        case "life" | "valid_until":
            more = more if before is None else min(before, more)
        case "valid_from":
            more = more if before is None else max(before, more)
        case "custom":
            if before is not None:
                more = {k: v if before[k] is None else v & before[k] for k, v in more.items() if k in before}
        case _:
            more = more if before is None else more & before
    narrowed = replace(binding, **{name: more})
    if released(closed, narrowed, use, consent):
        assert released(closed, binding, use, consent)
    if released(True, binding, use, consent):  # and closing a tenant only takes away
        assert released(False, binding, use, consent)


@given(bindings, uses, consents, some(SCOPES))
def test_a_narrower_task_or_consent_never_gets_more(binding, use, consent, fewer):
    smaller = replace(consent, requested=consent.requested & fewer)
    if released(False, binding, use, smaller):
        assert released(False, binding, use, consent)
    if released(False, binding, use, consent):
        assert released(False, binding, replace(use, scopes=use.scopes & fewer), consent)


def test_some_things_are_released():
    """So that the properties above speak of something."""
    binding = BindingFacts(flows=frozenset({"user_federation"}), ceiling=frozenset("ab"), people=frozenset(PEOPLE[:1]))
    use = Use(flow="user_federation", scopes=frozenset("a"), principal=PEOPLE[0])
    consent = ConsentFacts(
        status="active", held=True, current=True, requested=frozenset("ab"), granted=frozenset("ab"),
        consented_at=NOW, expires_at=None, uses_left=1,
    )  # fmt: skip
    assert released(True, binding, use, consent)
    old = replace(consent, consented_at=NOW - timedelta(hours=2))
    assert released(True, replace(binding, life=timedelta(hours=3)), use, old)
    for fault in (
        (binding, use, replace(consent, uses_left=0)),
        (binding, use, replace(consent, status="revoked")),
        (binding, use, replace(consent, held=False)),
        (binding, use, replace(consent, current=False)),
        (binding, use, replace(consent, expires_at=NOW)),
        (replace(binding, life=timedelta(hours=2)), use, old),
        (replace(binding, life=timedelta(hours=2)), use, replace(consent, consented_at=None)),
        (replace(binding, valid_from=NOW + timedelta(seconds=1)), use, consent),
        (replace(binding, valid_until=NOW), use, consent),
        (replace(binding, flows=frozenset({"m2m"})), use, consent),
        (replace(binding, custom={"q": None}), replace(use, custom={"p": "1"}), consent),
        (replace(binding, custom={"p": frozenset("2")}), replace(use, custom={"p": "1"}), consent),
        (replace(binding, audiences=frozenset(PLACES[:1])), replace(use, audiences=frozenset(PLACES)), consent),
        (binding, replace(use, scopes=frozenset("c")), consent),
        (binding, use, replace(consent, requested=frozenset("b"))),
        (replace(binding, ceiling=frozenset("a")), use, consent),
        (replace(binding, people=frozenset()), use, consent),
        (binding, replace(use, principal=PEOPLE[1]), consent),
    ):
        assert not released(True, *fault)


@given(st.booleans(), st.none() | bindings, uses)
def test_a_refusal_is_the_first_clause_that_does_not_hold(closed, binding, use):
    clauses = list(binding_clauses(closed=closed, binding=binding, use=use, now=NOW))
    first = next((clause for clause in clauses if not clause.holds), None)
    decision = may_use(closed=closed, binding=binding, use=use, now=NOW)
    assert (decision == Allow()) == (first is None)
    if first is not None:
        assert decision.reason == first.reason != "" and decision.clause == first


def test_a_limit_on_resources_wants_one_named():
    """A token that names none (RFC 8707) would be good for all of them."""
    binding = BindingFacts(flows=frozenset(), ceiling=None, resources=frozenset(PLACES))
    without = Use(flow="m2m", principal=PEOPLE[0])
    assert may_use(closed=False, binding=binding, use=without, now=NOW) != Allow()
    named = replace(without, resources=frozenset(PLACES[:1]))
    assert may_use(closed=False, binding=binding, use=named, now=NOW) == Allow()


def test_what_a_provider_does_not_say_is_above_every_ceiling():
    ceiling = BindingFacts(flows=frozenset(), ceiling=frozenset("a"))
    assert decide(granted_clauses([], ceiling)) != Allow()
    assert decide(granted_clauses(["a"], ceiling)) == Allow()
    assert decide(granted_clauses([], None)) == Allow()


@given(st.lists(st.none() | st.integers(1, 10)))
def test_the_shortest_life_wins(lives):
    found = shorter(*lives)
    assert all(life is None or (found is not None and found <= life) for life in lives)
