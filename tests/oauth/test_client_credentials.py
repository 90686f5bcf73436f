"""Programs get tokens in their own right, prove themselves in one way, and lose them at once."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
import time_machine

from apps.authn.caller import CallerKind
from apps.authn.models import OAuthAccessToken, OAuthAssertion, OAuthClient
from apps.broker import contracts as c
from apps.broker.authorization_server import contracts as oc
from apps.broker.authorization_server.bearer import authenticate_bearer
from apps.broker.run import run
from apps.core import clock
from apps.core.errors import Invalid, NotAllowed, Unauthenticated
from apps.core.secret import Secret
from apps.tenants.scope import tenant_scope
from tests.flows.test_nobody_grants_above_their_own import as_person, member
from tests.oauth.support import ASSERTION, Signer, credentials, get_token, issuer, make_client, post
from tests.security.oracle import refused
from tests.support import mutated, rows, trail


def caller_of(token: str):
    return authenticate_bearer(Secret(token), request_id="r", source_ip="127.0.0.1")


def ask(tenant, made, **form):
    form = {"grant_type": "client_credentials", "scope": "agents:read", **form}
    return post(tenant, "token", {k: v for k, v in form.items() if v is not None}, basic=credentials(made))


def test_a_client_gets_a_short_lived_opaque_token_with_its_scopes(acme):
    made = make_client(acme, "agents:read", "agents:write")
    response = ask(acme, made)
    body = response.json()
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert body["token_type"] == "Bearer" and body["expires_in"] == 600 and body["scope"] == "agents:read"
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}, "no refresh token (RFC 6749 4.4.3)"
    [record] = trail(acme, action="api_token.issue")
    assert (record.outcome, record.actor, record.actor_kind) == ("allowed", made.client_id, "api_client")
    assert record.details["scopes"] == ["agents:read"]


def test_the_token_stands_for_the_client_and_does_what_its_scopes_say(acme):
    run(c.CreateAgent(name="bot"), acme.caller())
    caller = caller_of(get_token(acme, make_client(acme, "agents:read", "agents:write"), "agents:read"))
    assert caller.kind is CallerKind.API_CLIENT and caller.tenant_id == acme.id
    assert run(c.GetAgent(name="bot"), caller).name == "bot"
    with pytest.raises(NotAllowed) as refusal:
        run(c.CreateAgent(name="other"), caller)
    assert refusal.value.reason == "insufficient_scope"


def test_a_scope_taken_from_the_client_is_gone_from_its_tokens(acme):
    made = make_client(acme, "agents:read", "agents:write")
    caller = caller_of(get_token(acme, made, "agents:read agents:write"))
    with tenant_scope(acme.id):
        OAuthClient.objects.filter(client_id=made.client_id).update(allowed_scopes=["agents:read"])
    with pytest.raises(NotAllowed):
        run(c.CreateAgent(name="bot"), caller)
    assert caller_of(get_token(acme, made)).scopes == {"agents:read"}


def test_a_client_of_one_agent_acts_for_no_other(acme):
    for name in ("bot", "other"):
        run(c.CreateAgent(name=name), acme.caller())
    caller = caller_of(get_token(acme, make_client(acme, "tokens:write", agent="bot"), "tokens:write"))
    assert run(c.IssueWorkloadToken(agent="bot"), caller)
    with pytest.raises(NotAllowed) as refusal:
        run(c.IssueWorkloadToken(agent="other"), caller)
    assert refusal.value.reason == "agent_not_of_client"


def test_a_token_is_found_in_one_round_trip(acme):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    token = get_token(acme, make_client(acme))
    with CaptureQueriesContext(connection) as asked:
        assert caller_of(token).account_id == acme.account_id
    assert len(asked) == 1


@pytest.mark.case("T086")
def test_T086_secrets_and_tokens_are_stored_as_digests_only(acme):
    from tests.security.oracle import execute

    made = make_client(acme)
    token, secret = get_token(acme, made), credentials(made)[1]
    for table in ("authn_oauthclient", "authn_oauthaccesstoken", "audit_auditrecord", "vault_sealedsecret"):
        found = str(execute(f"SELECT t::text FROM {table} t WHERE tenant_id = %s", acme.id))
        assert token not in found and secret not in found and token[16:] not in found
    [row] = rows(acme, OAuthAccessToken)
    assert row.token == "" and row.token_checksum == hashlib.sha256(token.encode()).hexdigest()
    [client] = rows(acme, OAuthClient)
    assert client.client_secret.startswith("hmac-sha256$")


@pytest.mark.case("T086")
def test_T086_the_stored_form_of_a_secret_is_no_secret(acme):
    made = make_client(acme)
    [client] = rows(acme, OAuthClient)
    with refused(acme, reason="client_secret_wrong"):
        answer = post(
            acme,
            "token",
            {"grant_type": "client_credentials", "scope": "agents:read"},
            basic=(made.client_id, client.client_secret),
        )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


WRONG = {
    "client_secret_wrong": lambda made: {"basic": (made.client_id, mutated(credentials(made)[1]))},
    "client_unknown": lambda made: {"basic": ("client-" + "0" * 32, credentials(made)[1])},
    "client_proof_of_another_kind": lambda made: {"form": {"client_id": made.client_id}},
    "several_client_proofs": lambda made: {
        "basic": credentials(made),
        "form": {"client_secret": credentials(made)[1]},
    },
    "client_ids_disagree": lambda made: {"basic": credentials(made), "form": {"client_id": "client-other"}},
    "client_id_missing": lambda made: {"form": {}},
    "grant_type_unknown": lambda made: {"basic": credentials(made), "form": {"grant_type": "password"}},
    "scope_missing": lambda made: {"basic": credentials(made), "form": {"scope": ""}},
    "scope_not_allowed": lambda made: {"basic": credentials(made), "form": {"scope": "agents:read agents:write"}},
    "resource_unknown": lambda made: {"basic": credentials(made), "form": {"resource": "https://else.example"}},
}


@pytest.mark.parametrize("reason", WRONG)
def test_a_request_with_one_fault_gets_no_token(acme, reason):
    made = make_client(acme)
    fault = WRONG[reason](made)
    form = {"grant_type": "client_credentials", "scope": "agents:read", **fault.get("form", {})}
    assert ask(acme, made).status_code == 200
    with refused(acme, reason=reason):
        answer = post(acme, "token", form, basic=fault.get("basic"))
    assert answer.status_code in (400, 401)
    assert set(answer.json()) == {"error", "error_description"}
    assert credentials(made)[1] not in answer.content.decode()


def test_an_unknown_client_and_a_wrong_secret_get_the_same_answer(acme):
    made = make_client(acme)
    form = {"grant_type": "client_credentials", "scope": "agents:read"}
    wrong = post(acme, "token", form, basic=(made.client_id, mutated(credentials(made)[1])))
    unknown = post(acme, "token", form, basic=("client-" + "1" * 32, "x"))
    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)
    assert wrong["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("reason", "send"),
    [
        ("parameter_repeated", {"form": "grant_type=client_credentials&scope=agents:read&scope=agents:read"}),
        ("media_type_unsupported", {"form": "{}", "content_type": "application/json"}),
        ("query_string", {"form": "grant_type=client_credentials", "QUERY_STRING": "scope=agents:read"}),
        ("form_malformed", {"form": "grant_type=%ff"}),
        ("body_too_large", {"form": "a=" + "x" * 70_000}),
    ],
)
def test_a_body_that_is_not_one_plain_form_is_refused(acme, reason, send):
    made = make_client(acme)
    with refused(acme, reason=reason):
        answer = post(acme, "token", send.pop("form"), basic=credentials(made), **send)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_other_methods_are_refused(acme):
    from django.test import Client

    assert Client().get(f"/t/{acme.slug}/oauth2/token").status_code == 405


# --- private_key_jwt ------------------------------------------------------------------------------------------------


@pytest.fixture
def signing(acme):
    signer = Signer()
    return signer, make_client(acme, proof="private_key_jwt", jwks=signer.jwks)


def present(tenant, assertion, **form):
    form = {"grant_type": "client_credentials", "scope": "agents:read", **form}
    return post(tenant, "token", {**form, "client_assertion_type": ASSERTION, "client_assertion": assertion})


@pytest.mark.parametrize("audience", ["", "/oauth2/token"])
def test_a_client_proves_itself_with_its_key(acme, signing, audience):
    signer, made = signing
    assert made.client_secret is None
    response = present(acme, signer.assertion(made.client_id, issuer(acme) + audience))
    assert response.status_code == 200, response.content
    assert trail(acme, action="api_token.issue")[-1].proof == "private_key_jwt"


def test_an_assertion_is_good_for_one_time(acme, signing):
    signer, made = signing
    assertion = signer.assertion(made.client_id, issuer(acme))
    assert present(acme, assertion).status_code == 200
    with refused(acme, reason="assertion_replayed"):
        assert present(acme, assertion).status_code == 401
    assert len(rows(acme, OAuthAssertion)) == 1


ASSERTION_FAULTS = {
    "audience_mismatch": {"audience": "https://else.example"},
    "assertion_not_of_client": {"sub": "someone"},
    "jti_missing": {"jti": None},
    "exp_missing": {"exp": None},
    "token_expired": {"exp": 1_600_000_000, "iat": 1_600_000_000},
    "exp_invalid": {"exp": 4_000_000_000},
    "token_not_yet_valid": {"nbf": 4_000_000_000},
    "signature_invalid": {"key": Signer().key},
    "kid_unknown": {"header": {"kid": "another"}},
    "untrusted_key_header": {"header": {"jwk": {"kty": "EC"}}},
}


@pytest.mark.parametrize("reason", ASSERTION_FAULTS)
def test_an_assertion_with_one_fault_proves_nothing(acme, signing, reason):
    signer, made = signing
    changes = dict(ASSERTION_FAULTS[reason])
    assertion = signer.assertion(made.client_id, changes.pop("audience", issuer(acme)), **changes)
    with refused(acme, reason=reason):
        assert present(acme, assertion).status_code == 401


def test_an_assertion_for_several_audiences_proves_nothing(acme, signing):
    signer, made = signing
    with refused(acme, reason="audience_mismatch"):
        answer = present(acme, signer.assertion(made.client_id, [issuer(acme), "https://else.example"]))
    assert answer.status_code == 401


def test_a_private_key_is_not_taken(acme):
    signer = Signer()
    import jwt

    private = jwt.algorithms.ECAlgorithm.to_jwk(signer.key, as_dict=True)
    jwks = {"keys": [{**signer.public(), "d": private["d"]}]}
    with pytest.raises(Invalid) as refusal:
        make_client(acme, proof="private_key_jwt", jwks=jwks)
    assert refusal.value.reason == "jwks_private"
    assert rows(acme, OAuthClient) == []


# --- the end of a client --------------------------------------------------------------------------------------------


def disabled(tenant, made):
    run(oc.DisableApiClient(client_id=made.client_id), tenant.caller())


def deleted(tenant, made):
    run(oc.DeleteApiClient(client_id=made.client_id), tenant.caller())


def suspended(tenant, made):
    tenant.tenant.status = "suspended"
    tenant.tenant.save()


@pytest.mark.case("T087")
@pytest.mark.parametrize("end", [disabled, deleted, suspended], ids=lambda f: f.__name__)
def test_T087_a_token_ends_with_its_client(acme, end):
    made = make_client(acme)
    token = get_token(acme, made)
    assert caller_of(token)
    end(acme, made)
    with pytest.raises(Unauthenticated):
        caller_of(token)
    assert ask(acme, made).status_code in (401, 404)


def test_enabling_a_client_brings_no_token_back(acme):
    made = make_client(acme)
    token = get_token(acme, made)
    disabled(acme, made)
    run(oc.EnableApiClient(client_id=made.client_id), acme.caller())
    with pytest.raises(Unauthenticated):
        caller_of(token)
    assert caller_of(get_token(acme, made))


def test_a_new_secret_ends_the_old_one(acme):
    made = make_client(acme)
    renewed = run(oc.RotateApiClient(client_id=made.client_id), acme.caller())
    assert ask(acme, made).status_code == 401
    assert ask(acme, renewed).status_code == 200


def test_an_expired_token_is_none(acme):
    token = get_token(acme, make_client(acme))
    with tenant_scope(acme.id):
        OAuthAccessToken.objects.update(expires=clock.now() - timedelta(seconds=1))
    with pytest.raises(Unauthenticated):
        caller_of(token)


@pytest.mark.case("T087")
def test_T087_introspection_says_nothing_about_tokens_of_others(acme, globex):
    made = make_client(acme)
    token = get_token(acme, made)
    own = post(acme, "introspect", {"token": token}, basic=credentials(made)).json()
    assert own["active"] is True and own["client_id"] == made.client_id and own["iss"] == issuer(acme)
    assert own["scope"] == "agents:read" and own["sub"] == made.client_id
    colleague, stranger = make_client(acme), make_client(globex)
    for tenant, asks in ((acme, colleague), (globex, stranger)):
        answer = post(tenant, "introspect", {"token": token}, basic=credentials(asks))
        assert (answer.status_code, answer.json()) == (200, {"active": False})
    garbage = post(acme, "introspect", {"token": "x"}, basic=credentials(made))
    assert garbage.json() == {"active": False}
    disabled(acme, made)
    run(oc.EnableApiClient(client_id=made.client_id), acme.caller())
    assert post(acme, "introspect", {"token": token}, basic=credentials(made)).json() == {"active": False}
    assert post(acme, "introspect", {"token": token}).status_code == 401


@pytest.mark.case("T087")
def test_T087_a_client_ends_its_own_tokens_and_nobody_elses(acme, globex):
    made = make_client(acme)
    token = get_token(acme, made)
    for tenant, other in ((acme, make_client(acme)), (globex, make_client(globex))):
        answer = post(tenant, "revoke", {"token": token}, basic=credentials(other))
        assert answer.status_code == 200
        assert caller_of(token)
    assert post(acme, "revoke", {"token": token}, basic=credentials(made)).status_code == 200
    with pytest.raises(Unauthenticated):
        caller_of(token)
    again = post(acme, "revoke", {"token": token, "token_type_hint": "nonsense"}, basic=credentials(made))
    assert again.status_code == 200


@pytest.mark.case("T087")
def test_T087_a_client_of_another_tenant_is_unknown_here(acme, globex):
    made = make_client(globex)
    with refused(acme, globex, reason="client_unknown"):
        assert ask(acme, made).status_code == 401


def test_a_token_of_another_kind_is_no_bearer_token(acme):
    run(c.CreateAgent(name="bot"), acme.caller())
    workload = run(c.IssueWorkloadToken(agent="bot"), acme.caller())
    with pytest.raises(Unauthenticated):
        caller_of(workload.reveal())


def test_nobody_makes_a_client_that_may_do_more_than_they(acme):
    admin = as_person(acme, member(acme, "tenant_admin"))
    run(oc.CreateApiClient(name="x", scopes=("agents:write",)), admin)
    with pytest.raises(NotAllowed):
        run(oc.CreateApiClient(name="x", scopes=("tokens:act_for_user_id",)), admin)
    with pytest.raises(NotAllowed):
        run(oc.CreateApiClient(name="x", scopes=("agents:read",)), as_person(acme, member(acme, "agent_developer")))
    keeper = caller_of(get_token(acme, make_client(acme, "keys:write", "agents:read"), "keys:write agents:read"))
    run(oc.CreateApiClient(name="x", scopes=("agents:read",)), keeper)
    with pytest.raises(NotAllowed):
        run(oc.CreateApiClient(name="x", scopes=("agents:write",)), keeper)


def test_old_assertions_and_tokens_are_cleaned_up(acme, signing):
    from apps.broker.upkeep import housekeeping

    signer, made = signing
    assert present(acme, signer.assertion(made.client_id, issuer(acme))).status_code == 200
    with tenant_scope(acme.id):
        OAuthAssertion.objects.update(expires_at=clock.now() - timedelta(minutes=1))
        OAuthAccessToken.objects.update(expires=clock.now() - timedelta(hours=1))
    housekeeping.clean(acme.id)
    assert rows(acme, OAuthAssertion) == [] and rows(acme, OAuthAccessToken) == []


@pytest.mark.parametrize("path", ["token", "introspect", "revoke"])
def test_who_proves_nothing_uses_up_nothing_of_the_tenant(acme, monkeypatch, path):
    """Decision 36: before the proof only the address counts."""
    from apps.authn.rate_limits import counters

    made = make_client(acme, "agents:read")
    token = get_token(acme, made)
    form = {"grant_type": "client_credentials", "scope": "agents:read", "token": token}
    client_id, secret = credentials(made)
    for kind in ("tenant", "credential"):
        frozen = clock.now() + timedelta(seconds={"tenant": 10, "credential": 20}[kind])
        with time_machine.travel(frozen, tick=False), monkeypatch.context() as patch:
            patch.setitem(counters.limits, kind, 2)
            for _ in range(5):
                assert post(acme, path, form, basic=(client_id, mutated(secret))).status_code == 401
            statuses = [post(acme, path, form, basic=(client_id, secret)).status_code for _ in range(4)]
            assert statuses == [200, 200, 429, 429], kind
