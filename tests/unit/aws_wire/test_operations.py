"""Every operation has one command, and every outcome an answer that the contract allows."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from apps.broker import contracts as c
from apps.broker.inbound import contracts as inbound
from apps.core import names
from apps.core.errors import Invalid, NotSupported
from apps.core.secret import Secret
from apps.entrypoints.aws_wire import codec, operations
from apps.entrypoints.aws_wire.contract import CONTRACT
from apps.entrypoints.aws_wire.shapes import checker

NOW = datetime(2026, 11, 23, 18, 7, 32, tzinfo=UTC)
ID = UUID(int=1)
START = names.prefix("local", "123456789012")
AGENT = c.AgentView(
    id=ID,
    name="agent-1",
    arn=START + names.agent("agent-1"),
    return_urls=("https://app.example/cb",),
    created_at=NOW,
    updated_at=NOW,
    status="active",
)
META = c.ServerMetadata(
    issuer="https://github.com",
    authorization_endpoint="https://github.com/login/oauth/authorize",
    token_endpoint="https://github.com/login/oauth/access_token",
    response_types=("code",),
    token_endpoint_auth_methods=("client_secret_post", "private_key_jwt"),
)
GITHUB = c.OAuthProviderView(
    id=ID,
    name="g_h",
    vendor="GithubOauth2",
    arn=START + names.oauth_provider("g_h"),
    secret_arn=names.managed_secret("local", "123456789012", "oauth2", "g_h", "AbC123"),
    callback_url="https://portal.example/connect/callback/x",
    client_id="cid",
    discovery_url=None,
    metadata=META,
    client_authentication_method=None,
    on_behalf_of=None,
    created_at=NOW,
    updated_at=NOW,
)
OBO = {"grantType": "TOKEN_EXCHANGE", "tokenExchangeGrantTypeConfig": {"actorTokenContent": "NONE"}}
CUSTOM = dataclasses.replace(
    GITHUB,
    vendor="CustomOauth2",
    metadata=None,
    discovery_url="https://idp.example/.well-known/openid-configuration",
    client_authentication_method="client_secret_post",
    on_behalf_of=OBO,
)
KEY = c.ApiKeyProviderView(
    id=ID,
    name="k1",
    arn=START + names.api_key_provider("k1"),
    secret_arn=names.managed_secret("local", "123456789012", "apikey", "k1", "AbC123"),
    created_at=NOW,
    updated_at=NOW,
)
VAULT = c.VaultView(vault_id="default", customer_key=None, updated_at=NOW)
ISSUER = inbound.IssuerView(
    issuer="https://login.example",
    discovery_url="https://login.example/.well-known/openid-configuration",
    audiences=("agents",),
    clients=("app",),
    client_claims=(),
    scopes=("agent:invoke",),
    custom_claims=(
        inbound.CustomClaim(claim="tenant", value_type="STRING", operator="EQUALS", values=("acme",)),
        inbound.CustomClaim(
            claim="groups", value_type="STRING_ARRAY", operator="CONTAINS_ANY", values=("a", "b"), several=True
        ),
    ),
    introspection_endpoint="",
    introspection_client_id="",
    status="active",
)
DOOR = inbound.AuthorizerView(
    agent="rt-AbCdEf1234",
    arn=START + names.runtime("rt-AbCdEf1234"),
    kind="CUSTOM_JWT",
    status="active",
    issuers=(ISSUER,),
    scope_match="any",
    advertised_scopes={"agent:invoke": "api://agents/invoke"},
    request_headers=("X-Team",),
    endpoint_url="https://agents.example/rt",
    resource_url="",
)
RUNTIME = inbound.RuntimeView(
    runtime_id="rt-AbCdEf1234",
    name="rt",
    arn=DOOR.arn,
    workload_identity_arn=START + names.agent("rt-AbCdEf1234"),
    version=1,
    description="writes release notes",
    role_arn="arn:aws:iam::123456789012:role/x",
    protocol="HTTP",
    authorizer=DOOR,
    created_at=NOW,
    updated_at=NOW,
)
BARE = dataclasses.replace(
    RUNTIME, description="", authorizer=dataclasses.replace(DOOR, kind="AWS_IAM", issuers=(), request_headers=())
)

OUTCOMES: list[tuple[str, Any]] = [
    ("CreateWorkloadIdentity", AGENT),
    ("GetWorkloadIdentity", AGENT),
    ("UpdateWorkloadIdentity", AGENT),
    ("DeleteWorkloadIdentity", None),
    ("ListWorkloadIdentities", c.Page(items=(AGENT,), cursor="next")),
    ("ListWorkloadIdentities", c.Page(items=(), cursor=None)),
    *[
        (f"{verb}Oauth2CredentialProvider", view)
        for verb in ("Create", "Get", "Update")
        for view in (GITHUB, CUSTOM, dataclasses.replace(GITHUB, vendor="OktaOauth2"))
    ],
    ("DeleteOauth2CredentialProvider", None),
    ("ListOauth2CredentialProviders", c.Page(items=(GITHUB, CUSTOM), cursor=None)),
    ("CreateApiKeyCredentialProvider", KEY),
    ("GetApiKeyCredentialProvider", KEY),
    ("UpdateApiKeyCredentialProvider", KEY),
    ("DeleteApiKeyCredentialProvider", None),
    ("ListApiKeyCredentialProviders", c.Page(items=(KEY,), cursor="next")),
    *[(f"{verb}AgentRuntime", view) for verb in ("Create", "Get", "Update", "Delete") for view in (RUNTIME, BARE)],
    ("ListAgentRuntimes", c.Page(items=(RUNTIME, BARE), cursor="next")),
    ("GetTokenVault", VAULT),
    ("GetTokenVault", dataclasses.replace(VAULT, customer_key="arn:aws:kms:local:123456789012:key/" + "a" * 36)),
    ("TagResource", None),
    ("UntagResource", None),
    ("ListTagsForResource", {"team": "a"}),
    ("GetWorkloadAccessToken", Secret("awt_1")),
    ("GetWorkloadAccessTokenForJWT", Secret("awt_1")),
    ("GetWorkloadAccessTokenForUserId", Secret("awt_1")),
    ("GetResourceOauth2Token", c.TokenReleased(access_token=Secret("at_1"))),
    (
        "GetResourceOauth2Token",
        c.ConsentNeeded(
            authorization_url="https://portal.example/connect/x",
            session_uri="urn:ietf:params:oauth:request_uri:x",
            session_id=UUID(int=1),
        ),
    ),
    ("GetResourceOauth2Token", c.ConsentFailed(session_uri="urn:ietf:params:oauth:request_uri:x")),
    ("GetResourceApiKey", Secret("sk-1")),
    ("CompleteResourceTokenAuth", None),
]


@pytest.mark.parametrize(("operation", "outcome"), OUTCOMES)
def test_every_answer_satisfies_the_contract_down_to_its_patterns(operation: str, outcome: Any) -> None:
    body = codec.encode(operation, operations.bind(operation).answer(outcome))
    spec = CONTRACT.operations[operation]
    if spec.output is None or not body:
        assert outcome is None
        return
    problems: list[Any] = []
    for name, value in json.loads(body).items():
        member = spec.output.members[name]
        if CONTRACT.shapes[spec.plane][member.shape].type != "timestamp" and not isinstance(value, list):
            checker(spec.plane, member.shape)(value, name, problems)
    assert problems == []


def test_every_operation_of_the_product_has_an_outcome_above() -> None:
    assert {operation for operation, _ in OUTCOMES} == operations.SUPPORTED
    assert set(CONTRACT.operations) == operations.SUPPORTED | operations.UNSUPPORTED


TOKEN = {"workloadIdentityToken": "awt_1", "resourceCredentialProviderName": "gh"}
ARN = START + names.oauth_provider("gh")
COMMANDS: list[tuple[str, dict[str, Any], c.Command]] = [
    (
        "CreateWorkloadIdentity",
        {"name": "agent-1", "allowedResourceOauth2ReturnUrls": ["https://a/cb"], "tags": {"a": "b"}},
        c.CreateAgent(name="agent-1", return_urls=("https://a/cb",), tags={"a": "b"}),
    ),
    ("GetWorkloadIdentity", {"name": "agent-1"}, c.GetAgent(name="agent-1")),
    ("UpdateWorkloadIdentity", {"name": "agent-1"}, c.UpdateAgent(name="agent-1", return_urls=None)),
    (
        "UpdateWorkloadIdentity",
        {"name": "agent-1", "allowedResourceOauth2ReturnUrls": []},
        c.UpdateAgent(name="agent-1", return_urls=()),
    ),
    ("DeleteWorkloadIdentity", {"name": "agent-1"}, c.DeleteAgent(name="agent-1")),
    ("ListWorkloadIdentities", {}, c.ListAgents()),
    ("ListWorkloadIdentities", {"maxResults": 3, "nextToken": "n"}, c.ListAgents(cursor="n", limit=3)),
    ("ListApiKeyCredentialProviders", {}, c.ListApiKeyProviders()),
    ("ListOauth2CredentialProviders", {"maxResults": 20}, c.ListOAuthProviders(limit=20)),
    ("DeleteOauth2CredentialProvider", {"name": "gh"}, c.DeleteOAuthProvider(name="gh")),
    ("GetTokenVault", {}, c.GetVault(vault_id="default")),
    ("TagResource", {"resourceArn": ARN, "tags": {"a": "b"}}, c.TagResource(arn=ARN, tags={"a": "b"})),
    ("UntagResource", {"resourceArn": ARN, "tagKeys": ["a"]}, c.UntagResource(arn=ARN, keys=("a",))),
    ("ListTagsForResource", {"resourceArn": ARN}, c.ListTags(arn=ARN)),
    (
        "GetWorkloadAccessTokenForUserId",
        {"workloadName": "agent-1", "userId": "u"},
        c.IssueWorkloadTokenForUserId(agent="agent-1", user_id="u"),
    ),
]


@pytest.mark.parametrize(("operation", "members", "command"), COMMANDS)
def test_members_become_the_command(operation: str, members: dict[str, Any], command: c.Command) -> None:
    assert operations.bind(operation).command(members) == command


def test_a_token_request_with_everything() -> None:
    command: Any = operations.bind("GetResourceOauth2Token").command(
        {
            **TOKEN,
            "scopes": ["repo"],
            "oauth2Flow": "ON_BEHALF_OF_TOKEN_EXCHANGE",
            "sessionUri": "urn:s",
            "resourceOauth2ReturnUrl": "https://a/cb",
            "forceAuthentication": True,
            "customParameters": {"a": "b"},
            "customState": "st",
            "resources": ["r"],
            "audiences": ["a"],
        }
    )
    assert (command.flow, command.scopes, command.force) == (c.Flow.ON_BEHALF_OF, ("repo",), True)
    assert (command.session_uri, command.return_url) == ("urn:s", "https://a/cb")
    assert (command.resources, command.audiences, command.custom_parameters) == (("r",), ("a",), {"a": "b"})
    assert command.workload_token.reveal() == "awt_1" and command.custom_state.reveal() == "st"


def test_the_completing_application_names_the_person_in_one_of_two_ways() -> None:
    bind = operations.bind("CompleteResourceTokenAuth").command
    by_id: Any = bind({"sessionUri": "urn:s", "userIdentifier": {"userId": "u"}})
    by_jwt: Any = bind({"sessionUri": "urn:s", "userIdentifier": {"userToken": "a.b.c"}})
    assert (by_id.user_id, by_id.jwt) == ("u", None)
    assert by_jwt.user_id is None and by_jwt.jwt.reveal() == "a.b.c"


def _create(vendor: str, member: str, **config: Any) -> Any:
    members = {
        "name": "gh",
        "credentialProviderVendor": vendor,
        "oauth2ProviderConfigInput": {member: {"clientId": "cid", "clientSecret": "csec", **config}},
    }
    return operations.bind("CreateOauth2CredentialProvider").command(members)


def test_vendor_configurations_become_settings() -> None:
    command = _create("MicrosoftOauth2", "microsoftOauth2ProviderConfig", tenantId="t-1")
    assert command.settings.vendor_options == {"tenantId": "t-1"}
    assert command.settings.client_secret.reveal() == "csec"
    command = _create(
        "CustomOauth2",
        "customOauth2ProviderConfig",
        oauthDiscovery={"authorizationServerMetadata": {
            "issuer": "https://i", "authorizationEndpoint": "https://i/a", "tokenEndpoint": "https://i/t"
        }},
        clientAuthenticationMethod="CLIENT_SECRET_POST",
        onBehalfOfTokenExchangeConfig=OBO,
        clientSecret="",
    )  # fmt: skip
    assert command.settings.metadata == c.ServerMetadata(
        issuer="https://i", authorization_endpoint="https://i/a", token_endpoint="https://i/t"
    )
    assert command.settings.client_authentication_method == "client_secret_post"
    assert command.settings.on_behalf_of == OBO
    assert command.settings.client_secret is None, "an empty secret is no secret"


@pytest.mark.parametrize("vendor", CONTRACT.shapes["control"]["CredentialProviderVendorType"].enum)
def test_a_configuration_must_belong_to_its_vendor(vendor: str) -> None:
    right = operations.providers.member_of(vendor)
    assert right in CONTRACT.shapes["control"]["Oauth2ProviderConfigInput"].members
    assert _create(vendor, right, oauthDiscovery={"discoveryUrl": "https://i"}).settings.vendor == vendor
    wrong = "githubOauth2ProviderConfig" if vendor != "GithubOauth2" else "googleOauth2ProviderConfig"
    with pytest.raises(Invalid) as refused:
        _create(vendor, wrong)
    assert refused.value.fields[0].name == f"oauth2ProviderConfigInput.{wrong}"


@pytest.mark.parametrize(
    "option",
    [
        {"clientSecretSource": "EXTERNAL"},
        {"clientSecretConfig": {"secretId": "s", "jsonKey": "k"}},
        {"privateKeyJwtConfig": {}},
        {"privateEndpoint": {}},
        {"certificateConfigurations": []},
        {"clientAuthenticationMethod": "PRIVATE_KEY_JWT"},
        {"clientAuthenticationMethod": "AWS_IAM_ID_TOKEN_JWT"},
    ],
)
def test_options_outside_the_product_are_refused_in_words(option: dict[str, Any]) -> None:
    discovery = {"oauthDiscovery": {"discoveryUrl": "https://i"}}
    assert _create("CustomOauth2", "customOauth2ProviderConfig", **discovery, clientSecretSource="MANAGED")
    with pytest.raises(NotSupported) as refused:
        _create("CustomOauth2", "customOauth2ProviderConfig", **discovery, **option)
    assert "portal" in refused.value.public


def test_api_keys_must_be_given_and_stay_here() -> None:
    bind = operations.bind("CreateApiKeyCredentialProvider").command
    created: Any = bind({"name": "k1", "apiKey": "sk"})
    assert created.api_key.reveal() == "sk"
    with pytest.raises(Invalid):
        bind({"name": "k1"})
    with pytest.raises(Invalid):
        bind({"name": "k1", "apiKey": ""})
    for option in ({"apiKeySecretSource": "EXTERNAL"}, {"apiKeySecretConfig": {"secretId": "s", "jsonKey": "k"}}):
        for operation in ("CreateApiKeyCredentialProvider", "UpdateApiKeyCredentialProvider"):
            with pytest.raises(NotSupported):
                operations.bind(operation).command({"name": "k1", **option})


@pytest.mark.parametrize("operation", [*sorted(operations.UNSUPPORTED), "CreateAgentRuntimeEndpoint"])
def test_operations_outside_the_product_say_so_plainly(operation: str) -> None:
    command = operations.bind(operation).command({})
    assert isinstance(command, c.RefuseUnsupported)
    assert command.operation == operation and "portal" in command.sentence and "{" not in command.sentence


def test_exactly_the_changing_operations_are_guarded_against_repetition() -> None:
    changing = {operation for operation in operations.SUPPORTED if operations.bind(operation).changes}
    assert changing == {
        operation
        for operation in operations.SUPPORTED
        if operation.startswith(("Create", "Update", "Delete", "Tag", "Untag", "Complete"))
    }


@pytest.mark.parametrize(
    ("operation", "ours", "theirs"),
    [
        ("GetResourceOauth2Token", "return_url", "resourceOauth2ReturnUrl"),
        ("CreateWorkloadIdentity", "return_urls", "allowedResourceOauth2ReturnUrls"),
        ("ListWorkloadIdentities", "cursor", "nextToken"),
        ("CreateOauth2CredentialProvider", "client_secret", "clientSecret"),
        ("GetWorkloadAccessTokenForUserId", "user_id", "userId"),
        ("CompleteResourceTokenAuth", "user_id", "userIdentifier.userId"),
        ("GetResourceOauth2Token", "scopes", "scopes"),
    ],
)
def test_members_are_named_as_the_caller_sent_them(operation: str, ours: str, theirs: str) -> None:
    error = Invalid.field(ours, "is wrong", reason="x")
    operations.in_wire_words(error, operation)
    assert error.fields[0].name == theirs
