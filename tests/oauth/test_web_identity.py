"""`sts:GetWebIdentityToken` with unmodified clients, verified by a library that knows nothing of the portal."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import datetime
from json import loads

import botocore.exceptions
import jwt
import pytest
from botocore.config import Config

from apps.authn.models import SigningKey
from apps.broker import contracts as c
from apps.broker.run import run
from tests.security.oracle import refused
from tests.support import client, rows, trail

AUDIENCE = "https://api.example.com"
AGENT = """
from bedrock_agentcore.identity.auth import requires_iam_access_token

@requires_iam_access_token(audience=["https://api.example.com"], tags=[{"Key": "team", "Value": "data"}])
def call(*, access_token):
    print(access_token)

call()
"""


def sts(tenant, portal, **more):
    return client("sts", tenant, portal.url, **more)


def agent_key(tenant, name="bot", *grants):
    run(c.CreateAgent(name=name), tenant.caller())
    grants = grants or (("bedrock-agentcore:GetWebIdentityToken", "*"),)
    made = run(c.CreateAccessKey(agent=name, grants=grants), tenant.caller())
    return made.access_key_id, made.secret_access_key.reveal()


def as_a_relying_party(token, audience=AUDIENCE):
    """Discovery, keys and checks as any OpenID relying party does them, starting from the issuer alone."""
    issuer = jwt.decode(token, options={"verify_signature": False})["iss"]
    with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration") as answer:
        found = loads(answer.read())
    assert found["issuer"] == issuer
    key = jwt.PyJWKClient(found["jwks_uri"]).get_signing_key_from_jwt(token)
    algorithms = found["id_token_signing_alg_values_supported"]
    return jwt.decode(
        token,
        key,
        algorithms=algorithms,
        issuer=issuer,
        audience=audience,
        options={"require": ["iss", "sub", "aud", "exp", "iat", "jti"]},
    )


@pytest.mark.parametrize("algorithm", ["ES384", "RS256"])
@pytest.mark.parametrize("prefix", [False, True])
def test_boto3_gets_a_token_that_any_relying_party_verifies(portal, acme, algorithm, prefix):
    endpoint = f"{portal.url}/t/{acme.slug}" if prefix else portal.url
    made = client("sts", acme, endpoint, key=agent_key(acme)).get_web_identity_token(
        Audience=[AUDIENCE], SigningAlgorithm=algorithm
    )
    claims = as_a_relying_party(made["WebIdentityToken"])
    assert jwt.get_unverified_header(made["WebIdentityToken"])["alg"] == algorithm
    assert claims["iss"] == f"{portal.url}/t/{acme.slug}"
    assert claims["tenant"] == acme.slug and claims["agent"] == "bot"
    assert claims["sub"] == (
        f"arn:aws:bedrock-agentcore::{acme.account_id}:workload-identity-directory/default/workload-identity/bot"
    )
    assert claims["https://sts.amazonaws.com/"] == {"aws_account": acme.account_id, "source_region": "us-east-1"}
    assert claims["exp"] - claims["iat"] == 300
    assert isinstance(made["Expiration"], datetime) and int(made["Expiration"].timestamp()) == claims["exp"]
    [record] = trail(acme, action="web_identity_token.issue")
    assert (record.outcome, record.agent_name, record.details["jti"]) == ("allowed", "bot", claims["jti"])


def test_the_decorator_of_the_agentcore_sdk_works_unmodified(portal, acme):
    key_id, secret = agent_key(acme)
    env = {
        **os.environ,
        "AWS_ENDPOINT_URL": portal.url,
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = subprocess.run([sys.executable, "-c", AGENT], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    claims = as_a_relying_party(done.stdout.strip())
    assert claims["agent"] == "bot"
    assert claims["https://sts.amazonaws.com/"]["request_tags"] == {"team": "data"}


def test_several_audiences_tags_and_a_duration_are_honoured(portal, acme):
    made = sts(acme, portal).get_web_identity_token(
        Audience=[AUDIENCE, "second"],
        SigningAlgorithm="ES384",
        DurationSeconds=3600,
        Tags=[{"Key": "job", "Value": "größe 7"}],
    )
    claims = as_a_relying_party(made["WebIdentityToken"], audience="second")
    assert claims["aud"] == [AUDIENCE, "second"] and claims["exp"] - claims["iat"] == 3600
    assert claims["https://sts.amazonaws.com/"]["request_tags"] == {"job": "größe 7"}
    assert "agent" not in claims and claims["sub"].endswith(f":access-key/{acme.access_key_id}")


def test_a_token_of_one_tenant_does_not_verify_with_the_keys_of_another(portal, acme, globex):
    tokens = [
        sts(one, portal).get_web_identity_token(Audience=[AUDIENCE], SigningAlgorithm="ES384")["WebIdentityToken"]
        for one in (acme, globex)
    ]
    with pytest.raises(jwt.PyJWKClientError):
        jwt.PyJWKClient(f"{portal.url}/t/{globex.slug}/oauth2/jwks").get_signing_key_from_jwt(tokens[0])
    assert as_a_relying_party(tokens[1])["tenant"] == globex.slug


def denied(call, code, status, **parameters):
    parameters = {"Audience": [AUDIENCE], "SigningAlgorithm": "ES384", **parameters}
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        call.get_web_identity_token(**parameters)
    said = refusal.value.response
    assert (said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert said["ResponseMetadata"]["RequestId"]
    return said["Error"]["Message"]


def test_a_key_without_the_permission_gets_no_token(portal, acme):
    key = agent_key(acme, "bot", ("bedrock-agentcore:GetWorkloadAccessToken", "*"))
    with refused(acme, reason="no_permission"):
        denied(sts(acme, portal, key=key), "AccessDenied", 403)
    assert rows(acme, SigningKey) == []


def test_a_suspended_agent_gets_no_token(portal, acme):
    key = agent_key(acme)
    run(c.SuspendAgent(name="bot", why="drill"), tenant_admin(acme))
    with refused(acme, reason="agent_suspended"):
        denied(sts(acme, portal, key=key), "AccessDenied", 403)


def tenant_admin(tenant):
    from tests.flows.test_nobody_grants_above_their_own import as_person, member

    return as_person(tenant, member(tenant, "tenant_owner"))


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("Audience_invalid", {"Audience": ["x\ny"]}),
        ("SigningAlgorithm_invalid", {"SigningAlgorithm": "HS256"}),
        ("Tags_invalid", {"Tags": [{"Key": "a<b", "Value": "v"}]}),
        ("Tags_invalid", {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}),
        ("DurationSeconds_invalid", {"DurationSeconds": 3601}),
        ("DurationSeconds_invalid", {"DurationSeconds": 59}),
    ],
)
def test_a_request_with_one_fault_is_refused(portal, acme, reason, change):
    unchecked = sts(acme, portal, config=Config(parameter_validation=False, retries={"max_attempts": 1}))
    with refused(acme, reason=reason):
        denied(unchecked, "ValidationError", 400, **change)


def test_a_signature_for_another_service_is_none_for_sts(portal, acme):
    control = client("bedrock-agentcore-control", acme, portal.url)
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    request = AWSRequest(
        method="POST",
        url=f"{portal.url}/",
        data="Action=GetWebIdentityToken&Version=2011-06-15",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    SigV4Auth(control._get_credentials(), "bedrock-agentcore", "us-east-1").add_auth(request)
    with refused(acme, reason=None):
        status, body = send(request)
    assert status == 403 and "<Code>InvalidClientTokenId</Code>" in body


def send(request):
    prepared = urllib.request.Request(request.url, data=request.data.encode(), headers=dict(request.headers))
    try:
        with urllib.request.urlopen(prepared) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("operation", ["get_caller_identity", "get_session_token"])
def test_other_operations_of_sts_answer_a_modelled_refusal(portal, acme, operation):
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        getattr(sts(acme, portal), operation)()
    assert refusal.value.response["Error"]["Code"] == "InvalidAction"
    assert "GetWebIdentityToken" in refusal.value.response["Error"]["Message"]
    [record] = trail(acme, action="operation.unsupported")
    assert record.outcome == "denied"


def test_the_tenant_prefix_must_agree_with_the_key(portal, acme, globex):
    wrong = client("sts", acme, f"{portal.url}/t/{globex.slug}")
    with refused(acme, globex, reason="tenant_prefix_mismatch"):
        denied(wrong, "InvalidClientTokenId", 403)


def test_every_code_has_a_name_on_this_wire():
    from apps.core.errors import Code
    from apps.entrypoints.aws_wire.sts import TABLE

    assert set(TABLE) == set(Code)
