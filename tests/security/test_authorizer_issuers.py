"""Agent authorizer: issuers and their keys, what is switched off, and how a token travels."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.authn.models import AccessKey
from apps.broker import contracts as portal
from apps.broker.data_plane import persons
from apps.broker.inbound import contracts as c
from apps.broker.run import run
from apps.core.errors import Invalid
from apps.tenants.models import Tenant
from tests.fakes.issuer import Issuer
from tests.security import oracle
from tests.security.doors import Door, random_kid
from tests.unit.jwt.issuing import b64_int, jwk


class Clock:
    """The key cache's clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, issuer: Issuer) -> Clock:
    hand = Clock()
    monkeypatch.setattr(persons.keys, "_clock", hand)
    return hand


BAD_KEYS: dict[str, Any] = {
    "short RSA": {"kty": "RSA", "kid": "bad", "n": b64_int((1 << 511) | 1), "e": "AQAB"},
    "huge RSA": {"kty": "RSA", "kid": "bad", "n": b64_int((1 << 65_535) | 1), "e": "AQAB"},
    "e=1": {**jwk("rsa/bad"), "kid": "bad", "e": "AQ"},
    "oct": {"kty": "oct", "kid": "bad", "k": "c2VjcmV0"},
    "off the curve": {**jwk("p256"), "kid": "bad", "y": jwk("p256")["x"]},
    "for encryption": {**jwk("rsa/bad"), "kid": "bad", "use": "enc"},
    "not a key": "a text",
}


@pytest.mark.case("T019")
@pytest.mark.parametrize("name", list(BAD_KEYS))
def test_T019_a_bad_key_is_left_out_and_the_good_ones_serve(door: Door, issuer: Issuer, name: str) -> None:
    issuer.keys.insert(0, BAD_KEYS[name])
    door.admits(issuer.token())
    reason = "key_alg_mismatch" if name != "not a key" else "kid_unknown"
    with door.refuses({reason, "signature_invalid"}, fetches=True):
        door.ask(issuer.token(key="rsa/bad", header={"kid": "bad"}))


@pytest.mark.case("T019")
@pytest.mark.parametrize("body", ["too large", "5,000 keys", "html", "empty", "no usable key"])
def test_T019_a_document_that_is_no_key_set_keeps_the_last_good_one(
    door: Door, issuer: Issuer, clock: Clock, body: str
) -> None:
    good = issuer.token()
    door.admits(good)
    issuer.jwks_body = {
        "too large": json.dumps({"keys": issuer.keys, "x": "y" * 2_000_000}).encode(),
        "5,000 keys": json.dumps({"keys": issuer.keys * 1250}).encode(),
        "html": b"<html>down for maintenance</html>",
        "empty": b"",
        "no usable key": b'{"keys": []}',
    }[body]
    clock.now += 3600
    asked = issuer.requests.count("/jwks")
    door.admits(good)
    door.admits(good)
    assert issuer.requests.count("/jwks") == asked + 1
    issuer.jwks_body = None
    clock.now += 3600
    door.admits(good)


@pytest.mark.case("T020")
def test_T020_a_new_key_is_taken_and_a_removed_one_is_not(door: Door, issuer: Issuer, clock: Clock) -> None:
    old = issuer.token()
    door.admits(old)
    issuer.keys = [jwk("rsa/new")]
    fresh = issuer.token(key="rsa/new")
    door.admits(fresh)  # an unknown key id asks the issuer, once
    with door.refuses("kid_unknown"):
        assert door.ask(old)["status"] == 401
    door.admits(fresh)


@pytest.mark.case("T020")
@pytest.mark.parametrize("hours", [24, 0])
def test_T020_in_an_outage_the_last_good_keys_serve_as_long_as_the_tenant_allows(
    door: Door, issuer: Issuer, clock: Clock, hours: int
) -> None:
    Tenant.objects.filter(id=door.tenant.id).update(stale_issuer_keys_s=hours * 3600)
    token = issuer.token()
    door.admits(token)
    issuer.jwks_status = 503
    clock.now += max(hours * 3600 - 60, 540)
    door.admits(token)
    clock.now += 240
    with door.refuses("issuer_keys_unavailable", fetches=True):
        answer = door.ask(token)
    assert (answer["status"], answer["clause"]) == (503, f"{issuer.url} discoveryUrl")
    assert answer["retry_after_s"] >= 1
    assert door.knock(f"Bearer {token}").status_code == 503
    issuer.jwks_status = 200
    clock.now += 60
    door.admits(token)


@pytest.mark.case("T021")
@pytest.mark.parametrize("what", ["authorizer", "issuer", "agent", "tenant", "person"])
def test_T021_what_is_switched_off_admits_nobody_from_the_next_call_on(door: Door, issuer: Issuer, what: str) -> None:
    from apps.connections.models import Principal
    from apps.tenants.scope import tenant_scope

    def switch(on: bool) -> None:
        if what in ("authorizer", "issuer"):
            run(
                c.SwitchAuthorizer(agent=door.agent, active=on, issuer=issuer.url if what == "issuer" else None),
                door.owner,
            )
        elif what == "agent":
            command = portal.ResumeAgent(name=door.agent) if on else portal.SuspendAgent(name=door.agent, why="test")
            run(command, admin)
        elif what == "tenant":
            Tenant.objects.filter(id=door.tenant.id).update(status="active" if on else "suspended")
        else:
            with tenant_scope(door.tenant.id):
                Principal.objects.filter(kind="jwt").update(status="active" if on else "suspended")

    from apps.authn.caller import CallerKind
    from apps.tenants.models import Membership, User

    user = User.objects.create_user(f"{random_kid()}@example.org")
    Membership.objects.create(tenant_id=door.tenant.id, user=user, role="tenant_owner")
    admin = door.tenant.caller(kind=CallerKind.PERSON, name=str(user.id), row_id=user.id, proof="session")
    token = issuer.token()
    door.admits(token)
    switch(False)
    status, reason = {
        "authorizer": (401, "authorizer_disabled"),
        "issuer": (401, "issuer_not_configured"),
        "agent": (403, "agent_suspended"),
        "tenant": (403, "tenant_suspended"),
        "person": (403, "principal_suspended"),
    }[what]
    with door.refuses(reason):
        answer = door.ask(token, workload_token=True)
    assert (answer["decision"], answer["status"]) == ("deny", status)
    switch(True)
    door.admits(token)


@pytest.mark.case("T023")
def test_T023_a_token_of_another_tenants_issuer(door: Door, issuer: Issuer, other_issuer: Issuer, globex: Any) -> None:
    other_issuer.keys = [jwk("rsa/theirs", kid="rsa")]
    theirs = Door(globex, other_issuer)
    foreign = other_issuer.token(key="rsa/theirs", header={"kid": "rsa"})
    theirs.admits(foreign)
    strange = door.denies(foreign, "issuer_not_configured", 401)
    rewritten = door.denies(issuer.token(key="rsa/theirs", header={"kid": "rsa"}), "signature_invalid", 401)
    malformed = door.denies("a.b.c", "malformed", 401)
    # What is sent on to the caller is the same whatever was wrong.
    assert len({(one["status"], one["www_authenticate"]) for one in (strange, rewritten, malformed)}) == 1
    answers = [door.knock(f"Bearer {token}") for token in (foreign, "a.b.c")]
    assert len({(one.status_code, one.content, one["WWW-Authenticate"]) for one in answers}) == 1


@pytest.mark.case("T023")
def test_T023_the_gateways_key_of_another_tenant_opens_nothing(door: Door, issuer: Issuer, globex: Any) -> None:
    theirs = Door(globex, issuer)
    with oracle.refused(door.tenant, globex, reason="agent_not_found"):
        answer = door.post({"agent": door.arn, "token": issuer.token()}, key=theirs.key)
    assert answer.status_code == 404
    absent = door.post({"agent": "no-such-agent", "token": issuer.token()}, key=theirs.key)
    assert answer.json() == absent.json()


@pytest.mark.case("T024")
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_T024_the_scheme_has_no_case(door: Door, issuer: Issuer, scheme: str) -> None:
    assert door.knock(f"{scheme} {issuer.token()}").status_code == 200


@pytest.mark.case("T024")
@pytest.mark.parametrize(
    "form", ["two spaces", "two tokens", "valid, invalid", "invalid, valid", "no scheme", "basic", "tab", "trailing"]
)
def test_T024_every_other_form_of_the_header(door: Door, issuer: Issuer, form: str) -> None:
    token = issuer.token()
    value = {
        "two spaces": f"Bearer  {token}",
        "two tokens": f"Bearer {token} {token}",
        # What two headers look like once the server has joined them.
        "valid, invalid": f"Bearer {token},Bearer x.y.z",
        "invalid, valid": f"Bearer x.y.z, Bearer {token}",
        "no scheme": token,
        "basic": f"Basic {token}",
        "tab": f"Bearer\t{token}",
        "trailing": f"Bearer {token};",
    }[form]
    with door.refuses("malformed"):
        assert door.knock(value).status_code == 401
    with door.refuses("malformed"):
        assert door.post({"authorization": [value]}).json()["status"] == 401
    assert door.knock(f"Bearer {token}").status_code == 200


@pytest.mark.case("T024")
@pytest.mark.parametrize("order", [1, -1])
def test_T024_two_headers_are_refused_even_if_one_is_good(door: Door, issuer: Issuer, order: int) -> None:
    values = [f"Bearer {issuer.token()}", "Bearer x.y.z"][::order]
    with door.refuses("malformed"):
        assert door.post({"authorization": values}).json()["status"] == 401


@pytest.mark.case("T024")
def test_T024_a_token_anywhere_else_is_not_seen(door: Door, issuer: Issuer) -> None:
    token = issuer.token()
    key = {"X-Portal-Gateway-Key": door.key}
    with door.refuses("credential_missing"):
        assert door.http.get(f"/forward-auth?access_token={token}", headers=key).status_code == 401
    with door.refuses("credential_missing"):
        assert door.http.post("/forward-auth", {"access_token": token}, headers=key).status_code == 401
    door.http.cookies["access_token"] = token
    with door.refuses("credential_missing"):
        assert door.http.get("/forward-auth", headers=key).status_code == 401


def test_who_brings_nothing_is_told_where_to_get_a_token_and_no_error(door: Door, issuer: Issuer) -> None:
    """RFC 6750 3.1 and RFC 9728 5.1."""
    door.set(scopes=("agent:invoke",))
    with door.refuses("credential_missing"):
        challenge = door.knock(None)["WWW-Authenticate"]
    assert "error=" not in challenge
    url = challenge.split('resource_metadata="')[1].rstrip('"')
    path = "/" + url.split("/", 3)[3]
    document = door.http.get(path).json()
    assert document["authorization_servers"] == [issuer.url]
    assert document["scopes_supported"] == ["agent:invoke"]
    assert document["resource"].endswith("/invocations")
    aws_path = path.removeprefix("/.well-known/oauth-protected-resource") + "/.well-known/oauth-protected-resource"
    assert door.http.get(aws_path).json() == document


def test_an_agent_behind_its_own_proxy_names_its_own_address(door: Door, issuer: Issuer) -> None:
    door.set(resource_url="https://agent.acme.example/chat")
    url = door.knock(None)["WWW-Authenticate"].split('resource_metadata="')[1].rstrip('"')
    assert door.http.get("/" + url.split("/", 3)[3]).json()["resource"] == "https://agent.acme.example/chat"


def test_an_agent_that_takes_no_tokens_has_no_metadata(acme: Any, issuer: Issuer) -> None:
    door = Door(acme, issuer, kind="AWS_IAM")
    known = door.http.get(f"/.well-known/oauth-protected-resource/runtimes/{door.arn}/invocations")
    unknown = door.http.get(f"/.well-known/oauth-protected-resource/runtimes/{door.arn}x/invocations")
    assert (known.status_code, known.content) == (404, unknown.content)


# --- opaque tokens ----------------------------------------------------------------------------------------------


def opaque(issuer: Issuer, **changes: Any) -> str:
    token = f"opaque-{random_kid()}"
    issuer.opaque[token] = issuer.claims(**{"active": True, **changes})
    return token


def asking(issuer: Issuer, secret: str | None = None) -> c.Introspection:
    from apps.core.secret import Secret

    client, right = issuer.introspection_client
    return c.Introspection(client_id=client, client_secret=Secret(right if secret is None else secret))


def test_an_opaque_token_is_asked_about_at_its_issuer(door: Door, issuer: Issuer) -> None:
    """RFC 7662 2."""
    with door.refuses("malformed"):
        door.ask(opaque(issuer))
    door.set(introspection=asking(issuer))
    assert door.admits(opaque(issuer, sub="dana"))["principal"]["subject"] == "dana"
    door.admits(opaque(issuer, iss=..., exp=..., iat=...))
    door.admits(issuer.token())  # JWTs are still checked here, without asking
    assert issuer.requests.count("/introspect") == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"active": False}, "token_inactive"),
        ({"active": "true"}, "token_inactive"),
        ({"active": ...}, "token_inactive"),
        ({"iss": "https://other.example"}, "issuer_mismatch"),
        ({"aud": "https://other.example"}, "audience_mismatch"),
        ({"aud": ...}, "audience_mismatch"),
        ({"exp": 5}, "token_expired"),
        ({"sub": ...}, "sub_invalid"),
        ({"token_type": "refresh_token"}, "token_type_not_allowed"),
        ({"scope": "other"}, "insufficient_scope"),
    ],
    ids=str,
)
def test_an_answer_about_an_opaque_token_is_held_to_the_same_rules(
    door: Door, issuer: Issuer, changes: dict[str, Any], reason: str
) -> None:
    door.set(introspection=asking(issuer), scopes=("agent:invoke",))
    door.admits(opaque(issuer))
    with door.refuses(reason, fetches=True):
        door.ask(opaque(issuer, **changes))


def test_an_issuer_that_cannot_be_asked_lets_nobody_in(door: Door, issuer: Issuer) -> None:
    door.set(introspection=asking(issuer))
    token = opaque(issuer)
    door.admits(token)
    issuer.introspection_status = 500
    with door.refuses("introspection_failed", fetches=True):
        assert door.ask(token)["status"] == 503
    issuer.introspection_status = 200
    issuer.introspection_client = ("portal-at-issuer", "changed")
    with door.refuses("introspection_failed", fetches=True):
        assert door.ask(token)["status"] == 503


def test_a_jwt_that_fails_gets_no_second_chance_by_introspection(door: Door, issuer: Issuer) -> None:
    door.set(introspection=asking(issuer))
    bad = issuer.token(exp=5)
    issuer.opaque[bad] = {"active": True, **issuer.claims()}
    door.admits(issuer.token())
    with door.refuses("token_expired"):
        door.ask(bad)
    assert "/introspect" not in issuer.requests


def test_the_introspection_secret_is_sealed_and_never_sent_elsewhere(
    door: Door, issuer: Issuer, other_issuer: Issuer
) -> None:
    door.set(introspection=asking(issuer))
    secret = issuer.introspection_client[1]
    text = oracle.execute("SELECT string_agg(t::text, '') FROM agents_authorizerissuer t")[0][0]
    assert secret not in text
    kept = c.Introspection(client_id=issuer.introspection_client[0], client_secret=None)
    door.set(introspection=kept)
    door.admits(opaque(issuer))
    elsewhere = c.Introspection(client_id=kept.client_id, client_secret=None, endpoint=f"{other_issuer.url}/introspect")
    with oracle.refused(door.tenant, reason="secret_needed"), pytest.raises(Invalid):
        door.set(introspection=elsewhere)
    assert "/introspect" not in other_issuer.requests
    door.admits(opaque(issuer))


def test_only_one_issuer_may_take_opaque_tokens(door: Door, issuer: Issuer, other_issuer: Issuer) -> None:
    both = tuple(door.issuer_settings(one, introspection=asking(one)) for one in (issuer, other_issuer))
    with oracle.refused(door.tenant, reason="introspection_ambiguous"), pytest.raises(Invalid):
        door.set(issuers=both)


def test_the_secret_goes_with_the_agent(door: Door, issuer: Issuer) -> None:
    door.set(introspection=asking(issuer))
    count = "SELECT count(*) FROM vault_sealedsecret WHERE \"table\" = 'agents_authorizerissuer' AND tenant_id = %s"
    assert oracle.execute(count, door.tenant.id) == [(1,)]
    run(portal.DeleteAgent(name=door.agent), door.owner)
    assert oracle.execute(count, door.tenant.id) == [(0,)]


# --- several issuers, headers, keys of gateways -----------------------------------------------------------------


def test_one_agent_may_trust_several_issuers_each_with_rules_of_its_own(
    door: Door, issuer: Issuer, other_issuer: Issuer
) -> None:
    door.set(issuers=(door.issuer_settings(), door.issuer_settings(other_issuer, audiences=(), clients=("theirs",))))
    door.admits(issuer.token())
    door.admits(other_issuer.token(client_id="theirs"))
    assert door.ask(issuer.token(aud="x", client_id="theirs"))["reason"] == "audience_mismatch"
    assert door.ask(other_issuer.token())["reason"] == "client_not_allowed"


@pytest.mark.parametrize("name", ["WorkloadAccessToken", "workloadaccesstoken", "Host", "Transfer-Encoding", "a b"])
def test_callers_cannot_be_allowed_to_send_what_the_portal_says(door: Door, issuer: Issuer, name: str) -> None:
    with oracle.refused(door.tenant, reason="header_not_allowed"), pytest.raises(Invalid):
        door.set(request_headers=(name,))


def test_an_endpoint_inside_the_network_must_be_allowed_by_the_operator(door: Door, issuer: Issuer) -> None:
    with oracle.refused(door.tenant, reason={"address_forbidden", "upstream_forbidden", "url_scheme", "url_not_https"}):
        with pytest.raises(Invalid):
            door.set(endpoint_url="http://127.0.0.1:1/invocations")


@pytest.mark.parametrize("key", ["missing", "garbage", "changed", "deleted", "of another kind"])
def test_a_gateway_without_a_key_of_its_own_is_told_nothing(door: Door, issuer: Issuer, key: str) -> None:
    from tests.support import mutated

    made = run(c.CreateGatewayKey(agent=door.agent), door.owner)
    if key == "deleted":
        run(c.DeleteGatewayKey(key_id=made.row_id), door.owner)
    value = {
        "missing": "",
        "garbage": "agk_garbage",
        "changed": mutated(made.key.reveal()),
        "deleted": made.key.reveal(),
        "of another kind": "awt" + made.key.reveal()[3:],
    }[key]
    token = issuer.token()
    body = json.dumps({"token": token})
    reasons = {"gateway_key_missing", "gateway_key_unknown", "ticket_malformed", "ticket_checksum"}
    headers = {"Authorization": f"Bearer {value}"} if value else {}
    with oracle.refused(door.tenant, reason=reasons):
        refused = door.http.post("/api/v1/authorize", body, content_type="application/json", headers=headers)
    with oracle.refused(door.tenant, reason=reasons):
        knocked = door.http.get(
            "/forward-auth",
            headers={"Authorization": f"Bearer {token}", **({"X-Portal-Gateway-Key": value} if value else {})},
        )
    assert (refused.status_code, knocked.status_code) == (401, 401)
    assert refused.json() == knocked.json()
    assert "WorkloadAccessToken" not in knocked
    door.admits(token)


@pytest.mark.parametrize(
    "body", ["{", "[]", '{"token": 1}', '{"token": "a", "sigv4": {}}', '{"tokenn": "a"}', '{"token":"a","token":"b"}']
)
def test_a_question_that_cannot_be_read_is_no_answer(door: Door, issuer: Issuer, body: str) -> None:
    assert door.post(body).status_code == 400


# --- signatures -------------------------------------------------------------------------------------------------


def signed(door: Door, *, key: tuple[str, str] | None = None, body: bytes = b"{}", **headers: str) -> dict[str, Any]:
    """A request to the agent's own host, signed by botocore, as its gateway describes it."""
    import hashlib

    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    access, secret = key or (door.tenant.access_key_id, door.tenant.secret_access_key)
    request = AWSRequest(
        "POST",
        "https://agent.acme.example/invocations",
        data=body,
        headers={"Content-Type": "application/json", "Host": "agent.acme.example", **headers},
    )
    SigV4Auth(Credentials(access, secret), "bedrock-agentcore", "us-east-1").add_auth(request)
    return {
        "method": "POST",
        "path": "/invocations",
        "headers": [[name, value] for name, value in request.headers.items()],
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }


@pytest.fixture
def iam_door(acme: Any, issuer: Issuer) -> Door:
    return Door(acme, issuer, kind="AWS_IAM")


def test_an_agent_that_takes_signatures_admits_the_tenants_access_keys(iam_door: Door) -> None:
    answer = iam_door.ask(None, sigv4=signed(iam_door), workload_token=True)
    assert (answer["decision"], answer["principal"]["kind"]) == ("allow", "self")
    assert iam_door.tenant.access_key_id in answer["clause"]
    assert answer["workload_token"].startswith("awt_")
    answer = iam_door.ask(None, sigv4=signed(iam_door), user_id="u-1")
    assert answer["principal"] == {"kind": "uid", "issuer": "", "subject": "u-1"}


def test_an_agent_takes_signatures_or_tokens_never_both(iam_door: Door, door: Door, issuer: Issuer) -> None:
    with iam_door.refuses("authorization_method_mismatch"):
        assert iam_door.ask(issuer.token())["status"] == 403
    with door.refuses("authorization_method_mismatch"):
        assert door.ask(None, sigv4=signed(door))["status"] == 403
    with door.refuses("authorization_method_mismatch"):
        assert door.knock("AWS4-HMAC-SHA256 Credential=x").status_code == 403


def test_forward_auth_cannot_check_a_signature_because_it_sees_no_body(iam_door: Door) -> None:
    headers = dict(signed(iam_door)["headers"])
    with iam_door.refuses("signature_needs_body"):
        assert iam_door.knock(headers["Authorization"]).status_code == 403


@pytest.mark.parametrize("fault", ["body", "path", "key of another tenant", "unknown key", "disabled", "no permission"])
def test_a_signature_with_one_fault_admits_nobody(iam_door: Door, globex: Any, fault: str) -> None:
    from apps.tenants.scope import tenant_scope

    own = run(portal.CreateAccessKey(grants=()), iam_door.owner)
    key = {
        "key of another tenant": (globex.access_key_id, globex.secret_access_key),
        "unknown key": (globex.access_key_id[:-4] + "AAAA", "x"),
        "disabled": (own.access_key_id, own.secret_access_key.reveal()),
        "no permission": (own.access_key_id, own.secret_access_key.reveal()),
    }.get(fault)
    facts = signed(iam_door, key=key)
    if fault == "body":
        facts["body_sha256"] = "0" * 64
    if fault == "path":
        facts["path"] = "/other"
    if fault == "disabled":
        with tenant_scope(iam_door.tenant.id):
            AccessKey.objects.filter(id=own.row_id).update(status="disabled")
    reasons = {
        "body": "signature_mismatch",
        "path": "signature_mismatch",
        "key of another tenant": "access_key_unknown",
        "unknown key": "signature_mismatch",
        "disabled": "access_key_disabled",
        "no permission": "no_permission",
    }
    with iam_door.refuses(reasons[fault]):
        answer = iam_door.ask(None, sigv4=facts, workload_token=True)
    assert answer["status"] == (403 if fault == "no permission" else 401)
    iam_door.ask(None, sigv4=signed(iam_door))


def test_naming_a_user_needs_a_permission_of_its_own(iam_door: Door) -> None:
    arn = iam_door.arn.replace(":local:", ":*:")
    made = run(portal.CreateAccessKey(grants=(("bedrock-agentcore:InvokeAgentRuntime", arn),)), iam_door.owner)
    key = (made.access_key_id, made.secret_access_key.reveal())
    assert iam_door.ask(None, sigv4=signed(iam_door, key=key))["decision"] == "allow"
    with iam_door.refuses("no_permission"):
        answer = iam_door.ask(None, sigv4=signed(iam_door, key=key), user_id="u-1")
    assert answer["clause"] == "permission invocation.invoke_for_user"


def test_every_command_about_doors_has_a_handler() -> None:
    from apps.broker.contracts import Command
    from apps.broker.run import _HANDLERS

    commands = {one for one in vars(c).values() if isinstance(one, type) and issubclass(one, Command)} - {Command}
    assert commands - set(_HANDLERS) == set()
