"""One agent's way through Identity Portal, played against a running demo (`make demo`).

    python examples/walkthrough.py

Everything goes over HTTP, with an unmodified boto3 and an unmodified `bedrock_agentcore` SDK that only know two
endpoint variables. People are played by a browser without a screen. Exit status 0: every promise was kept.
It may be run again on the same home: its agent is made anew, what else it needs is brought up to date.

Environment, as `make demo` sets it: PORT, IDENTITY_PORTAL_HOME, HUB_URL (default: the demo's own).
"""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from walkthrough_hub import ROOT, Page, RunningHub
from walkthrough_tools import Voice, manage, point_aws_clients_at, promise, read_json, refusal_of, there

AGENT, OTHER_AGENT = "walkthrough-agent", "inbox-helper"
PROVIDER, GITHUB, WEATHER = "demo-hub", "github", "demo-weather"
CLIENT_ID = "identity-portal"
TOKEN_LIVES_S = 20  # long enough for the calls in between, short enough to wait for the end
USUAL_LIFE_S = 3600


class Walkthrough:
    """The six steps. What one step finds out, the later ones use."""

    def __init__(self, voice: Voice) -> None:
        self.say, self.voice = voice.say, voice
        home = Path(os.environ.get("IDENTITY_PORTAL_HOME") or ROOT / "var").absolute()
        port = os.environ.get("PORT") or "8080"
        self.portal = (os.environ.get("IDENTITY_PORTAL_PUBLIC_URL") or f"http://127.0.0.1:{port}").rstrip("/")
        hub_url = os.environ.get("HUB_URL") or f"http://127.0.0.1:{(home / 'demo_hub.port').read_text().strip()}"
        os.environ.setdefault("IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS", hub_url.partition("//")[2])
        self.hub = RunningHub(hub_url, home / "demo_hub")
        self.keys = read_json(home / "demo" / "keys.json")
        self.people = read_json(home / "demo" / "people.json")
        for key in self.keys.values():
            voice.hush(key["secret_access_key"])
        voice.hush(self.hub.control_key)
        point_aws_clients_at(self.portal, self.keys["acme"])
        # Only now: boto3 and the SDK look at the environment while their clients are made.
        import boto3
        import walkthrough_agent
        from walkthrough_app import Application

        self.agent, self.app, self.boto3 = walkthrough_agent, Application(), boto3
        self.control = boto3.client("bedrock-agentcore-control")
        self.data = boto3.client("bedrock-agentcore")
        self.began = datetime.now(UTC)

    # --- 1 ----------------------------------------------------------------------------------------------------

    def an_operator_sets_up(self) -> None:
        """Control plane, with the access key that `create_tenant` printed."""
        if there(self.control.get_workload_identity, AGENT):
            self.control.delete_workload_identity(name=AGENT)
            self.say(f"deleted {AGENT} of an earlier run; its tokens and connections ended with it")
        made = self.control.create_workload_identity(
            name=AGENT, allowedResourceOauth2ReturnUrls=[self.app.return_url]
        )
        self.say(f"created workload identity {made['name']}, which may send people back to {self.app.return_url}")
        self._hub_provider()
        self._github_provider()
        self._weather_provider()

    def _hub_provider(self) -> None:
        self.client = self.hub.client_with_new_secret(CLIENT_ID, "Identity Portal of Acme")
        asked = {
            "name": PROVIDER,
            "credentialProviderVendor": "CustomOauth2",
            "oauth2ProviderConfigInput": {
                "customOauth2ProviderConfig": {
                    "oauthDiscovery": {"discoveryUrl": f"{self.hub.url}/.well-known/openid-configuration"},
                    "clientId": self.client.client_id,
                    "clientSecret": self.voice.hush(self.client.client_secret),
                }
            },
        }
        again = there(self.control.get_oauth2_credential_provider, PROVIDER)
        save = self.control.update_oauth2_credential_provider if again else self.control.create_oauth2_credential_provider
        saved = save(**asked)
        self.client = self.hub.change_client(
            self.client, redirect_uris=[saved["callbackUrl"]], access_lifetime_s=TOKEN_LIVES_S
        )
        self.say(f"{'updated' if again else 'created'} provider {PROVIDER} (CustomOauth2) from its discovery URL")
        self.say(f"registered the portal's callback {saved['callbackUrl']} at Demo Hub")

    def _github_provider(self) -> None:
        asked = {
            "name": GITHUB,
            "credentialProviderVendor": "GithubOauth2",
            "oauth2ProviderConfigInput": {
                "githubOauth2ProviderConfig": {
                    "clientId": "Iv1.0123456789abcdef",
                    "clientSecret": self.voice.hush("not-a-secret-of-any-github-app"),
                }
            },
        }
        again = there(self.control.get_oauth2_credential_provider, GITHUB)
        save = self.control.update_oauth2_credential_provider if again else self.control.create_oauth2_credential_provider
        saved = save(**asked)
        self.say(f"{'updated' if again else 'created'} provider {GITHUB} (GithubOauth2), callback {saved['callbackUrl']}")

    def _weather_provider(self) -> None:
        key = self.voice.hush(self.hub.create_api_key("walkthrough"))
        again = there(self.control.get_api_key_credential_provider, WEATHER)
        save = self.control.update_api_key_credential_provider if again else self.control.create_api_key_credential_provider
        save(name=WEATHER, apiKey=key)
        self.say(f"{'updated' if again else 'created'} API-key provider {WEATHER}; the key {key} is sealed now")

    # --- 2 ----------------------------------------------------------------------------------------------------

    def a_person_signs_in(self) -> None:
        """The person's own token, from a provider the tenant trusts, becomes a workload access token."""
        trusted = manage(
            *("trust_issuer", "acme", f"{self.hub.url}/.well-known/openid-configuration", "--audience", "demo-app")
        )
        self.say(f"an operator trusts tokens of {trusted['issuer']} for the audience demo-app")
        self.dana_jwt = self._jwt_of("dana")
        self.say(f"Dana signed in at Demo Hub; her application holds her ID token {self.dana_jwt}")
        self.dana_token = self._workload_token(AGENT, self.dana_jwt)
        self.say(f"GetWorkloadAccessTokenForJWT: {AGENT} may act for Dana with {self.dana_token}")
        code = refusal_of(
            self.data.get_workload_access_token_for_jwt, workloadName=AGENT, userToken=_with_another_signature(self.dana_jwt)
        )
        self.say(f"the same token with a forged signature: {code}")

    def _jwt_of(self, username: str) -> str:
        return self.voice.hush(self.hub.person(username).sign_in_and_get_jwt())

    def _workload_token(self, agent: str, jwt: str) -> str:
        answer = self.data.get_workload_access_token_for_jwt(workloadName=agent, userToken=jwt)
        return self.voice.hush(answer["workloadAccessToken"])

    # --- 3 ----------------------------------------------------------------------------------------------------

    def the_person_consents(self) -> None:
        """The agent asks, waits, and goes on once Dana agreed and her application vouched for her."""
        self._list_with_consent(force=False)
        self.consented_at = time.monotonic()

    def _list_with_consent(self, *, force: bool) -> None:
        links: queue.Queue[str] = queue.Queue()
        function = self._lister(links.put, force=force)
        working = self.agent.start(function, self.dana_token)
        link = _first(links, working)
        self.say(f"the agent asks for repo:read and waits; its link for Dana: {link}")
        dana = self.hub.person("dana")
        self.app.signed_in(dana, self.dana_jwt)
        page = dana.open(link)
        promise(page.shows("consent-approve"), f"no consent page at the link, but {page.status} {page.title!r}")
        self.say(f"Dana reads: {_first_text(page, 'consent-agent')} wants: {_first_text(page, 'consent-scope')}")
        page = dana.walk()
        promise(page.url.startswith(self.app.return_url), f"Dana ended at {_bare(page)} ({page.status})")
        promise(page.status == 200, f"the application says: {_first_text(page, 'app-says')}")
        self.say("Dana approved at the portal, signed in and approved at Demo Hub, and is back at the application")
        self.say("CompleteResourceTokenAuth: the application proved with Dana's token who came back")
        found = working.result(timeout=60)
        promise(found == self._repositories(), f"the agent saw {sorted(found)}")
        self.say(f"the agent's next poll got the token; it lists Dana's repositories: {', '.join(sorted(found))}")

    def _lister(self, on_auth_url: Callable[[str], Any], *, force: bool = False) -> Callable[[], set[str]]:
        lister: Callable[[], set[str]] = self.agent.repository_lister(
            self.hub.url, provider=PROVIDER, return_url=self.app.return_url, on_auth_url=on_auth_url, force=force
        )
        return lister

    def _repositories(self) -> set[str]:
        return self.hub.repositories_of("dana")

    # --- 4 ----------------------------------------------------------------------------------------------------

    def later_calls_ask_nobody(self) -> None:
        """The vault answers; it refreshes when the token ends, once."""
        function = self._lister(_nobody_should_be_asked)
        before = self.hub.refreshes(self.client)
        promise(self.agent.start(function, self.dana_token).result(timeout=30) == self._repositories(), "other data")
        promise(self.hub.refreshes(self.client) == before, "the second call refreshed a token that was good")
        self.say("a second call got the stored token: no consent, no refresh")
        while self.hub.live_tokens(self.client):
            promise(time.monotonic() - self.consented_at < 3 * TOKEN_LIVES_S, "the access token does not end")
            time.sleep(0.5)
        self.say(f"{TOKEN_LIVES_S} seconds later the access token has ended at Demo Hub")
        promise(self.agent.start(function, self.dana_token).result(timeout=30) == self._repositories(), "other data")
        counted = self.hub.refreshes(self.client) - before
        promise(counted == 1, f"Demo Hub counted {counted} refreshes")
        self.say("a third call was refreshed silently; Demo Hub counted exactly one refresh")
        self.say("now with force_authentication=True:")
        self._list_with_consent(force=True)

    # --- 5 ----------------------------------------------------------------------------------------------------

    def without_a_person_and_without_an_application(self) -> None:
        """Machine-to-machine, an API key, and the SDK's path for somebody trying things on their own machine."""
        own = self.voice.hush(self.data.get_workload_access_token(workloadName=AGENT)["workloadAccessToken"])
        status = self.agent.start(self.agent.status_checker(self.hub.url, provider=PROVIDER), own).result(timeout=30)
        promise(status == "operational", f"Demo Hub is {status}")
        self.say(f"M2M: the agent itself asked Demo Hub how it is: {status}")
        weather = self.agent.start(self.agent.weather_reader(self.hub.url, provider=WEATHER), own).result(timeout=30)
        self.say(f"API key: {weather}")
        self.say("local development: examples/agents/release_notes_agent.py in an empty folder")
        with tempfile.TemporaryDirectory(prefix="walkthrough-") as folder:
            output = self._run_sample(Path(folder))
        promise("atlas since" in output, "the sample did not reach Dana's repositories")

    def _run_sample(self, folder: Path) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "AGENT_RETURN_URL"}
        environment |= {"DEMO_HUB_URL": self.hub.url, "HUB_PROVIDER": PROVIDER, "WEATHER_PROVIDER": WEATHER}
        sample = subprocess.Popen(
            [sys.executable, "-u", str(ROOT / "examples" / "agents" / "release_notes_agent.py")],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        watchdog = threading.Timer(90, sample.kill)
        watchdog.start()
        heard: list[str] = []
        try:
            for line in sample.stdout or ():
                heard.append(line)
                self.say(f"  | {line.rstrip()}")
                if f"{self.portal}/connect/" in line:
                    self._dana_signs_in_at_the_portal(line.strip())
            errors = sample.stderr.read() if sample.stderr else ""
            promise(sample.wait(timeout=10) == 0, f"the sample ended with an error: {self.voice.masked(errors)[-300:]}")
        finally:
            watchdog.cancel()
            sample.kill()
            sample.wait()
        return "".join(heard)

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
        globex = self.boto3.Session(
            aws_access_key_id=self.keys["globex"]["access_key_id"],
            aws_secret_access_key=self.keys["globex"]["secret_access_key"],
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
        """Who, what, when, on whose behalf: read as an operator reads it."""
        names = {self.hub.account(name)["sub"]: name.title() for name in ("dana", "lee")}
        for tenant in ("acme", "globex"):
            records = [
                record
                for record in reversed(manage("audit_trail", tenant, "--last", "500")["records"])
                if datetime.fromisoformat(record["at"]) >= self.began
            ]
            promise(bool(records), f"the trail of {tenant} is empty")
            promise(not self.voice.leaks(str(records)), f"the trail of {tenant} holds a secret")
            self.say(f"the audit trail of {tenant}, {len(records)} records of this walkthrough:")
            for record in records:
                self.say(f"  {_told(record, names)}")


def _told(record: dict[str, Any], names: dict[str, str]) -> str:
    person = record["person"] or ""
    person = names.get(person.partition(" of ")[0], person)
    outcome = record["outcome"] + (f" ({record['reason']})" if record["reason"] else "")
    told = f"{record['at'][11:19]}  {record['account'] or record['actor']:<20}  {record['action']:<33}  {outcome}"
    for word, value in (("agent", record["agent"]), ("provider", record["provider"]), ("for", person)):
        told += f"  {word} {value}" if value else ""
    return told


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
    return ".".join((head, body, signature[::-1]))


def _first_text(page: Page, testid: str) -> str:
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
        voice.tell(5, "machine-to-machine, API keys, local development", story.without_a_person_and_without_an_application)
        voice.tell(6, "nobody else gets the token, and everything is on record", story.nobody_else_gets_the_token)
    finally:
        if hasattr(story, "client"):
            story.hub.change_client(story.client, access_lifetime_s=USUAL_LIFE_S)
    _sign_in_yourself(story)


def _sign_in_yourself(story: Walkthrough) -> None:
    print(f"\nSign in yourself at {story.portal}/signin/ (passwords of this demo only):")
    for person in story.people.values():
        print(f"  {person['email']:<22} {person['password']}  {person['role'].replace('_', ' ')}")
    print(f"and at Demo Hub, {story.hub.url}, as the person an agent acts for:")
    for username in ("dana", "lee"):
        print(f"  {username:<22} {story.hub.password_of(username)}")


def main() -> int:
    """Play and sum up; returns the exit status."""
    logging.disable(logging.INFO)  # the SDK logs the consent link at every poll
    voice, failure = Voice(), None
    began = time.monotonic()
    try:
        play(voice)
    except Exception as broken:  # noqa: BLE001 - whatever it is, the summary says so and the status is 1
        failure = f"{type(broken).__name__}: {voice.masked(str(broken))}"
    print(f"\n{len(voice.passed)} of 6 steps passed in {time.monotonic() - began:.0f} s")
    if failure:
        print(f"FAILED in step {len(voice.passed) + 1}: {failure}")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
