"""One of Demo Hub's people in front of a browser, over HTTP. Reached through `apps.demo_hub.driver`."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import requests

from .browser import Browser, Page, origin

if TYPE_CHECKING:
    from .driver import HubProcess


@dataclass(frozen=True)
class HubClient:
    """A client registered at Demo Hub. An empty secret means a public client."""

    client_id: str
    client_secret: str
    redirect_uri: str


@dataclass(frozen=True)
class Answer:
    """An authorization response, with what its receiver has to know to use it."""

    parameters: dict[str, str]
    state: str
    nonce: str
    verifier: str
    redirect_uri: str


class Person(Browser):
    """One of Demo Hub's people in front of a browser."""

    def __init__(self, hub: HubProcess, username: str, password: str, *, stop_at: Iterable[str] = ()) -> None:
        super().__init__(stop_at=stop_at)
        self.hub = hub
        self.username = username
        self._logins: dict[str, tuple[str, str]] = {origin(hub.url): (username, password)}

    def knows_login(self, url: str, username: str, password: str) -> None:
        """Learn how to sign in at another server, for `walk`."""
        self._logins[origin(url)] = (username, password)

    def sign_in_here(self) -> Page:
        """Fill in the sign-in form of this page: its password field and the text field before it.

        Raises:
            LookupError: there is no such form, or the person does not know the password here.
        """
        page = self.page
        login = self._logins.get(origin(page.url))
        for form in page.forms:
            secret = next((f for f in form.fields if f.kind == "password"), None)
            name = next((f for f in form.fields if f.kind in ("text", "email")), None)
            if secret and name and login:
                return self.submit({name.name: login[0], secret.name: login[1]}, form=form)
        raise LookupError(f"{self.username} cannot sign in at {page.url.split('?')[0]}")

    def walk(
        self,
        *,
        press: Iterable[str] = ("consent-approve", "hub-approve"),
        values: Mapping[str, str] | None = None,
        most_pages: int = 12,
    ) -> Page:
        """Go on from the current page as long as something is asked: sign in, or press one of these buttons.

        Args:
            press: buttons that go on, the first one present is pressed.
            values: what to fill in on pages with such a button, where the form has such a field.

        Returns:
            The first page that asks for nothing of this.

        Raises:
            LookupError: it goes in circles, as with a wrong password.
        """
        wanted = list(press)
        for _ in range(most_pages):
            page = self.page
            found = next((hit for hit in (page.button(name) for name in wanted) if hit), None)
            if found:
                form, button = found
                there = {f.name for f in form.fields}
                chosen = {name: value for name, value in (values or {}).items() if name in there}
                name = button.testid or (f"{button.name}={button.value}" if button.name else button.text)
                self.submit(chosen, button=name)
            elif any(f.kind == "password" for form in page.forms for f in form.fields):
                self.sign_in_here()
            else:
                return page
        raise LookupError(f"{self.username} goes in circles at {self._described()}")

    def authorize(
        self,
        client: HubClient,
        scope: str = "openid profile email",
        *,
        approve: bool = True,
        flavour: str = "oidc",
        **parameters: str | None,
    ) -> Answer:
        """Run the authorization step for a client, with PKCE, state and nonce, up to its redirect URI.

        Args:
            approve: press Approve, or (False) Deny.
            flavour: `oidc`, or `github` for the other endpoint.
            parameters: more or other parameters; None leaves one out.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query: dict[str, str | None] = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "scope": scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **parameters,
        }
        path = "/authorize" if flavour == "oidc" else "/github/login/oauth/authorize"
        before = self.stop_at
        self.stop_at = [*before, client.redirect_uri]
        try:
            self.open(f"{self.hub.url}{path}?{urlencode({k: v for k, v in query.items() if v is not None})}")
            page = self.walk(press=["hub-approve" if approve else "hub-deny"])
        finally:
            self.stop_at = before
        if not page.url.startswith(client.redirect_uri):
            raise LookupError(f"ended on {self._described()}: {page.texts('hub-problem')}")
        return Answer(page.parameters, state, nonce, verifier, client.redirect_uri)

    def redeem(self, client: HubClient, answer: Answer, **form: str) -> requests.Response:
        """Exchange the code of an answer at the token endpoint."""
        body = {
            "grant_type": "authorization_code",
            "code": answer.parameters.get("code", ""),
            "redirect_uri": answer.redirect_uri,
            "code_verifier": answer.verifier,
        }
        return self.hub.token_request(client, **(body | form))

    def get_tokens(self, client: HubClient, scope: str = "openid profile email") -> dict[str, Any]:
        """The token response for this person at a client, the whole flow included.

        Raises:
            RuntimeError: the person or the provider refused.
        """
        answer = self.authorize(client, scope)
        if answer.parameters.get("state") != answer.state or "code" not in answer.parameters:
            raise RuntimeError(f"no code: {answer.parameters.get('error', 'another state came back')}")
        response = self.redeem(client, answer)
        if not response.ok:
            raise RuntimeError(f"no tokens: {response.text}")
        tokens: dict[str, Any] = response.json()
        return tokens

    def sign_in_and_get_jwt(self, client: HubClient | None = None, scope: str = "openid profile email") -> str:
        """Sign in at Demo Hub through an application (Demo App unless said) and return the ID token."""
        return str(self.get_tokens(client or self.hub.demo_app(), scope)["id_token"])
