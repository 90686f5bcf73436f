"""Calls in the AWS query protocol, and such without a media type: refused in what their clients read."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.support import client, control

FORM = "application/x-www-form-urlencoded"


def post(url: str, path: str, body: str | bytes, **headers: str) -> tuple[int, str, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request("POST", path, body, {"Content-Type": FORM, **headers})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()
    finally:
        connection.close()


def test_a_host_name_that_is_not_ours_and_a_body_too_large_are_refused_in_xml_too(portal):
    for headers, body in (({"Host": "evil.example"}, "Action=X"), ({}, "Action=" + "x" * 3_000_000)):
        status, kind, text = post(portal.url, "/", body, **headers)
        assert (status, kind) == (400, "text/xml") and "<Code>ValidationError</Code>" in text


@pytest.mark.parametrize("body", ["", "Action=", "Action=%3Cscript%3E", b"\xff", "&" * 5000, "Action=" + "x" * 65])
def test_a_form_nobody_signed_is_refused_in_xml_and_not_repeated(portal, body):
    status, kind, text = post(portal.url, "/", body)
    assert (status, kind) == (403, "text/xml")
    assert "<Code>InvalidClientTokenId</Code>" in text and "script" not in text


def test_pages_are_where_they_were(portal):
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
