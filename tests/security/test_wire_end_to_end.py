"""Requests as an attacker on the way would change or repeat them, against the running portal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.security import oracle
from tests.security.lab import Lab, denied, must
from tests.security.wire import REGION, Signed

CREATE, GET = "CreateWorkloadIdentity", "GetWorkloadIdentity"


def exists(lab: Lab, name: str) -> bool:
    return lab.wire.call(GET, {"name": name}).status == 200


# --- replay -------------------------------------------------------------------------------------------------------


@pytest.mark.case("T030")
def test_T030_a_captured_change_gets_its_first_answer_and_changes_nothing(own_lab: Lab) -> None:
    lab = own_lab
    captured = lab.wire.sign("CreateOauth2CredentialProvider", lab.provider_input("second"))
    first = captured.send()
    assert first.status == 201
    must(lab.wire.call("DeleteOauth2CredentialProvider", {"name": "second"}))
    with lab.watching() as watch:
        again = captured.send()
    assert (again.status, again.body) == (first.status, first.body)
    assert (watch.changed, watch.calls) == (set(), []), "the provider's discovery is not even read again"
    assert [record.reason for record in watch.records] == ["repeated_request"]
    denied(lab.wire.call("GetOauth2CredentialProvider", {"name": "second"}), 404, "ResourceNotFoundException")


@pytest.mark.case("T030")
def test_T030_a_change_sent_many_times_at_once_happens_once(lab: Lab) -> None:
    captured = lab.wire.sign(CREATE, {"name": f"at-once-{lab.new_user()}"})
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: captured.send(), range(8)))
    assert {reply.status for reply in replies} <= {201, 409}
    assert any(reply.status == 201 for reply in replies)
    assert len({reply.body for reply in replies if reply.status == 201}) == 1, "one answer, however often it is asked"
    created = lab.rows(
        "SELECT count(*) FROM audit_auditrecord WHERE action = 'agent.create' AND outcome = 'allowed' AND "
        "agent_name = %s AND tenant_id = %s",
        captured.body.decode().split('"')[3],
    )
    assert created == [(1,)]
    refusals = lab.rows(
        "SELECT count(*) FROM audit_auditrecord WHERE reason = 'request_running' AND tenant_id = %s",
    )
    assert refusals == [(sum(reply.status == 409 for reply in replies),)], "a refusal is a record too"


@pytest.mark.case("T030")
def test_T030_a_retry_of_a_completion_neither_fails_nor_exchanges_again(lab: Lab) -> None:
    flow = lab.start()
    lab.consent(flow)
    members = {"sessionUri": flow.session_uri, "userIdentifier": {"userId": flow.user}}
    invocation = f"retry-{flow.user}"
    must(lab.wire.call("CompleteResourceTokenAuth", members, invocation=invocation))
    with lab.watching() as watch:
        must(lab.wire.call("CompleteResourceTokenAuth", members, invocation=invocation))
    assert (watch.changed, watch.calls) == (set(), [])
    denied(lab.wire.call("CompleteResourceTokenAuth", members), 403, "AccessDeniedException")


@pytest.mark.case("T030")
def test_T030_another_key_or_tenant_does_not_get_the_kept_answer(lab: Lab, neighbour: Lab) -> None:
    name, invocation = f"mine-{lab.new_user()}", f"shared-{lab.new_user()}"
    must(lab.wire.call(CREATE, {"name": name}, invocation=invocation))
    other_key = lab.key(full_access=True)
    denied(other_key.call(CREATE, {"name": name}, invocation=invocation), 409, "ConflictException")
    assert (
        must(neighbour.wire.call(CREATE, {"name": name}, invocation=invocation))["workloadIdentityArn"]
        != (must(lab.wire.call(GET, {"name": name}))["workloadIdentityArn"])
    )


@pytest.mark.case("T030")
def test_T030_a_signature_cannot_outlive_what_remembers_it(lab: Lab) -> None:
    """Answers are kept ten minutes, signatures hold five: whatever is forgotten is too old to be sent again."""
    from apps.authn.sigv4 import WINDOW_S
    from apps.broker.aws_gate import REPLAY_WINDOW
    from apps.core import clock

    assert timedelta(seconds=2 * WINDOW_S) <= REPLAY_WINDOW, "a signature may be dated ahead by one window"
    import time_machine

    with time_machine.travel(clock.now() - timedelta(seconds=WINDOW_S + 30)):
        old = lab.wire.sign(CREATE, {"name": f"old-{lab.new_user()}"})
    with lab.refuses("clock_skew"):
        denied(old.send(), 401, "UnauthorizedException")


@pytest.mark.case("T030")
def test_T030_reads_and_token_calls_may_repeat_inside_the_window(lab: Lab) -> None:
    read = lab.wire.sign(GET, {"name": "bot"})
    mint = lab.wire.sign("GetWorkloadAccessToken", {"workloadName": "bot"})
    assert [read.send().status for _ in range(3)] == [200] * 3
    assert len({mint.send()["workloadAccessToken"] for _ in range(3)}) == 3


# --- where the signature travels ----------------------------------------------------------------------------------


def presigned(lab: Lab, target: str, body: bytes) -> Signed:
    aws = AWSRequest("POST", lab.portal.url + target, data=body, headers={"Content-Type": "application/json"})
    credentials = Credentials(lab.tenant.access_key_id, lab.tenant.secret_access_key)
    SigV4QueryAuth(credentials, "bedrock-agentcore", REGION, expires=300).add_auth(aws)
    plain = lab.wire.sign_raw("POST", target, body)
    query = aws.url.partition("?")[2]
    lines = tuple(line for line in plain.lines if not line[0].lower().startswith(("authorization", "x-amz")))
    return replace(plain, target=f"{target}?{query}", lines=lines)


@pytest.mark.case("T034")
def test_T034_a_presigned_request_is_refused_and_its_signature_kept_nowhere(lab: Lab) -> None:
    body = b'{"name": "presigned-agent"}'
    must(lab.wire.sign_raw("POST", "/identities/GetWorkloadIdentity", b'{"name": "bot"}').send())
    request = presigned(lab, "/identities/CreateWorkloadIdentity", body)
    with lab.refuses("query_auth_not_supported") as watch:
        denied(request.send(), 400, "ValidationException")
    signature = request.target.rpartition("X-Amz-Signature=")[2][:64]
    assert signature not in str(watch.records)
    both = lab.wire.sign(GET, {"name": "bot"})
    for part in ("X-Amz-Signature=0", "X-Amz-Credential=x", "x-amz-security-token=x", "AWSAccessKeyId=x&Signature=y"):
        reply = replace(both, target=f"{both.target}?{part}").send()
        assert reply.status in (400, 401), part


AUTHORIZATIONS = {
    "sha1": lambda a: a.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
    "ecdsa": lambda a: a.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
    "lower-case name": lambda a: a.replace("AWS4-HMAC-SHA256", "aws4-hmac-sha256"),
    "upper-case hex": lambda a: a[:-64] + a[-64:].upper(),
    "63 digits": lambda a: a[:-1],
    "65 digits": lambda a: a + "0",
    "spaces around =": lambda a: a.replace("Signature=", "Signature = "),
    "no commas": lambda a: a.replace(",", ""),
    "20 kB": lambda a: a.replace("SignedHeaders=", "SignedHeaders=" + "a;" * 10_000),
    "bearer": lambda a: "Bearer " + a,
    "empty": lambda a: "",
}


@pytest.mark.case("T036")
@pytest.mark.parametrize("spelling", AUTHORIZATIONS)
def test_T036_another_spelling_of_the_proof_is_no_proof(lab: Lab, spelling: str) -> None:
    request = lab.wire.sign(CREATE, {"name": "spelt-agent"})
    wrong = AUTHORIZATIONS[spelling](request.line("Authorization"))
    assert wrong != request.line("Authorization")
    with lab.refuses("malformed_authorization"):
        reply = denied(request.instead("Authorization", wrong).send(), 401, "UnauthorizedException")
    assert reply.headers["www-authenticate"].startswith("AWS4-HMAC-SHA256")
    assert exists(lab, "bot")


@pytest.mark.case("T037")
def test_T037_a_changed_body_is_not_what_was_signed(lab: Lab) -> None:
    import gzip

    request = lab.wire.sign(CREATE, {"name": "body-agent"})
    packed = gzip.compress(request.body)
    faults = {
        "one bit": replace(request, body=request.body.replace(b"body", b"bodx")),
        "trailing bytes": replace(request, body=request.body + b" ").instead(
            "Content-Length", str(len(request.body) + 1)
        ),
        "packed again": replace(request, body=packed)
        .with_line("Content-Encoding", "gzip")
        .instead("Content-Length", str(len(packed))),
        "no body": replace(request, body=b"").instead("Content-Length", "0"),
    }
    for name, fault in faults.items():
        with lab.refuses("signature_mismatch"):
            assert fault.send().status == 401, name
    chunked = replace(
        request,
        body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(request.body), request.body),
        lines=tuple(line for line in request.lines if line[0] != "Content-Length"),
    ).with_line("Transfer-Encoding", "chunked")
    with lab.refuses("signature_mismatch"):
        assert chunked.send().status == 401
    assert request.send().status == 201


@pytest.mark.case("T038")
def test_T038_temporary_credentials_are_not_taken_signed_or_not(lab: Lab) -> None:
    signed = lab.wire.sign(GET, {"name": "bot"}, headers={"X-Amz-Security-Token": "tok"})
    unsigned = lab.wire.sign(GET, {"name": "bot"}).with_line("X-Amz-Security-Token", "tok")
    bodies = set()
    for request in (signed, unsigned):
        with lab.refuses("session_token_not_supported"):
            bodies.add(denied(request.send(), 401, "UnauthorizedException").body)
    assert len(bodies) == 1
    assert exists(lab, "bot")


OVERRIDES = {
    "X-HTTP-Method-Override": "DELETE",
    "X-Method-Override": "DELETE",
    "X-Original-URL": "/identities/DeleteWorkloadIdentity",
    "X-Rewrite-Url": "/identities/DeleteWorkloadIdentity",
    "X-Forwarded-Prefix": "/t/other",
}


@pytest.mark.case("T040")
@pytest.mark.parametrize("header", OVERRIDES)
def test_T040_nothing_added_after_signing_changes_what_is_done(lab: Lab, header: str) -> None:
    name = f"kept-{lab.new_user()}"
    lab.add_agent(name)
    with lab.watching() as watch:
        reply = lab.wire.sign(GET, {"name": name}).with_line(header, OVERRIDES[header]).send()
    assert must(reply)["name"] == name
    assert watch.changed == set() and [r.action for r in watch.records] == ["agent.read"]


@pytest.mark.case("T040")
def test_T040_a_method_in_the_query_or_body_is_refused(lab: Lab) -> None:
    request = lab.wire.sign(GET, {"name": "bot"})
    with lab.refuses("signature_mismatch"):
        denied(replace(request, target=request.target + "?_method=DELETE").send(), 401, "UnauthorizedException")
    with lab.refuses("unknown_field"):
        denied(lab.wire.call(GET, {"name": "bot", "_method": "DELETE"}), 400, "ValidationException")
    signed = lab.wire.sign_raw("POST", "/identities/GetWorkloadIdentity?_method=DELETE", b'{"name": "bot"}')
    with lab.refuses("field_invalid"):
        denied(signed.send(), 400, "ValidationException")
    assert exists(lab, "bot")


# --- the tenant comes from the credential -------------------------------------------------------------------------


@pytest.mark.case("T090")
@pytest.mark.parametrize(
    "header",
    ["X-Tenant-Id", "X_Tenant_Id", "X-Amzn-Account", "X-Forwarded-Host", "X-Forwarded-For", "Forwarded", "X-Real-IP"],
)
def test_T090_no_header_names_a_tenant_or_an_address(lab: Lab, neighbour: Lab, header: str) -> None:
    value = {
        "X-Forwarded-For": "1.2.3.4, 5.6.7.8",
        "Forwarded": "for=1.2.3.4;host=evil.example",
        "X-Real-IP": "1.2.3.4",
    }
    name = f"spoofed-{lab.new_user()}"
    with oracle.watching(lab.tenant, neighbour.tenant) as watch:
        request = lab.wire.sign(CREATE, {"name": name}).with_line(header, value.get(header, neighbour.tenant.slug))
        assert request.send().status == 201
    assert {record.tenant for record in watch.records} == {lab.tenant.id}
    addresses = lab.rows(
        "SELECT DISTINCT host(source_ip) FROM audit_auditrecord WHERE agent_name = %s AND tenant_id = %s", name
    )
    assert addresses == [("127.0.0.1",)]
    denied(neighbour.wire.call(GET, {"name": name}), 404, "ResourceNotFoundException")


@pytest.mark.case("T090")
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1:80@evil.example", "", "a b"])
def test_T090_an_unknown_host_is_refused_before_anything_else(lab: Lab, host: str) -> None:
    with lab.refuses("host_unknown"):
        reply = lab.wire.sign(GET, {"name": "bot"}).instead("Host", host).send()
    denied(reply, 400, "ValidationException")
    assert exists(lab, "bot")


@pytest.mark.case("T090")
def test_T090_a_tenant_prefix_must_agree_with_the_credential(lab: Lab, neighbour: Lab) -> None:
    from tests.security.wire import Wire

    def through(slug: str) -> Any:
        wire = Wire(lab.portal.url, lab.wire.key_id, lab.wire.secret, prefix=f"/t/{slug}")
        return wire.call(GET, {"name": "bot"})

    assert through(lab.tenant.slug).status == 200
    replies = []
    for slug in (neighbour.tenant.slug, "no-such-tenant"):
        with lab.refuses("tenant_prefix_mismatch", neighbours=(neighbour.tenant,)):
            replies.append(denied(through(slug), 401, "UnauthorizedException"))
    assert replies[0].comparable == replies[1].comparable
