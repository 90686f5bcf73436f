"""T012-T018, T022: claims of a proven token against our configuration."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from apps.authn.jwt import ClaimRule, IssuerPolicy
from apps.core.errors import Code, Invalid
from tests.unit.jwt.conftest import Refused
from tests.unit.jwt.issuing import AUDIENCE, ISSUER, NOW, NOW_S, POLICY, check, claims, token


@pytest.mark.case("T012")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exp": NOW_S - 61}, "token_expired"),
        ({"exp": NOW_S - 30}, "token_expired"),
        ({"exp": 0}, "token_expired"),
        ({"exp": ...}, "exp_missing"),
        ({"exp": "1999999999"}, "exp_invalid"),
        ({"exp": 1e300}, "exp_invalid"),
        ({"exp": 99999999999999}, "exp_invalid"),
        ({"exp": -1}, "exp_invalid"),
        ({"exp": None}, "exp_invalid"),
        ({"exp": True}, "exp_invalid"),
        ({"exp": [NOW_S + 600]}, "exp_invalid"),
        ({"nbf": NOW_S + 61}, "token_not_yet_valid"),
        ({"nbf": "0"}, "nbf_invalid"),
        ({"nbf": None}, "nbf_invalid"),
        ({"iat": NOW_S + 3600}, "token_not_yet_valid"),
        ({"iat": ...}, "iat_missing"),
        ({"iat": "now"}, "iat_invalid"),
    ],
)
def test_T012_times_that_are_wrong(refused: Refused, change: dict[str, object], reason: str) -> None:
    refused(token(claims(**change)), reason)


@pytest.mark.case("T012")
@pytest.mark.parametrize(
    "change", [{"exp": NOW_S - 29}, {"nbf": NOW_S + 29}, {"iat": NOW_S + 29}, {"nbf": 0}, {"exp": NOW_S + 0.25}]
)
def test_T012_thirty_seconds_of_leeway(change: dict[str, object]) -> None:
    assert check(token(claims(**change))).subject == "alice"


@pytest.mark.case("T012")
def test_T012_a_token_for_ten_years_is_refused_where_a_life_is_set(refused: Refused) -> None:
    ten_years = token(claims(exp=NOW_S + 10 * 365 * 86400))
    assert check(ten_years).subject == "alice"
    refused(ten_years, "exp_invalid", policy=replace(POLICY, max_lifetime_s=86400))
    assert check(token(), replace(POLICY, max_lifetime_s=86400)).subject == "alice"


def test_times_are_utc() -> None:
    verified = check(token())
    assert verified.expires_at == datetime.fromtimestamp(NOW_S + 600, UTC)
    assert verified.issued_at < NOW < verified.expires_at


@pytest.mark.case("T013")
@pytest.mark.parametrize(
    "issuer",
    [
        ISSUER + "/",
        ISSUER.upper(),
        "https://LOGIN.acme.example",
        "https://login.acme.example:443",
        "http://login.acme.example",
        "https://login.acme.example.evil",
        "https://login.acme.exampl",
        " " + ISSUER,
        [ISSUER],
        {"iss": ISSUER},
        None,
        "",
        ...,
    ],
)
def test_T013_the_issuer_is_compared_as_exact_text(refused: Refused, issuer: object) -> None:
    refused(token(claims(iss=issuer)), "issuer_mismatch")


@pytest.mark.case("T014")
@pytest.mark.parametrize(
    "audience",
    [
        *(..., None, "other", AUDIENCE + "-evil", AUDIENCE[:-1], AUDIENCE + "/", AUDIENCE.upper(), f"other {AUDIENCE}"),
        *(["other"], [], "", 7, True, {}, {AUDIENCE: 1}, [AUDIENCE, 1], [[AUDIENCE]]),
    ],
)
def test_T014_a_token_for_somebody_else_is_refused(refused: Refused, audience: object) -> None:
    refused(token(claims(aud=audience)), "audience_mismatch")


@pytest.mark.case("T014")
def test_T014_one_of_several_audiences_is_enough() -> None:
    assert check(token(claims(aud=["other", AUDIENCE]))).audiences == ("other", AUDIENCE)
    assert check(token(claims(aud="b")), replace(POLICY, audiences=("a", "b"))).audiences == ("b",)


@pytest.mark.case("T014")
@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("audiences", {"audiences": ()}),
        ("audiences", {"audiences": ("",)}),
        ("audiences", {"audiences": "api"}),
        ("issuer", {"issuer": ""}),
        ("algorithms", {"algorithms": ()}),
        ("algorithms", {"algorithms": ("RS256", "HS256")}),
        ("algorithms", {"algorithms": ("none",)}),
        ("client_claims", {"client_claims": ("sub",)}),
        ("scope_match", {"scope_match": "none"}),
        ("leeway_s", {"leeway_s": 86400}),
    ],
)
def test_T014_a_policy_that_checks_too_little_cannot_be_made(member: str, change: dict[str, object]) -> None:
    usual: dict[str, object] = {"issuer": ISSUER, "audiences": (AUDIENCE,)}
    with pytest.raises(Invalid) as caught:
        IssuerPolicy(**{**usual, **change})  # type: ignore[arg-type]
    assert caught.value.code is Code.INVALID
    assert [problem.name for problem in caught.value.fields] == [member]


CLIENTS = replace(POLICY, clients=("agent-app", "other-app"))
CLIENTS_AZP = replace(CLIENTS, client_claims=("azp", "appid"))


@pytest.mark.case("T015")
@pytest.mark.parametrize(
    ("change", "policy"),
    [
        ({"client_id": "stranger"}, CLIENTS),
        ({"client_id": "stranger", "azp": "agent-app"}, CLIENTS),
        ({"client_id": "stranger", "azp": "agent-app"}, CLIENTS_AZP),
        ({"client_id": "agent-app", "azp": "stranger"}, CLIENTS_AZP),
        ({"client_id": "agent-app", "azp": "other-app"}, CLIENTS_AZP),
        ({"client_id": ..., "appid": "agent-app"}, CLIENTS),
        ({"client_id": ..., "cid": "agent-app"}, CLIENTS_AZP),
        ({"client_id": ...}, CLIENTS),
        ({"client_id": ["agent-app"]}, CLIENTS),
        ({"client_id": None}, CLIENTS),
        ({"client_id": "agent-app", "azp": None}, CLIENTS_AZP),
        ({"client_id": "Agent-App"}, CLIENTS),
        ({"client_id": ""}, CLIENTS),
    ],
)
def test_T015_clients_not_listed_are_forbidden(
    forbidden: Refused, change: dict[str, object], policy: IssuerPolicy
) -> None:
    forbidden(token(claims(**change)), "client_not_allowed", policy=policy)


@pytest.mark.case("T015")
def test_T015_a_listed_client_passes_where_we_look() -> None:
    assert check(token(), CLIENTS).client == "agent-app"
    assert check(token(claims(client_id=..., azp="other-app")), CLIENTS_AZP).client == "other-app"
    assert check(token(claims(azp="agent-app", appid="agent-app")), CLIENTS_AZP).client == "agent-app"
    # `azp` means nothing to a policy that does not look at it
    assert check(token(claims(azp="stranger")), CLIENTS).client == "agent-app"


@pytest.mark.case("T015")
def test_T015_a_client_list_can_stand_in_for_the_audience(forbidden: Refused) -> None:
    only_clients = IssuerPolicy(issuer=ISSUER, clients=("agent-app",))
    assert check(token(claims(aud=...)), only_clients).client == "agent-app"
    assert check(token(claims(aud="anything")), only_clients).client == "agent-app"
    forbidden(token(claims(aud=..., client_id="stranger")), "client_not_allowed", policy=only_clients)


SCOPED = replace(POLICY, scopes=("agent:invoke", "agent:read"))


@pytest.mark.case("T016")
@pytest.mark.parametrize(
    "change",
    [
        {"scope": "agent:invoke:x"},
        {"scope": "AGENT:INVOKE"},
        {"scope": "agent:invoke,agent:x"},
        {"scope": "agent"},
        {"scope": "agent:invoke\tother"},
        {"scope": ""},
        {"scope": ...},
        {"scope": None},
        {"scope": {"agent:invoke": True}},
        {"scope": ..., "scp": ["agent:invoke", 1]},
        {"scope": "agent:invoke", "scp": ["x", None]},
        {"scope": ..., "scp": ["agent:invoke other"]},
        {"scope": ..., "roles": ["agent:invoke"]},
    ],
)
def test_T016_scopes_are_compared_whole(forbidden: Refused, change: dict[str, object]) -> None:
    forbidden(token(claims(**change)), "insufficient_scope", policy=SCOPED)


@pytest.mark.case("T016")
@pytest.mark.parametrize(
    "change",
    [{"scope": "x agent:invoke"}, {"scope": ..., "scp": "agent:read x"}, {"scope": ..., "scp": ["agent:invoke"]}],
)
def test_T016_any_one_scope_is_enough_by_default(change: dict[str, object]) -> None:
    assert check(token(claims(**change)), SCOPED).scopes & {"agent:invoke", "agent:read"}


@pytest.mark.case("T016")
def test_T016_or_all_of_them_where_the_policy_says_so(forbidden: Refused) -> None:
    strict = replace(SCOPED, scope_match="all")
    assert check(token(claims(scope="agent:read agent:invoke")), strict).scopes == {"agent:invoke", "agent:read"}
    forbidden(token(claims(scope="agent:read")), "insufficient_scope", policy=strict)


WITH_ID_TOKENS = replace(POLICY, allow_id_tokens=True)


@pytest.mark.case("T017")
@pytest.mark.parametrize(
    "marks",
    [
        {"nonce": "n", "scope": ...},
        {"at_hash": "h"},
        {"c_hash": "h"},
        {"typ": "ID"},
        {"token_use": "id"},
        {"scope": ..., "client_id": ..., "azp": AUDIENCE},
        {"scope": ..., "client_id": AUDIENCE},
        {"scope": ..., "client_id": AUDIENCE, "aud": [AUDIENCE]},
    ],
)
def test_T017_id_tokens_are_refused_unless_allowed(refused: Refused, marks: dict[str, object]) -> None:
    refused(token(claims(**marks)), "token_type_not_allowed")
    assert check(token(claims(**marks)), WITH_ID_TOKENS).is_id_token


@pytest.mark.case("T017")
@pytest.mark.parametrize("policy", [POLICY, WITH_ID_TOKENS])
@pytest.mark.parametrize(
    ("header", "change"),
    [
        ({"typ": "logout+jwt"}, {}),
        ({"typ": "dpop+jwt"}, {}),
        ({"typ": "secevent+jwt"}, {}),
        ({"typ": "application/dpop+jwt"}, {}),
        ({"typ": "oauth-authz-req+jwt"}, {}),
        ({"typ": "token-introspection+jwt"}, {}),
        ({"typ": "awt+jwt"}, {}),
        ({"typ": ""}, {}),
        ({"typ": None}, {}),
        ({"typ": 1}, {}),
        ({"typ": ["JWT"]}, {}),
        ({}, {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        ({}, {"htm": "GET", "htu": "https://api.acme.example/"}),
        ({}, {"sub": ISSUER}),
        ({}, {"typ": "Refresh"}),
        ({}, {"token_introspection": {"active": True}}),
    ],
)
def test_T017_things_that_were_never_credentials(
    refused: Refused, policy: IssuerPolicy, header: dict[str, object], change: dict[str, object]
) -> None:
    refused(token(claims(**change), header=header), "token_type_not_allowed", policy=policy)


@pytest.mark.case("T017")
def test_T017_odd_types_of_the_marks_are_no_crash() -> None:
    odd_values: tuple[object, ...] = ([], {}, None, 1)
    for odd in odd_values:
        assert check(token(claims(typ=odd, token_use=odd))).subject == "alice"


@pytest.mark.case("T017")
@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", ...])
def test_T017_usual_types_pass(typ: object) -> None:
    assert check(token(header={"typ": typ})).subject == "alice"


@pytest.mark.case("T017")
def test_T017_an_access_token_may_carry_a_nonce() -> None:
    """Keycloak before version 24 wrote it into both kinds."""
    assert not check(token(claims(nonce="n", typ="Bearer"))).is_id_token
    assert not check(token(claims(nonce="n"), header={"typ": "at+jwt"})).is_id_token


ACME = replace(POLICY, rules=(ClaimRule("tenant", ("acme",)),))


@pytest.mark.case("T018")
@pytest.mark.parametrize(
    "value", [["acme"], ["acme", "x"], "acme ", "ACME", "acme-evil", True, 1, {"acme": 1}, None, "", ...]
)
def test_T018_claim_rules_convert_nothing(forbidden: Refused, value: object) -> None:
    forbidden(token(claims(tenant=value)), "claim_mismatch", policy=ACME)
    assert check(token(claims(tenant="acme")), ACME).subject == "alice"


@pytest.mark.case("T018")
@pytest.mark.parametrize(("rule", "value"), [("true", True), ("1", 1), ("None", None)])
def test_T018_a_text_is_not_a_number_or_a_truth(forbidden: Refused, rule: str, value: object) -> None:
    policy = replace(POLICY, rules=(ClaimRule("flag", (rule,)),))
    forbidden(token(claims(flag=value)), "claim_mismatch", policy=policy)


@pytest.mark.case("T018")
def test_T018_lists_only_where_the_rule_says_any(forbidden: Refused) -> None:
    policy = replace(POLICY, rules=(ClaimRule("groups", ("staff", "ops"), of_list=True),))
    assert check(token(claims(groups=["x", "ops"])), policy).subject == "alice"
    for value in ("ops", ["x"], [], ["ops", 1], [["ops"]], {"ops": 1}):
        forbidden(token(claims(groups=value)), "claim_mismatch", policy=policy)


@pytest.mark.case("T022")
@pytest.mark.parametrize("subject", ["", None, ..., 7, ["alice"], "a" * 256, "a" * 10_000, "a\nb", "a\x7fb", True])
def test_T022_a_subject_is_a_short_plain_text(refused: Refused, subject: object) -> None:
    refused(token(claims(sub=subject)), "sub_invalid")


@pytest.mark.case("T022")
def test_T022_subjects_that_look_alike_are_different_people() -> None:
    spellings = ["alice", "Alice", "zo\u00eb", "zoe\u0308", "alice ", "a" * 255]
    principals = {check(token(claims(sub=one, email="same@acme.example"))).principal for one in spellings}
    assert principals == {(ISSUER, one) for one in spellings}
    other = "https://login.globex.example"
    assert check(token(claims(iss=other)), replace(POLICY, issuer=other)).principal == (other, "alice")


def test_verified_claims_cannot_be_changed() -> None:
    verified = check(token())
    with pytest.raises(TypeError):
        verified.claims["sub"] = "mallory"  # type: ignore[index]
    with pytest.raises(AttributeError):
        verified.subject = "mallory"  # type: ignore[misc]
    assert "agent:invoke profile" not in repr(verified)
