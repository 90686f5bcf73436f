"""Agents: the directory of workload identities."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.broker import contracts as c
from apps.broker.contracts_admin import MarkAgentTrusted
from apps.entrypoints.rest.endpoint import Endpoint
from apps.entrypoints.rest.fields import Flag, Name, Pairs, Strict, Text, Words
from apps.entrypoints.rest.operation import Given, PageQuery, operation, page_of

TAG = "agents"
_URLS = "Where people may be sent back to after giving consent. Compared character by character."


class Agent(serializers.Serializer):
    """An agent: a program with an identity of its own."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    arn = serializers.CharField()
    status = serializers.ChoiceField(choices=("active", "suspended"))
    description = serializers.CharField()
    owner = serializers.CharField(allow_null=True, help_text="E-mail of the member who answers for it.")
    native = serializers.BooleanField(help_text="Runs on the person's own machine: any loopback port may return.")
    trusted = serializers.BooleanField(help_text="A repeated consent may be skipped.")
    return_urls = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class _Profile(Strict):
    return_urls = Words(required=False, help_text=_URLS)
    description = Text(required=False, allow_blank=True, max_length=2000, multiline=True)
    owner = Text(
        required=False, allow_null=True, max_length=254, help_text="E-mail of a member of the tenant; null for nobody."
    )
    native = Flag(required=False, help_text="Any loopback port may return.")


class NewAgent(_Profile):
    """A new agent."""

    name = Name(help_text="3 to 255 letters, digits, dots, dashes and underscores. It cannot be changed later.")
    tags = Pairs(required=False)


class AgentChange(_Profile):
    """What to change; what is left out stays as it is."""


class Reason(Strict):
    """Why, for the audit trail."""

    why = Text(max_length=500)


class OptionalReason(Strict):
    """Why, for the audit trail."""

    why = Text(max_length=500, required=False, allow_blank=True)


class Trust(Strict):
    """Whether a repeated consent may be skipped."""

    trusted = Flag()


def _profile(given: Given) -> c.AgentProfile:
    owner: Any = given.get("owner")
    return c.AgentProfile(
        description=given.get("description"),
        owner="" if "owner" in given and owner is None else owner,
        native=given.get("native"),
    )


class Agents(Endpoint):
    @operation(
        c.ListAgents,
        id="listAgents",
        tag=TAG,
        summary="List agents",
        query=PageQuery,
        answer=page_of(Agent),
        repeats=True,
    )
    def get(self, given: Given) -> c.ListAgents:
        return c.ListAgents(cursor=given.get("cursor"), limit=given["limit"])

    @operation(
        c.CreateAgent,
        id="createAgent",
        tag=TAG,
        summary="Add an agent",
        body=NewAgent,
        answer=Agent,
        status=201,
        versioned=True,
        located=lambda view: view.name,
        refusals=(409,),
        example={"name": "release-notes-bot", "return_urls": ["https://bot.example/callback"], "description": "Drafts"},
    )
    def post(self, given: Given) -> c.CreateAgent:
        return c.CreateAgent(
            name=given["name"],
            return_urls=given.get("return_urls", ()),
            tags=given.get("tags", {}),
            profile=_profile(given),
        )


class OneAgent(Endpoint):
    @operation(c.GetAgent, id="getAgent", tag=TAG, summary="Read an agent", answer=Agent, versioned=True, repeats=True)
    def get(self, given: Given, name: str) -> c.GetAgent:
        return c.GetAgent(name=name)

    @operation(
        c.UpdateAgent,
        id="updateAgent",
        tag=TAG,
        summary="Change an agent",
        body=AgentChange,
        answer=Agent,
        versioned=True,
        conditional=True,
        example={"description": "Drafts release notes", "native": False},
    )
    def patch(self, given: Given, name: str) -> c.UpdateAgent:
        return c.UpdateAgent(name=name, return_urls=given.get("return_urls"), profile=_profile(given))

    @operation(
        c.DeleteAgent,
        id="deleteAgent",
        tag=TAG,
        summary="Remove an agent",
        notes="Its workload tokens, connections and open consent requests end with it.",
    )
    def delete(self, given: Given, name: str) -> c.DeleteAgent:
        return c.DeleteAgent(name=name)


class SuspendAgent(Endpoint):
    @operation(
        c.SuspendAgent,
        id="suspendAgent",
        tag=TAG,
        summary="Suspend an agent",
        notes="It gets no further token from the next call on, and every workload token that is out ends.",
        body=Reason,
        example={"why": "key found in a public repository"},
    )
    def post(self, given: Given, name: str) -> c.SuspendAgent:
        return c.SuspendAgent(name=name, why=given["why"])


class ResumeAgent(Endpoint):
    @operation(
        c.ResumeAgent, id="resumeAgent", tag=TAG, summary="Let an agent work again", body=OptionalReason, example={}
    )
    def post(self, given: Given, name: str) -> c.ResumeAgent:
        return c.ResumeAgent(name=name, why=given.get("why", ""))


class TrustAgent(Endpoint):
    @operation(
        MarkAgentTrusted,
        id="markAgentTrusted",
        tag=TAG,
        summary="Mark an agent as trusted, or no longer",
        body=Trust,
        answer=Agent,
        versioned=True,
        example={"trusted": True},
    )
    def put(self, given: Given, name: str) -> MarkAgentTrusted:
        return MarkAgentTrusted(name=name, trusted=given["trusted"])
