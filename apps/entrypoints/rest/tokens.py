"""What agents come for: workload access tokens, OAuth access tokens, API keys; and the consent in between.

These answers are secrets. None of them is kept for a repetition: the calls may simply be repeated.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers

from apps.broker import contracts as c
from apps.broker.contracts_admin import GetConsentSession
from apps.core.errors import Invalid
from apps.core.secret import Secret
from apps.entrypoints.rest.endpoint import Endpoint
from apps.entrypoints.rest.fields import Choice, Flag, Name, Pairs, SecretIn, SecretOut, Strict, Text, Words
from apps.entrypoints.rest.operation import Given, operation

TAG = "tokens"
_IDENTIFIER = "Exactly one of jwt and user_id, or neither for the agent itself."


class WorkloadTokenRequest(Strict):
    """For whom the agent acts: the person a token proves, a user id the application names, or itself."""

    agent = Name()
    jwt = SecretIn(required=False, max_length=131072, help_text=_IDENTIFIER)
    user_id = Text(required=False, max_length=128, help_text=_IDENTIFIER)


class WorkloadToken(serializers.Serializer):
    """A workload access token: which agent acts for whom."""

    workload_token = SecretOut()


class OAuthTokenRequest(Strict):
    """Which token."""

    workload_token = SecretIn(max_length=131072)
    provider = Name(provider=True)
    scopes = Words(longest=128)
    flow = Choice(choices=[flow.value for flow in c.Flow])
    session_uri = Text(required=False, max_length=1024)
    return_url = Text(required=False, help_text="Registered for the agent; left out, the person signs in here.")
    force = Flag(required=False, help_text="Ask the person, or the provider, again.")
    custom_parameters = Pairs(required=False)
    custom_state = SecretIn(required=False, max_length=4096)
    resources = Words(required=False)
    audiences = Words(required=False)


class OAuthToken(serializers.Serializer):
    """The token, or the consent that is needed first."""

    status = serializers.ChoiceField(choices=("released", "consent_needed", "consent_failed"))
    access_token = SecretOut(allow_null=True)
    authorization_url = serializers.CharField(allow_null=True, help_text="Show this to the person.")
    session_uri = serializers.CharField(allow_null=True, help_text="Give it back when asking again.")
    session_id = serializers.UUIDField(allow_null=True, help_text="To wait at /consent-sessions/{session_id}.")


class ApiKeyRequest(Strict):
    """Which key."""

    workload_token = SecretIn(max_length=131072)
    provider = Name(provider=True)


class ReleasedApiKey(serializers.Serializer):
    """A stored API key."""

    api_key = SecretOut()


class Completion(Strict):
    """Who came back to the application: exactly one of jwt and user_id."""

    session_uri = Text(max_length=1024)
    jwt = SecretIn(required=False, max_length=131072)
    user_id = Text(required=False, max_length=128)


class ConsentSession(serializers.Serializer):
    """How a consent stands."""

    id = serializers.UUIDField()
    agent = serializers.CharField()
    provider = serializers.CharField()
    status = serializers.CharField()
    problem = serializers.CharField()
    settled = serializers.BooleanField(help_text="Nothing will change any more.")
    scopes = serializers.ListField(child=serializers.CharField())
    forced = serializers.BooleanField()
    connection_id = serializers.UUIDField(allow_null=True)
    expires_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class WaitQuery(serializers.Serializer):
    wait = serializers.IntegerField(
        min_value=0, max_value=30, default=0, help_text="Seconds to wait for a change of the status."
    )


def _outcome(outcome: Any) -> dict[str, Any]:
    none: dict[str, Any] = {"access_token": None, "authorization_url": None, "session_uri": None, "session_id": None}
    match outcome:
        case c.TokenReleased():
            return {**none, "status": "released", "access_token": outcome.access_token}
        case c.ConsentNeeded():
            return {
                **none,
                "status": "consent_needed",
                "authorization_url": outcome.authorization_url,
                "session_uri": outcome.session_uri,
                "session_id": outcome.session_id,
            }
        case _:
            return {**none, "status": "consent_failed", "session_uri": outcome.session_uri}


class WorkloadTokens(Endpoint):
    @operation(
        c.IssueWorkloadToken,
        c.IssueWorkloadTokenForJwt,
        c.IssueWorkloadTokenForUserId,
        id="issueWorkloadToken",
        tag=TAG,
        summary="Get a workload access token",
        body=WorkloadTokenRequest,
        answer=WorkloadToken,
        shaped=lambda token: {"workload_token": token},
        repeats=True,
        example={"agent": "release-notes-bot", "user_id": "dana"},
    )
    def post(self, given: Given) -> c.Command:
        jwt: Secret | None = given.get("jwt")
        user_id: str | None = given.get("user_id")
        if jwt is not None and user_id is not None:
            raise Invalid.field("user_id", _IDENTIFIER, reason="identifier")
        if jwt is not None:
            return c.IssueWorkloadTokenForJwt(agent=given["agent"], jwt=jwt)
        if user_id is not None:
            return c.IssueWorkloadTokenForUserId(agent=given["agent"], user_id=user_id)
        return c.IssueWorkloadToken(agent=given["agent"])


class OAuthTokens(Endpoint):
    @operation(
        c.FetchOAuthToken,
        id="fetchOAuthToken",
        tag=TAG,
        summary="Get an OAuth access token, or the link to the consent that is needed first",
        body=OAuthTokenRequest,
        answer=OAuthToken,
        shaped=_outcome,
        repeats=True,
        refusals=(502, 503),
        example={
            "workload_token": "awt_…",
            "provider": "github",
            "scopes": ["repo"],
            "flow": "user_federation",
        },
    )
    def post(self, given: Given) -> c.FetchOAuthToken:
        return c.FetchOAuthToken(**{**given, "flow": c.Flow(given["flow"])})


class ApiKeys(Endpoint):
    @operation(
        c.FetchApiKey,
        id="fetchApiKey",
        tag=TAG,
        summary="Get a stored API key",
        body=ApiKeyRequest,
        answer=ReleasedApiKey,
        shaped=lambda key: {"api_key": key},
        repeats=True,
        example={"workload_token": "awt_…", "provider": "weather"},
    )
    def post(self, given: Given) -> c.FetchApiKey:
        return c.FetchApiKey(**given)


class CompleteConsent(Endpoint):
    @operation(
        c.CompleteConsent,
        id="completeConsent",
        tag="consent",
        summary="Say who came back from the consent",
        body=Completion,
        refusals=(409, 410, 502, 503),
        example={"session_uri": "urn:ietf:params:oauth:request_uri:acs_…", "user_id": "dana"},
    )
    def post(self, given: Given) -> c.CompleteConsent:
        return c.CompleteConsent(**given)


class OneConsentSession(Endpoint):
    @operation(
        GetConsentSession,
        id="getConsentSession",
        tag="consent",
        summary="See how a consent stands, and wait for it",
        notes="With wait, the answer comes when the status changes, or after that time. Few requests may wait at once; "
        "the others are answered at once, so ask again after a moment while settled is false.",
        query=WaitQuery,
        answer=ConsentSession,
        repeats=True,
    )
    def get(self, given: Given, session_id: UUID) -> GetConsentSession:
        return GetConsentSession(session_id=session_id, wait_s=float(given["wait"]))
