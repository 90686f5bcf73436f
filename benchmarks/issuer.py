"""A token issuer on loopback: one RSA key, its JWKS over HTTP, and JWTs signed with it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc import jwt
from joserfc.jwk import RSAKey

AUDIENCE = "bench-agents"


@dataclass(frozen=True)
class Issuer:
    """`url` is the issuer's name and the root of its addresses."""

    url: str
    key: RSAKey

    @property
    def jwks_uri(self) -> str:
        return f"{self.url}/jwks"

    def token(self, subject: str, *, life_s: int = 3600) -> str:
        """A JWT (RS256) for this person, valid from now on for `life_s` seconds."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": subject,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + life_s,
            "client_id": "bench-app",
            "scope": "openid",
        }
        return jwt.encode({"alg": "RS256", "typ": "at+jwt", "kid": self.key.kid}, claims, self.key)


@contextmanager
def serving(port: int) -> Iterator[Issuer]:
    """Answer `/jwks` on 127.0.0.1 until the block ends."""
    key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, private=True, auto_kid=True)
    document = json.dumps({"keys": [key.as_dict(private=False)]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: the terminal belongs to the results."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Issuer(url=f"http://127.0.0.1:{port}", key=key)
    finally:
        server.shutdown()
        server.server_close()
