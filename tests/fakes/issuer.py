"""A small honest OpenID issuer: real keys, a discovery document, a key set, introspection. It counts who asks."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from tests.unit.jwt import issuing

AUDIENCE = "https://agents.acme.example"
CLIENT = "agent-app"


class Issuer:
    """Runs until `stop()`. Change `keys`, `jwks_body` or `jwks_status` to make it misbehave."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.discovery_url = f"{self.url}/.well-known/openid-configuration"
        self.reset()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                if self.path == "/.well-known/openid-configuration":
                    self._send(200, json.dumps(issuer.metadata()).encode())
                elif self.path == "/jwks":
                    self._send(issuer.jwks_status, issuer.jwks())
                else:
                    self._send(404, b"{}")

            def do_POST(self) -> None:
                issuer.requests.append(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                if self.path != "/introspect":
                    return self._send(404, b"{}")
                proof = b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
                client, _, secret = proof.partition(":")
                if (unquote_plus(client), unquote_plus(secret)) != issuer.introspection_client:
                    return self._send(401, b'{"error":"invalid_client"}')
                token = parse_qs(body)["token"][0]
                answer = issuer.opaque.get(token, {"active": False})
                return self._send(issuer.introspection_status, json.dumps(answer).encode())

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reset(self) -> None:
        self.keys: list[Any] = [issuing.jwk(name) for name in ("rsa", "p256", "p384", "ed25519")]
        self.jwks_body: bytes | None = None
        self.jwks_status = 200
        self.opaque: dict[str, dict[str, Any]] = {}
        self.introspection_client = ("portal-at-issuer", "s:e c/ret")
        self.introspection_status = 200
        self.requests: list[str] = []

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "introspection_endpoint": f"{self.url}/introspect",
            "jwks_uri": f"{self.url}/jwks",
        }

    def jwks(self) -> bytes:
        return self.jwks_body if self.jwks_body is not None else json.dumps({"keys": self.keys}).encode()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims of a good access token now; a value of ... removes the member."""
        now = int(time.time())
        usual = {
            "iss": self.url,
            "sub": "alice",
            "aud": AUDIENCE,
            "iat": now - 5,
            "exp": now + 600,
            "client_id": CLIENT,
            "scope": "agent:invoke profile",
        }
        return {name: value for name, value in {**usual, **changes}.items() if value is not ...}

    def token(
        self, *, key: str = "rsa", alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A token as it should be, but for the changes."""
        return issuing.token(self.claims(**claims), key=key, algorithm=alg, header=header)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
