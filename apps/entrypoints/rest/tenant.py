"""The tenant, its audit trail, and who is asking."""

from __future__ import annotations

from rest_framework import serializers

from apps.broker import contracts as c
from apps.broker.contracts_admin import DescribeCaller, GetTenant, ListAuditEvents
from apps.entrypoints.rest.access_keys import Grant
from apps.entrypoints.rest.endpoint import Endpoint
from apps.entrypoints.rest.fields import Choice, Flag, Number, Strict, Text
from apps.entrypoints.rest.operation import Given, PageQuery, operation, page_of

TAG = "tenant"
_MODES = ("open", "closed")


class Tenant(serializers.Serializer):
    """The tenant of the credential."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    account_id = serializers.CharField(help_text="The account on the AWS wire.")
    status = serializers.CharField()
    binding_mode = serializers.ChoiceField(choices=_MODES)
    claim_user_ids = serializers.BooleanField()
    workload_token_life_s = serializers.IntegerField()
    consent_session_life_s = serializers.IntegerField()
    stale_issuer_keys_s = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class TenantChange(Strict):
    """What to change; what is left out stays as it is. Times are in seconds."""

    name = Text(required=False, max_length=200)
    binding_mode = Choice(choices=_MODES, required=False)
    claim_user_ids = Flag(required=False)
    workload_token_life_s = Number(required=False, min_value=300, max_value=43200)
    consent_session_life_s = Number(required=False, min_value=60, max_value=3600)
    stale_issuer_keys_s = Number(required=False, min_value=0, max_value=259200)


class AuditEvent(serializers.Serializer):
    """One record: who, on whose behalf, what, with which outcome."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    action = serializers.CharField()
    outcome = serializers.ChoiceField(choices=("allowed", "denied", "failed", "intent"))
    reason = serializers.CharField()
    actor_kind = serializers.CharField()
    actor = serializers.CharField()
    proof = serializers.CharField()
    agent = serializers.CharField()
    on_behalf_of = serializers.CharField(help_text="A pseudonym.")
    provider = serializers.CharField()
    connection_id = serializers.UUIDField(allow_null=True)
    details = serializers.DictField()
    request_id = serializers.CharField()
    source_ip = serializers.CharField(allow_null=True)


class EventQuery(PageQuery):
    action = serializers.CharField(max_length=80, required=False)
    outcome = serializers.ChoiceField(choices=("allowed", "denied", "failed", "intent"), required=False)
    agent = serializers.CharField(max_length=255, required=False)
    provider = serializers.CharField(max_length=128, required=False)
    actor = serializers.CharField(max_length=255, required=False)
    request_id = serializers.CharField(max_length=64, required=False)
    since = serializers.DateTimeField(required=False, help_text="Included.")
    until = serializers.DateTimeField(required=False, help_text="Not included.")


class Caller(serializers.Serializer):
    """Who is asking, and what they may do."""

    kind = serializers.CharField()
    name = serializers.CharField()
    proof = serializers.CharField()
    tenant = serializers.CharField()
    account_id = serializers.CharField()
    role = serializers.CharField(allow_null=True)
    actions = serializers.ListField(child=serializers.CharField())
    full_access = serializers.BooleanField()
    grants = Grant(many=True)
    scopes = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="Of the access token, if it is one."
    )


class Me(Endpoint):
    @operation(DescribeCaller, id="getCaller", tag=TAG, summary="Who am I?", answer=Caller, repeats=True)
    def get(self, given: Given) -> DescribeCaller:
        return DescribeCaller()


class OneTenant(Endpoint):
    @operation(
        GetTenant, id="getTenant", tag=TAG, summary="Read the tenant", answer=Tenant, versioned=True, repeats=True
    )
    def get(self, given: Given) -> GetTenant:
        return GetTenant()

    @operation(
        c.UpdateTenant,
        id="updateTenant",
        tag=TAG,
        summary="Change the tenant's settings",
        body=TenantChange,
        conditional=True,
        example={"workload_token_life_s": 1800},
    )
    def patch(self, given: Given) -> c.UpdateTenant:
        return c.UpdateTenant(**given)


class AuditEvents(Endpoint):
    @operation(
        ListAuditEvents,
        id="listAuditEvents",
        tag="audit",
        summary="Read the audit trail, newest first",
        query=EventQuery,
        answer=page_of(AuditEvent),
        repeats=True,
    )
    def get(self, given: Given) -> ListAuditEvents:
        return ListAuditEvents(event_action=given.pop("action", None), **given)
