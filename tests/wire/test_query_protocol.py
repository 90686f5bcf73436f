"""AWS clients of other services that end up here: what they read says what the portal offers."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from botocore.exceptions import ClientError

from apps.audit.models import OperatorRecord
from tests.support import client, control, trail

FORM = "application/x-www-form-urlencoded"


def post(url: str, path: str, body: str, **headers: str) -> tuple[int, str, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request("POST", path, body, {"Content-Type": FORM, **headers})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("prefix", ["", "/t/{slug}"])
def test_sts_clients_read_a_modelled_refusal_in_a_sentence(portal, acme, prefix):
    sts = client("sts", acme, portal.url + prefix.format(slug=acme.slug))
    with pytest.raises(sts.exceptions.OutboundWebIdentityFederationDisabledException) as refused:
        sts.get_web_identity_token(Audience=["x"], SigningAlgorithm="ES384", DurationSeconds=300)
    found = refused.value.response
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 403 and found["Error"]["Type"] == "Sender"
    assert "does not offer GetWebIdentityToken" in found["Error"]["Message"]
    assert "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE" in found["Error"]["Message"]
    record = OperatorRecord.objects.get(request_id=found["ResponseMetadata"]["RequestId"])
    assert (record.action, record.reason) == ("request.rejected", "sts_not_supported")
    assert "authn.failure" not in {r.action for r in trail(acme)}  # nobody was asked to prove anything


def test_other_actions_signed_or_not_are_invalid_ones(portal, acme):
    sts = client("sts", acme, portal.url)
    for call in (
        sts.get_caller_identity,
        lambda: sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/x", RoleSessionName="xx"),
        lambda: sts.assume_role_with_web_identity(  # clients do not sign this one
            RoleArn="arn:aws:iam::123456789012:role/x", RoleSessionName="xx", WebIdentityToken="x.y.zzz"
        ),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "InvalidAction"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    "body",
    [
        "",
        "Action=",
        "Action=%3Cscript%3E&Version=2011-06-15",
        "Action=A&Action=B",
        "\xff",
        "&" * 5000,
        "Action=" + "x" * 65,
    ],
)
def test_what_is_no_action_is_refused_alike_and_not_repeated(portal, body):
    status, kind, text = post(portal.url, "/", body.encode("latin-1"))
    assert (status, kind) == (400, "text/xml")
    root = ElementTree.fromstring(text)
    space = "{https://sts.amazonaws.com/doc/2011-06-15/}"
    assert root.tag == f"{space}ErrorResponse"
    assert root.find(f"{space}Error/{space}Code").text == "InvalidAction"
    assert "script" not in text and "does not offer" not in text


def test_a_host_name_that_is_not_ours_and_a_body_too_large_are_refused_in_xml_too(portal):
    for headers, body in (({"Host": "evil.example"}, "Action=X"), ({}, "Action=" + "x" * 3_000_000)):
        status, kind, text = post(portal.url, "/", body, **headers)
        assert (status, kind) == (400, "text/xml") and "<Code>ValidationError</Code>" in text


def test_pages_are_where_they_were(portal):
    assert post(portal.url, "/", "a=b", **{"Content-Type": "text/plain"})[1].startswith("text/html")
    assert post(portal.url, "/signin/", "a=b")[1].startswith("text/html")
    assert post(portal.url, "/healthz/live", "a=b")[1] != "text/xml"


def test_invoking_an_agent_without_a_content_type_is_refused_in_the_sentence(portal, acme):
    control(acme, portal.url).create_workload_identity(name="bot")
    wire = client("bedrock-agentcore", acme, portal.url)
    arn = f"arn:aws:bedrock-agentcore:us-east-1:{acme.account_id}:runtime/bot-0123456789"
    sent = []
    wire.meta.events.register("before-send.*", lambda request, **_: sent.append(dict(request.headers)))
    with pytest.raises(ClientError) as refused:
        wire.invoke_agent_runtime(agentRuntimeArn=arn, runtimeSessionId="s" * 33, payload=b"{}")
    assert "Content-Type" not in sent[0]
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert "InvokeAgentRuntime is not supported" in refused.value.response["Error"]["Message"]
