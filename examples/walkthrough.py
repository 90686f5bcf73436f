"""One agent's way through Identity Portal, played against a running demo (`make demo`).

    .venv/bin/python examples/walkthrough.py

Everything goes over HTTP, with an unmodified boto3 and an unmodified `bedrock_agentcore` SDK that only know two
endpoint variables. People are played by a browser without a screen. Exit status 0: every promise was kept.
It may be run again on the same home: its agent is made anew, what else it needs is brought up to date.

Environment, as `make demo` sets it: PORT, IDENTITY_PORTAL_HOME, HUB_URL (default: the demo's own).
"""

from __future__ import annotations

import logging
import queue
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from walkthrough_hub import ROOT, Page
from walkthrough_tools import Voice, lines_of_sample, manage, promise, refusal_of, save
from walkthrough_trail import missing_in, records_since, told
from walkthrough_world import World

AGENT, OTHER_AGENT = "walkthrough-agent", "inbox-helper"
PROVIDER, GITHUB, WEATHER = "demo-hub", "github", "demo-weather"
CLIENT_ID = "identity-portal"
TOKEN_LIVES_S = 20  # long enough for the calls in between, short enough to wait for the end
USUAL_LIFE_S = 3600


class Walkthrough(World):
    """The six steps. What one step finds out, the later ones use."""

    # --- 1 ----------------------------------------------------------------------------------------------------

    def an_operator_sets_up(self) -> None:
        """Control plane, with the access key that `create_tenant` printed."""
        if AGENT in self._agents():
            self.control.delete_workload_identity(name=AGENT)
            self.say(f"removed {AGENT} of an earlier run; its tokens and connections ended with it")
        self.control.create_workload_identity(name=AGENT, allowedResourceOauth2ReturnUrls=[self.app.return_url])
        self.say(f"created workload identity {AGENT}, which may send people back to {self.app.return_url}")
        self._hub_provider()
        done, callback = self._oauth_provider(
            GITHUB,
            "GithubOauth2",
            {"githubOauth2ProviderConfig": {"clientId": "Iv1.0123456789abcdef", "clientSecret": "of-no-github-app"}},
        )
        self.say(f"{done} provider {GITHUB} (GithubOauth2), callback {callback}")
        key = self.voice.hush(self.hub.create_api_key("walkthrough"))
        _, done = save(
            self.control.create_api_key_credential_provider,
            self.control.update_api_key_credential_provider,
            name=WEATHER,
            apiKey=key,
        )
        self.say(f"{done} API-key provider {WEATHER}; the key {key} is sealed now")

    def _agents(self) -> set[str]:
        pages = self.control.get_paginator("list_workload_identities").paginate()
        return {agent["name"] for page in pages for agent in page["workloadIdentities"]}

    def _oauth_provider(self, name: str, vendor: str, config: dict[str, Any]) -> tuple[str, str]:
        answer, done = save(
            self.control.create_oauth2_credential_provider,
            self.control.update_oauth2_credential_provider,
            name=name,
            credentialProviderVendor=vendor,
            oauth2ProviderConfigInput=config,
        )
        return done, answer["callbackUrl"]

    def _hub_provider(self) -> None:
        """Demo Hub knows the portal as a client; the portal finds Demo Hub by its discovery URL."""
        self.client = self.hub.client_with_new_secret(CLIENT_ID, "Identity Portal of Acme")
        config = {
            "oauthDiscovery": {"discoveryUrl": self.hub.discovery_url},
            "clientId": self.client.client_id,
            "clientSecret": self.voice.hush(self.client.client_secret),
        }
        done, callback = self._oauth_provider(PROVIDER, "CustomOauth2", {"customOauth2ProviderConfig": config})
        self.client = self.hub.change_client(self.client, redirect_uris=[callback], access_lifetime_s=TOKEN_LIVES_S)
        self.say(f"{done} provider {PROVIDER} (CustomOauth2) from its discovery URL {self.hub.discovery_url}")
        self.say(f"registered the portal's callback {callback} at Demo Hub")

    # --- 2 ----------------------------------------------------------------------------------------------------

    def a_person_signs_in(self) -> None:
        """The person's own token, from a provider the tenant trusts, becomes a workload access token."""
        trusted = manage("trust_issuer", "acme", self.hub.discovery_url, "--audience", "demo-app")
        self.say(f"an operator trusts tokens of {trusted['issuer']} for the audience demo-app")
        self.dana_jwt = self._jwt_of("dana")
        self.say(f"Dana signed in at Demo Hub; her application holds her ID token {self.dana_jwt}")
        self.dana_token = self._workload_token(AGENT, self.dana_jwt)
        self.say(f"GetWorkloadAccessTokenForJWT: {AGENT} may act for Dana with {self.dana_token}")
        forged = _with_another_signature(self.dana_jwt)
        code = refusal_of(self.data.get_workload_access_token_for_jwt, workloadName=AGENT, userToken=forged)
        self.say(f"the same token with a forged signature: {code}")

    def _jwt_of(self, username: str) -> str:
        return self.voice.hush(self.hub.person(username).sign_in_and_get_jwt())

    def _workload_token(self, agent: str, jwt: str) -> str:
        answer = self.data.get_workload_access_token_for_jwt(workloadName=agent, userToken=jwt)
        return self.voice.hush(answer["workloadAccessToken"])

    # --- 3 ----------------------------------------------------------------------------------------------------

    def the_person_consents(self) -> None:
        """The agent asks, waits, and goes on once Dana agreed and her application vouched for her."""
        before = self.hub.grant_ids(self.client)
        self._list_with_consent(force=False)
        self.grant_id = (self.hub.grant_ids(self.client) - before).pop()

    def _list_with_consent(self, *, force: bool) -> None:
        links: queue.Queue[str] = queue.Queue()
        working = self.agent.start(self._lister(links.put, force=force), self.dana_token)
        link = _first(links, working)
        self.say(f"the agent asks for repo:read and waits; its link for Dana: {link}")
        dana = self.hub.person("dana")
        self.app.signed_in(dana, self.dana_jwt)
        page = dana.open(link)
        promise(page.shows("consent-approve"), f"no consent page at the link, but {page.status} {page.title!r}")
        self.say(
            f"Dana reads: {_text(page, 'consent-agent')} wants {_text(page, 'consent-scope-raw')} at "
            f"{_text(page, 'consent-provider')} and sends you back to {_text(page, 'consent-return-host')}"
        )
        page = dana.walk()
        promise(page.url.startswith(self.app.return_url), f"Dana ended at {_bare(page)} ({page.status})")
        promised = page.status == 200 and "error" not in page.parameters
        promise(promised, f"the application says: {_text(page, 'app-says')}")
        self.say("Dana approved at the portal, signed in and approved at Demo Hub, and is back at the application")
        self.say("CompleteResourceTokenAuth: the application proved with Dana's token who came back")
        found = working.result(timeout=60)
        promise(found == self.danas, f"the agent saw {sorted(found)}")
        self.say(f"the agent's next poll got the token; it lists Dana's repositories: {', '.join(sorted(found))}")

    def _lister(self, on_auth_url: Callable[[str], Any], *, force: bool = False) -> Callable[[], set[str]]:
        lister: Callable[[], set[str]] = self.agent.repository_lister(
            self.hub.url, provider=PROVIDER, return_url=self.app.return_url, on_auth_url=on_auth_url, force=force
        )
        return lister

    # --- 4 ----------------------------------------------------------------------------------------------------

    def later_calls_ask_nobody(self) -> None:
        """The vault answers; it refreshes when the token ends, once."""
        function = self._lister(_nobody_should_be_asked)
        promise(self.agent.start(function, self.dana_token).result(timeout=30) == self.danas, "other repositories")
        promise(self.hub.grant(self.grant_id)["refreshes"] == 0, "a token that was good was refreshed")
        self.say("a second call got the stored token: no consent, no refresh")
        patience = time.monotonic() + 3 * TOKEN_LIVES_S
        while self.hub.grant(self.grant_id)["live_access_tokens"]:
            promise(time.monotonic() < patience, "the access token does not end")
            time.sleep(0.5)
        self.say(f"{TOKEN_LIVES_S} seconds after it was made the access token has ended at Demo Hub")
        promise(self.agent.start(function, self.dana_token).result(timeout=30) == self.danas, "other repositories")
        counted = self.hub.grant(self.grant_id)["refreshes"]
        promise(counted == 1, f"Demo Hub counted {counted} refreshes")
        self.say("a third call was refreshed silently; Demo Hub counted exactly one refresh")
        self.say("now with force_authentication=True:")
        self._list_with_consent(force=True)

    # --- 5 ----------------------------------------------------------------------------------------------------

    def other_ways_to_a_credential(self) -> None:
        """Machine-to-machine, an API key, and the SDK's path for somebody trying things on their own machine."""
        own = self.voice.hush(self.data.get_workload_access_token(workloadName=AGENT)["workloadAccessToken"])
        status = self.agent.start(self.agent.status_checker(self.hub.url, provider=PROVIDER), own).result(timeout=30)
        promise(status == "operational", f"Demo Hub is {status}")
        self.say(f"M2M: the agent itself asked Demo Hub how it is: {status}")
        weather = self.agent.start(self.agent.weather_reader(self.hub.url, provider=WEATHER), own).result(timeout=30)
        self.say(f"API key: {weather}")
        self.say("local development: examples/agents/release_notes_agent.py in an empty folder")
        heard: list[str] = []
        with tempfile.TemporaryDirectory(prefix="walkthrough-") as folder:
            for line in lines_of_sample(
                ROOT / "examples" / "agents" / "release_notes_agent.py",
                Path(folder),
                DEMO_HUB_URL=self.hub.url,
                HUB_PROVIDER=PROVIDER,
                WEATHER_PROVIDER=WEATHER,
            ):
                heard.append(line)
                self.voice.quote(line)
                if f"{self.portal}/connect/" in line:
                    self._dana_signs_in_at_the_portal(line.strip())
        promise(any("atlas since" in line for line in heard), "the sample did not reach Dana's repositories")

    def _dana_signs_in_at_the_portal(self, link: str) -> None:
        dana = self.hub.person("dana")
        account = self.people["dana"]
        dana.knows_login(self.portal, account["email"], account["password"])
        dana.open(link)
        page = dana.walk()
        promise(page.shows("done-message"), f"Dana ended at {_bare(page)} ({page.status}) {page.title!r}")
        self.say(f"Dana signed in at the portal as {account['email']}, claimed the user id and approved")

    # --- 6 ----------------------------------------------------------------------------------------------------

    def nobody_else_gets_the_token(self) -> None:
        """Same credential, other agent, other person, other tenant."""
        first = self._asks_for_consent(self._workload_token(OTHER_AGENT, self.dana_jwt))
        self.say(f"{OTHER_AGENT}, for Dana, gets a consent link of its own: {first}")
        second = self._asks_for_consent(self._workload_token(AGENT, self._jwt_of("lee")))
        self.say(f"{AGENT}, for Lee, gets another: {second}")
        promise(first != second, "two askers got the same link")
        key = self.keys["globex"]
        globex = self.boto3.Session(
            aws_access_key_id=key["access_key_id"], aws_secret_access_key=key["secret_access_key"]
        )
        data, control = globex.client("bedrock-agentcore"), globex.client("bedrock-agentcore-control")
        code = refusal_of(data.get_resource_oauth2_token, **self._request(self.dana_token))
        promise(code == "UnauthorizedException", f"globex got {code}")
        self.say(f"the key of globex with the workload token of acme: {code}")
        code = refusal_of(control.get_workload_identity, name=AGENT)
        promise(code == "ResourceNotFoundException", f"globex got {code}")
        self.say(f"the key of globex asking for {AGENT}: {code}")
        still = self.data.get_resource_oauth2_token(**self._request(self.dana_token))
        promise("accessToken" in still, "Dana's own connection was lost")
        self.voice.hush(still["accessToken"])
        self.say(f"{AGENT}, for Dana, still gets the token")
        self._show_the_trail()

    def _request(self, workload_token: str) -> dict[str, Any]:
        return {
            "workloadIdentityToken": workload_token,
            "resourceCredentialProviderName": PROVIDER,
            "scopes": ["repo:read"],
            "oauth2Flow": "USER_FEDERATION",
        }

    def _asks_for_consent(self, workload_token: str) -> str:
        answer = self.data.get_resource_oauth2_token(**self._request(workload_token))
        promise("accessToken" not in answer, "somebody else got Dana's token")
        return str(answer["authorizationUrl"])

    def _show_the_trail(self) -> None:
        names = {key["access_key_id"]: f"key of {tenant}" for tenant, key in self.keys.items()}
        names |= {self.hub.account(username)["sub"]: username.title() for username in ("dana", "lee")}
        for tenant in self.keys:
            records = records_since(tenant, self.voice.began[0])
            promise(not missing_in(tenant, records), f"the trail of {tenant} lacks {missing_in(tenant, records)}")
            promise(not self.voice.leaks(str(records)), f"the trail of {tenant} holds a secret")
            self.say(f"the audit trail of {tenant}, {len(records)} records of this walkthrough:")
            for line in told(records, self.voice.began, names):
                self.voice.quote(line)


def _first(links: queue.Queue[str], working: Future[Any]) -> str:
    """The link the agent was given; what the agent raised, if it raised instead."""
    for _ in range(100):
        try:
            return links.get(timeout=0.2)
        except queue.Empty:
            if working.done():
                promise(working.result() is None, "the agent got a token without asking for consent")
    raise TimeoutError("the agent was not given a link")


def _nobody_should_be_asked(link: str) -> None:
    promise(False, f"somebody was asked again, at {link}")


def _with_another_signature(jwt: str) -> str:
    head, body, signature = jwt.split(".")
    other = "B" if signature[9] == "A" else "A"
    return f"{head}.{body}.{signature[:9]}{other}{signature[10:]}"


def _text(page: Page, testid: str) -> str:
    return (page.texts(testid) or ["nothing"])[0]


def _bare(page: Page) -> str:
    return page.url.split("?")[0]


def play(voice: Voice) -> None:
    """All six steps; an exception where one fails."""
    story = Walkthrough(voice)
    print(f"Portal {story.portal}, provider {story.hub.url}")
    try:
        voice.tell(1, "an operator sets things up", story.an_operator_sets_up)
        voice.tell(2, "a person signs in, and the agent may act for them", story.a_person_signs_in)
        voice.tell(3, "the agent needs access, and the person agrees", story.the_person_consents)
        voice.tell(4, "from then on nobody is asked, until somebody wants to be", story.later_calls_ask_nobody)
        voice.tell(5, "machine-to-machine, API keys, local development", story.other_ways_to_a_credential)
        voice.tell(6, "nobody else gets the token, and everything is on record", story.nobody_else_gets_the_token)
    finally:
        if hasattr(story, "client"):
            story.hub.change_client(story.client, access_lifetime_s=USUAL_LIFE_S)
    story.invite()


def main() -> int:
    """Play and sum up; returns the exit status."""
    logging.disable(logging.INFO)  # the SDK logs the consent link at every poll
    voice, failure = Voice(), None
    began = time.monotonic()
    try:
        play(voice)
    except Exception as broken:  # whatever it is, the summary says so and the status is 1
        failure = f"{type(broken).__name__}: {voice.masked(str(broken))}"
    print(f"\n{voice.passed} of 6 steps passed in {time.monotonic() - began:.0f} s")
    if failure:
        print(f"FAILED in step {voice.passed + 1}: {failure}")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
