"""An OpenID provider that this project did not write (oidc-provider-mock), running in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from apps.authn.caller import CallerKind
from apps.broker import contracts as portal_contracts
from apps.broker.run import run
from apps.core.errors import Unauthenticated
from apps.core.secret import Secret
from tests.security.doors import Door
from tests.support import mutated

RETURN = "http://127.0.0.1:9/app"


class Provider:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.discovery_url = f"{self.url}/.well-known/openid-configuration"

    def sign_in(self, person: str, client: str) -> dict[str, Any]:
        """The tokens of a person who signs in to an application, by authorization code."""
        asked = {"client_id": client, "redirect_uri": RETURN, "response_type": "code", "scope": "openid"}
        answer = requests.post(
            f"{self.url}/oauth2/authorize", params=asked, data={"sub": person}, allow_redirects=False, timeout=30
        )
        assert answer.status_code == 302, answer.text
        code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": RETURN}
        return requests.post(f"{self.url}/oauth2/token", data=form, auth=(client, "any"), timeout=30).json()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    port = int(os.environ["PORTAL_TEST_INBOUND_PORTS"].split(",")[2])
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--host", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    running = Provider(port)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if requests.get(running.discovery_url, timeout=5).status_code == 200:
                    break
            except requests.ConnectionError:
                pass
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield running
    finally:
        process.terminate()
        process.wait(20)


class _AnyIssuer:
    """What a door needs of an issuer it does not control."""

    def __init__(self, provider: Provider) -> None:
        self.discovery_url, self.requests = provider.discovery_url, []


def test_a_person_of_a_live_provider_is_proven_by_their_token(acme: Any, provider: Provider) -> None:
    token = provider.sign_in("dana@example.org", "app-1")["id_token"]
    caller = acme.caller()
    run(portal_contracts.CreateAgent(name="bot"), caller)
    owner = acme.caller(kind=CallerKind.SYSTEM, row_id=None)
    issuer = run(portal_contracts.TrustIssuer(discovery_url=provider.discovery_url, audiences=("app-1",)), owner)
    assert issuer == provider.url
    made = run(portal_contracts.IssueWorkloadTokenForJwt(agent="bot", jwt=Secret(token)), caller)
    assert made.reveal().startswith("awt_")
    other = provider.sign_in("dana@example.org", "app-2")["id_token"]
    for wrong in (other, _with_other_signature(token)):
        with pytest.raises(Unauthenticated):
            run(portal_contracts.IssueWorkloadTokenForJwt(agent="bot", jwt=Secret(wrong)), caller)


def _with_other_signature(token: str) -> str:
    head, _, signature = token.rpartition(".")
    return f"{head}.{mutated(signature[:-1])}{signature[-1]}"


@pytest.mark.case("T017")
def test_T017_a_live_providers_id_token_opens_no_agents_door(acme: Any, provider: Provider) -> None:
    tokens = provider.sign_in("dana@example.org", "app-1")
    door = Door(acme, _AnyIssuer(provider), audiences=("app-1",))
    with door.refuses("token_type_not_allowed"):
        answer = door.ask(tokens["id_token"])
    # Its keys were fetched and its signature held: only what kind of token it is speaks against it.
    assert (answer["decision"], answer["status"]) == ("deny", 401)
    with door.refuses("signature_invalid"):
        door.ask(_with_other_signature(tokens["id_token"]))
    with door.refuses("malformed"):
        door.ask(tokens["access_token"])
    metadata = requests.get(provider.discovery_url, timeout=30).json()
    assert re.match(r"http://127\.0\.0\.1:\d+$", metadata["issuer"])
