"""The application around the agent: people sign in to it, and it owns the return URL.

When the portal sends a browser back, the application says who sits in front of it. It takes that from its own
session cookie, never from the address: whoever started the consent could have sent the link to somebody else.
"""

from __future__ import annotations

import secrets
import threading
from html import escape
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore.exceptions import ClientError
from walkthrough_hub import Person

_COOKIE = "walkthrough_app_session"
_PATH = "/oauth2/callback"


class Application:
    """Listens on a loopback port of its own until the process ends."""

    def __init__(self) -> None:
        self._signed_in: dict[str, str] = {}  # session cookie -> the person's JWT
        self._identity: Any = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def return_url(self) -> str:
        """Where consents end; it has to be registered for the agent."""
        return f"http://127.0.0.1:{self._server.server_port}{_PATH}"

    def signed_in(self, person: Person, jwt: str) -> None:
        """Remember who uses this browser."""
        session = secrets.token_urlsafe(32)
        self._signed_in[session] = jwt
        person.cookies.set(_COOKIE, session, domain="127.0.0.1", path=_PATH)

    def complete(self, cookies: str, query: dict[str, list[str]]) -> tuple[int, str]:
        """Answer a browser that came back: status and sentence."""
        cookie = SimpleCookie(cookies).get(_COOKIE)
        jwt = self._signed_in.get(cookie.value) if cookie else None
        if jwt is None:
            return 403, "Sign in to this application first."
        if "error" in query:
            return 200, f"Access was not given: {query['error'][0]}."
        if self._identity is None:
            self._identity = boto3.client("bedrock-agentcore")
        try:
            self._identity.complete_resource_token_auth(
                userIdentifier={"userToken": jwt}, sessionUri=query.get("session_id", [""])[0]
            )
        except ClientError as refused:
            return 502, refused.response["Error"]["Message"]
        return 200, "Thank you. The agent goes on."


def _handler(application: Application) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path != _PATH:
                self.send_error(404)
                return
            status, sentence = application.complete(self.headers.get("Cookie", ""), parse_qs(parts.query))
            body = f'<!doctype html><title>Agent</title><p data-testid="app-says">{escape(sentence)}</p>'.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the address holds a session."""

    return Handler
