"""Requests in: accepted as the contract says, refused with every problem named."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from apps.core.errors import Invalid, PortalError, Unreadable
from apps.entrypoints.aws_wire import codec
from apps.entrypoints.aws_wire.contract import CONTRACT

CREATE_AGENT = "CreateWorkloadIdentity"
OAUTH = "GetResourceOauth2Token"
GOOD_OAUTH: dict[str, Any] = {
    "workloadIdentityToken": "awt_1",
    "resourceCredentialProviderName": "gh",
    "scopes": ["repo"],
    "oauth2Flow": "USER_FEDERATION",
}
CUSTOM: dict[str, Any] = {
    "name": "idp",
    "credentialProviderVendor": "CustomOauth2",
    "oauth2ProviderConfigInput": {
        "customOauth2ProviderConfig": {
            "oauthDiscovery": {"discoveryUrl": "https://idp.example/.well-known/openid-configuration"},
            "clientId": "cid",
            "clientSecret": "csec",
        }
    },
}


def decode(operation: str, members: Any) -> dict[str, Any]:
    return codec.decode(operation, json.dumps(members).encode(), {}, [])


def problems(operation: str, members: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        decode(operation, members)
    return {field.name: field.message for field in refused.value.fields}


def changed(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A deep copy with one member set; `...` takes it away."""
    copy: dict[str, Any] = json.loads(json.dumps(base))
    *parents, last = path.split(".")
    place = copy
    for parent in parents:
        place = place[parent]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return copy


def test_valid_requests_come_through_unchanged() -> None:
    assert decode(OAUTH, GOOD_OAUTH) == GOOD_OAUTH
    assert decode("CreateOauth2CredentialProvider", CUSTOM) == CUSTOM
    assert decode(CREATE_AGENT, {"name": "agent-1", "allowedResourceOauth2ReturnUrls": []})
    assert decode(OAUTH, {**GOOD_OAUTH, "scopes": []})["scopes"] == []
    assert codec.decode("ListWorkloadIdentities", b"", {}, []) == {}
    assert codec.decode("GetTokenVault", b"{}", {}, []) == {}


def test_all_problems_are_reported_at_once_with_their_paths() -> None:
    body = changed(CUSTOM, "name", "no spaces please")
    body["oauth2ProviderConfigInput"]["customOauth2ProviderConfig"] = {
        "oauthDiscovery": {},
        "clientId": 7,
        "clientAuthenticationMethod": "GUESS",
        "surprise": True,
    }
    start = "oauth2ProviderConfigInput.customOauth2ProviderConfig"
    found = problems("CreateOauth2CredentialProvider", body)
    assert set(found) == {
        "name",
        f"{start}.oauthDiscovery",
        f"{start}.clientId",
        f"{start}.clientAuthenticationMethod",
        f"{start}.surprise",
    }
    assert "exactly one" in found[f"{start}.oauthDiscovery"]
    assert "CLIENT_SECRET_BASIC" in found[f"{start}.clientAuthenticationMethod"]


@pytest.mark.case("T089")
@pytest.mark.parametrize(
    "member", ["tenant", "tenant_id", "owner", "created_by", "id", "status", "is_admin", "kek_id", "auditId"]
)
@pytest.mark.parametrize(
    ("operation", "base"),
    [
        (CREATE_AGENT, {"name": "agent-1"}),
        ("UpdateWorkloadIdentity", {"name": "agent-1"}),
        ("CreateOauth2CredentialProvider", CUSTOM),
        ("CreateApiKeyCredentialProvider", {"name": "k1", "apiKey": "sk"}),
        (OAUTH, GOOD_OAUTH),
    ],
)
def test_T089_members_the_operation_does_not_have_are_refused(operation: str, base: Any, member: str) -> None:
    assert decode(operation, base)
    with pytest.raises(Invalid) as refused:
        decode(operation, {**base, member: "x"})
    assert refused.value.reason == "unknown_field"
    assert [field.name for field in refused.value.fields] == [member]
    assert member in refused.value.public


def test_a_member_that_older_clients_send_is_read_past() -> None:
    assert decode(OAUTH, {**GOOD_OAUTH, "userId": "u1"}) == GOOD_OAUTH
    assert "userId" in problems(OAUTH, {**GOOD_OAUTH, "userId": None})
    assert "userId" in problems("GetResourceApiKey", {
        "workloadIdentityToken": "t", "resourceCredentialProviderName": "k", "userId": "u1"
    })  # fmt: skip


@pytest.mark.case("T111")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"{",
        b'{"workloadName": "agent-1",}',
        b'{"workloadName": "agent-1"} x',
        b'{"workloadName": "agent-1"} // comment',
        b'{"workloadName": NaN}',
        b'{"workloadName": Infinity}',
        b'{"workloadName": 1e999}',
        b'\xef\xbb\xbf{"workloadName": "agent-1"}',
        '{"workloadName": "agent-1"}'.encode("utf-16"),
        b'{"workloadName": "agent\xff"}',
        b'{"workloadName": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"workloadName": ' + b"9" * 5_000 + b"}",
        b'{"workloadName": "a\x00gent"}',
        b"{'workloadName': 'agent-1'}",
        b'{"a": ' * 40_000,
    ],
    ids=range(19),
)
@pytest.mark.parametrize("operation", ["GetWorkloadAccessToken", "GetWorkloadIdentity"])
def test_T111_what_is_not_one_json_object_is_refused(operation: str, body: bytes) -> None:
    name = b"workloadName" if operation == "GetWorkloadAccessToken" else b"name"
    assert codec.decode(operation, b'{"%s": "agent-1"}' % name, {}, [])
    begin = time.perf_counter()
    with pytest.raises((Unreadable, Invalid)):
        codec.decode(operation, body.replace(b"workloadName", name), {}, [])
    assert time.perf_counter() - begin < 0.1


@pytest.mark.case("T112")
@pytest.mark.parametrize(
    "body",
    [
        '{"workloadName": "agent-1", "workloadName": "agent-1"}',
        '{"workloadName": "agent-1", "workload\\u004eame": "agent-2"}',
        '{"workloadName": "agent-1", "userToken": "a.b.c", "userToken": "d.e.f"}',
    ],
)
def test_T112_a_member_named_twice_is_refused(body: str) -> None:
    with pytest.raises(Unreadable) as refused:
        codec.decode("GetWorkloadAccessTokenForJWT", body.encode(), {}, [])
    assert refused.value.reason == "duplicate_member"


@pytest.mark.case("T112")
def test_T112_twins_are_found_at_any_depth() -> None:
    with pytest.raises(Unreadable) as refused:
        codec.decode(
            OAUTH, json.dumps(GOOD_OAUTH)[:-1].encode() + b', "customParameters": {"a": "1", "a": "2"}}', {}, []
        )
    assert refused.value.reason == "duplicate_member"


WRONG: list[Any] = [None, 7, 7.5, True, [], {}, [1], {"a": 1}, "", "x" * 200_000]


@pytest.mark.case("T112")
@pytest.mark.parametrize("member", sorted(CONTRACT.operations[OAUTH].input.members))  # type: ignore[union-attr]
def test_T112_a_wrong_type_or_length_is_named_by_its_path(member: str) -> None:
    valid: dict[str, list[type]] = {"scopes": [list], "resources": [list], "audiences": [list]}
    valid |= {"customParameters": [dict], "forceAuthentication": [bool]}
    for value in WRONG:
        if type(value) in valid.get(member, []) and value in ([], {}, True):
            continue
        assert any(name.startswith(member) for name in problems(OAUTH, {**GOOD_OAUTH, member: value}))


@pytest.mark.case("T112")
@pytest.mark.parametrize(
    ("operation", "base", "path", "value"),
    [
        ("ListWorkloadIdentities", {}, "maxResults", 0),
        ("ListWorkloadIdentities", {}, "maxResults", 21),
        ("ListWorkloadIdentities", {}, "maxResults", -1),
        ("ListWorkloadIdentities", {}, "maxResults", 5.0),
        ("ListWorkloadIdentities", {}, "maxResults", True),
        ("ListWorkloadIdentities", {}, "maxResults", "5"),
        ("ListWorkloadIdentities", {}, "maxResults", 10**18),
        (CREATE_AGENT, {"name": "agent-1"}, "name", "ab"),
        (CREATE_AGENT, {"name": "agent-1"}, "name", "a" * 256),
        (CREATE_AGENT, {"name": "agent-1"}, "name", "agent\n"),
        (CREATE_AGENT, {"name": "agent-1"}, "name", "agént-1"),
        (CREATE_AGENT, {"name": "agent-1"}, "name", "agent\u202e1"),
        (CREATE_AGENT, {"name": "agent-1"}, "name", "agent😀"),
        (OAUTH, GOOD_OAUTH, "oauth2Flow", "m2m"),
        (OAUTH, GOOD_OAUTH, "sessionUri", "urn:ietf:params:oauth:request_uri:a b"),
        (OAUTH, GOOD_OAUTH, "resourceOauth2ReturnUrl", "no-scheme"),
        (OAUTH, GOOD_OAUTH, "customState", "a\x00b"),
        (OAUTH, GOOD_OAUTH, "customState", "a\ud800b"),
        (OAUTH, GOOD_OAUTH, "scopes", ["x" * 129]),
        (OAUTH, GOOD_OAUTH, "scopes", ["a"] * 101),
        (OAUTH, GOOD_OAUTH, "customParameters", {"a b": "x"}),
        (CREATE_AGENT, {"name": "agent-1"}, "tags", {"k": "v<"}),
        (CREATE_AGENT, {"name": "agent-1"}, "tags", {f"k{n}": "v" for n in range(51)}),
        ("CreateOauth2CredentialProvider", CUSTOM, "credentialProviderVendor", "AcmeOauth2"),
    ],
)
def test_T112_constraints_are_checked_here_because_clients_do_not(
    operation: str, base: Any, path: str, value: Any
) -> None:
    assert decode(operation, base) == base
    assert any(name.startswith(path) for name in problems(operation, changed(base, path, value)))


def test_text_that_is_legal_is_never_normalised() -> None:
    """Composed and decomposed spellings of one user id stay two people (T022)."""
    for user in ("Zoe\u0308", "Zo\u00eb", "😀", " lead", "a\tb"):
        body = {"workloadName": "agent-1", "userId": user}
        assert decode("GetWorkloadAccessTokenForUserId", body) == body


@pytest.mark.parametrize(
    "identifier",
    [{}, {"userId": "u", "userToken": "a.b.c"}, {"userId": "u", "userToken": None}, {"other": "x"}, None, "u"],
)
def test_a_union_has_exactly_one_member(identifier: Any) -> None:
    good = {"userIdentifier": {"userId": "u"}, "sessionUri": "urn:ietf:params:oauth:request_uri:abc"}
    assert decode("CompleteResourceTokenAuth", good) == good
    found = problems("CompleteResourceTokenAuth", {**good, "userIdentifier": identifier})
    assert any(name.startswith("userIdentifier") for name in found)


def test_a_token_of_any_form_reaches_its_verifier() -> None:
    """A malformed proof gets the answer of a bad proof, so the wire does not judge its form."""
    for token in ("a.b.c", "a.b.c.d.e", "a.b", " a.b.c", "é"):
        body = {"workloadName": "agent-1", "userToken": token}
        assert decode("GetWorkloadAccessTokenForJWT", body) == body


ARN = "arn:aws:bedrock-agentcore:local:123456789012:token-vault/default/oauth2credentialprovider/gh"


def test_path_and_query_members_are_checked_like_those_of_the_body() -> None:
    assert codec.decode("ListTagsForResource", b"", {"resourceArn": ARN}, []) == {"resourceArn": ARN}
    assert codec.decode(
        "UntagResource", b"", {"resourceArn": ARN}, [("tagKeys", "a b"), ("tagKeys", "c")]
    ) == {"resourceArn": ARN, "tagKeys": ["a b", "c"]}  # fmt: skip
    assert codec.decode("TagResource", b'{"tags": {"a": "b"}}', {"resourceArn": ARN}, []) == {
        "resourceArn": ARN,
        "tags": {"a": "b"},
    }
    for operation, body, path, query, member in [
        ("ListTagsForResource", b"", {"resourceArn": "x"}, [], "resourceArn"),
        ("UntagResource", b"", {"resourceArn": ARN}, [], "tagKeys"),
        ("UntagResource", b"", {"resourceArn": ARN}, [("tagKeys", "<")], "tagKeys[0]"),
        ("TagResource", b'{"tags": {}, "resourceArn": "x"}', {"resourceArn": ARN}, [], "resourceArn"),
        ("TagResource", b'{"tags": {}}', {"resourceArn": ARN}, [("tags", "x")], "tags"),
        ("GetWorkloadIdentity", b'{"name": "agent-1"}', {}, [("name", "agent-2")], "name"),
    ]:
        with pytest.raises(Invalid) as refused:
            codec.decode(operation, body, path, query)
        assert [field.name for field in refused.value.fields] == [member]


def test_a_body_where_none_belongs_and_one_too_large_are_refused() -> None:
    with pytest.raises(Unreadable) as refused:
        codec.decode("ListTagsForResource", b'{"a": 1}', {"resourceArn": ARN}, [])
    assert refused.value.reason == "body_not_expected"
    with pytest.raises(Unreadable) as refused:
        codec.decode(CREATE_AGENT, b" " * (codec.MAX_BODY_BYTES + 1), {}, [])
    assert refused.value.reason == "body_too_large"


@pytest.mark.parametrize(
    "text",
    ["https://a.example" + "/.well-known/openid-configuration" * 60 + "?", "a/" * 1020, "https://" + "x" * 2030 + "?"],
)
def test_hostile_text_does_not_make_a_pattern_slow(text: str) -> None:
    body = changed(CUSTOM, "oauth2ProviderConfigInput.customOauth2ProviderConfig.oauthDiscovery.discoveryUrl", text)
    begin = time.perf_counter()
    assert problems("CreateOauth2CredentialProvider", body)
    assert time.perf_counter() - begin < 0.1


def test_problems_are_bounded_and_never_repeat_values() -> None:
    with pytest.raises(PortalError) as refused:
        decode(OAUTH, {**GOOD_OAUTH, "customState": "s3cret\x00", **{f"m{n}": n for n in range(5_000)}})
    assert len(refused.value.public) < 1_000 and len(refused.value.fields) <= 50
    assert "s3cret" not in refused.value.public + str(refused.value.fields)
