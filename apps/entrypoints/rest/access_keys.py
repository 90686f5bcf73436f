"""Access keys: made with explicit permissions, shown once, ended at once."""

from __future__ import annotations

from rest_framework import serializers

from apps.broker import contracts as c
from apps.broker.contracts_admin import EnableAccessKey, GetAccessKey, ListAccessKeys
from apps.entrypoints.rest.endpoint import Endpoint
from apps.entrypoints.rest.fields import Flag, Moment, Name, SecretOut, Strict, Text
from apps.entrypoints.rest.operation import Given, PageQuery, operation, page_of
from apps.policy import grants as policy
from apps.policy.conditions import Condition as Limit

TAG = "access keys"


class Condition(serializers.Serializer):
    """What has to hold for a permission to count, in the words of AWS policies. All conditions of one have to."""

    operator = serializers.CharField()
    key = serializers.CharField()
    values = serializers.ListField(child=serializers.CharField())


class Grant(serializers.Serializer):
    """One permission: an action on resources, both with * and ? as wildcards, under conditions."""

    action = serializers.CharField()
    resource = serializers.CharField()
    conditions = Condition(many=True)


class AccessKey(serializers.Serializer):
    """An access key without its secret."""

    access_key_id = serializers.CharField()
    label = serializers.CharField()
    status = serializers.ChoiceField(choices=("active", "disabled"))
    full_access = serializers.BooleanField()
    agent = serializers.CharField(allow_null=True, help_text="Only as this agent.")
    grants = Grant(many=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class GivenCondition(Strict):
    """One condition: an operator, a condition key, and the values of which one has to fit."""

    operator = Text(max_length=64)
    key = Text(max_length=200)
    values = serializers.ListField(child=Text(max_length=512), min_length=1, max_length=100)


class GivenGrant(Strict):
    """One permission: an action on resources, both with * and ? as wildcards, perhaps under conditions."""

    action = Text(max_length=100)
    resource = Text(max_length=1024)
    conditions = serializers.ListField(child=GivenCondition(), required=False, max_length=20)


class NewKey(Strict):
    """A new access key. Without permissions it may do nothing."""

    label = Text(required=False, allow_blank=True, max_length=200)
    grants = serializers.ListField(child=GivenGrant(), required=False, max_length=100)
    agent = Name(required=False, help_text="Only as this agent.")
    full_access = Flag(required=False, help_text="Everything in this tenant. Owners only.")
    expires_at = Moment(required=False)


class NewAccessKey(serializers.Serializer):
    """The secret is here once and never again."""

    access_key_id = serializers.CharField()
    secret_access_key = SecretOut()


class AccessKeys(Endpoint):
    @operation(
        ListAccessKeys,
        id="listAccessKeys",
        tag=TAG,
        summary="List access keys, newest first",
        query=PageQuery,
        answer=page_of(AccessKey),
        repeats=True,
    )
    def get(self, given: Given) -> ListAccessKeys:
        return ListAccessKeys(**given)

    @operation(
        c.CreateAccessKey,
        id="createAccessKey",
        tag=TAG,
        summary="Make an access key",
        notes="Repeated with the same Idempotency-Key within 24 hours, the same secret is answered again.",
        body=NewKey,
        answer=NewAccessKey,
        status=201,
        located=lambda made: made.access_key_id,
        example={
            "label": "nightly job",
            "grants": [{"action": "bedrock-agentcore:GetWorkloadAccessToken", "resource": "*"}],
        },
    )
    def post(self, given: Given) -> c.CreateAccessKey:
        grants = tuple(
            policy.Grant(
                grant["action"],
                grant["resource"],
                tuple(Limit(one["operator"], one["key"], tuple(one["values"])) for one in grant.get("conditions", ())),
            )
            for grant in given.pop("grants", ())
        )
        return c.CreateAccessKey(**given, grants=grants)


class OneAccessKey(Endpoint):
    @operation(GetAccessKey, id="getAccessKey", tag=TAG, summary="Read an access key", answer=AccessKey, repeats=True)
    def get(self, given: Given, access_key_id: str) -> GetAccessKey:
        return GetAccessKey(access_key_id=access_key_id)

    @operation(c.DeleteAccessKey, id="deleteAccessKey", tag=TAG, summary="Remove an access key")
    def delete(self, given: Given, access_key_id: str) -> c.DeleteAccessKey:
        return c.DeleteAccessKey(access_key_id=access_key_id)


class DisableAccessKey(Endpoint):
    @operation(c.DisableAccessKey, id="disableAccessKey", tag=TAG, summary="Disable an access key")
    def post(self, given: Given, access_key_id: str) -> c.DisableAccessKey:
        return c.DisableAccessKey(access_key_id=access_key_id)


class EnableKey(Endpoint):
    @operation(EnableAccessKey, id="enableAccessKey", tag=TAG, summary="Enable a disabled access key")
    def post(self, given: Given, access_key_id: str) -> EnableAccessKey:
        return EnableAccessKey(access_key_id=access_key_id)
