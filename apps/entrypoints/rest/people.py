"""Members, principals and the issuers that prove them."""

from __future__ import annotations

from uuid import UUID

from rest_framework import serializers

from apps.broker import contracts as c
from apps.broker.contracts_admin import ListIssuers, ListMembers, ListPrincipals, ResumePrincipal, SuspendPrincipal
from apps.entrypoints.rest.agents import OptionalReason, Reason
from apps.entrypoints.rest.endpoint import Endpoint
from apps.entrypoints.rest.fields import Name, SecretIn, Strict, Text, Words
from apps.entrypoints.rest.operation import Given, PageQuery, operation, page_of

TAG = "people"


class Member(serializers.Serializer):
    """A person with a role in the tenant."""

    user_id = serializers.UUIDField()
    email = serializers.CharField()
    name = serializers.CharField()
    role = serializers.CharField()
    created_at = serializers.DateTimeField()


class NewMember(Strict):
    """A person and their role. Nobody gives a role above their own."""

    email = Text(max_length=254)
    role = Text(max_length=32)
    name = Text(required=False, allow_blank=True, max_length=200)
    password = SecretIn(required=False, max_length=200, help_text="For a new account only.")


class AddedMember(serializers.Serializer):
    """Whose role was set."""

    user_id = serializers.UUIDField(source="id")
    email = serializers.CharField()
    name = serializers.CharField()


class Principal(serializers.Serializer):
    """On whose behalf agents act."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=("jwt", "uid", "self"))
    issuer = serializers.CharField()
    subject = serializers.CharField(
        trim_whitespace=False,
    )
    pseudonym = serializers.CharField(help_text="How they appear in the audit trail.")
    status = serializers.ChoiceField(choices=("active", "suspended"))
    created_at = serializers.DateTimeField()


class PrincipalQuery(PageQuery):
    kind = serializers.ChoiceField(choices=("jwt", "uid", "self"), required=False)
    subject = serializers.CharField(trim_whitespace=False, max_length=512, required=False, help_text="Exactly.")


class Link(Strict):
    """A portal account, and the user id or the token subject it is."""

    email = Text(max_length=254)
    user_id = Text(required=False, max_length=128)
    issuer = Text(required=False)
    subject = Text(required=False, max_length=512)


class Issuer(serializers.Serializer):
    """An issuer whose tokens prove people."""

    id = serializers.UUIDField()
    issuer = serializers.CharField()
    discovery_url = serializers.CharField()
    audiences = serializers.ListField(child=serializers.CharField())
    clients = serializers.ListField(child=serializers.CharField())
    client_claims = serializers.ListField(child=serializers.CharField())
    agent = serializers.CharField(allow_null=True, help_text="For this agent only.")
    status = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class IssuerQuery(PageQuery):
    agent = serializers.CharField(max_length=255, required=False)


class NewIssuer(Strict):
    """Which issuer to trust, and for whom its tokens have to be."""

    discovery_url = Text()
    audiences = Words(longest=255)
    clients = Words(required=False, longest=255)
    client_claims = Words(required=False, longest=64)
    agent = Name(required=False, help_text="For this agent only.")


class TrustedIssuer(serializers.Serializer):
    """The issuer, as its metadata names it."""

    issuer = serializers.CharField()


class Members(Endpoint):
    @operation(
        ListMembers,
        id="listMembers",
        tag=TAG,
        summary="List members by e-mail",
        query=PageQuery,
        answer=page_of(Member),
        repeats=True,
    )
    def get(self, given: Given) -> ListMembers:
        return ListMembers(**given)

    @operation(
        c.AddMember,
        id="addMember",
        tag=TAG,
        summary="Give a person a role",
        notes="It replaces a role they had.",
        body=NewMember,
        answer=AddedMember,
        status=201,
        refusals=(409,),
        example={"email": "dana@example.org", "role": "agent_developer", "name": "Dana"},
    )
    def post(self, given: Given) -> c.AddMember:
        return c.AddMember(**given)


class OneMember(Endpoint):
    @operation(c.RemoveMember, id="removeMember", tag=TAG, summary="Take a person's role away", refusals=(409,))
    def delete(self, given: Given, user_id: UUID) -> c.RemoveMember:
        return c.RemoveMember(user_id=user_id)


class Principals(Endpoint):
    @operation(
        ListPrincipals,
        id="listPrincipals",
        tag=TAG,
        summary="List principals, newest first",
        query=PrincipalQuery,
        answer=page_of(Principal),
        repeats=True,
    )
    def get(self, given: Given) -> ListPrincipals:
        return ListPrincipals(**given)


class PrincipalLinks(Endpoint):
    @operation(
        c.LinkPrincipal,
        id="linkPrincipal",
        tag=TAG,
        summary="Say which principal a portal account is",
        body=Link,
        refusals=(404, 409),
        example={"email": "dana@example.org", "user_id": "dana"},
    )
    def post(self, given: Given) -> c.LinkPrincipal:
        return c.LinkPrincipal(**given)


class SuspendOne(Endpoint):
    @operation(
        SuspendPrincipal,
        id="suspendPrincipal",
        tag=TAG,
        summary="Let no agent act for a principal any more",
        body=Reason,
        example={"why": "left the company"},
    )
    def post(self, given: Given, principal_id: UUID) -> SuspendPrincipal:
        return SuspendPrincipal(principal_id=principal_id, why=given["why"])


class ResumeOne(Endpoint):
    @operation(
        ResumePrincipal,
        id="resumePrincipal",
        tag=TAG,
        summary="Allow a suspended principal again",
        body=OptionalReason,
        example={},
    )
    def post(self, given: Given, principal_id: UUID) -> ResumePrincipal:
        return ResumePrincipal(principal_id=principal_id, why=given.get("why", ""))


class Issuers(Endpoint):
    @operation(
        ListIssuers,
        id="listTrustedIssuers",
        tag=TAG,
        summary="List trusted issuers",
        query=IssuerQuery,
        answer=page_of(Issuer),
        repeats=True,
    )
    def get(self, given: Given) -> ListIssuers:
        return ListIssuers(**given)

    @operation(
        c.TrustIssuer,
        id="trustIssuer",
        tag=TAG,
        summary="Trust an issuer, or replace what it is trusted for",
        body=NewIssuer,
        answer=TrustedIssuer,
        status=201,
        shaped=lambda issuer: {"issuer": issuer},
        refusals=(404, 502, 503),
        example={
            "discovery_url": "https://id.example.org/.well-known/openid-configuration",
            "audiences": ["release-notes"],
        },
    )
    def post(self, given: Given) -> c.TrustIssuer:
        return c.TrustIssuer(**given)


class OneIssuer(Endpoint):
    @operation(c.DistrustIssuer, id="distrustIssuer", tag=TAG, summary="Trust an issuer no longer")
    def delete(self, given: Given, issuer_id: UUID) -> c.DistrustIssuer:
        return c.DistrustIssuer(issuer_id=issuer_id)
