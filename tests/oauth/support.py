"""A client of the authorization server, as a program would be one."""

from __future__ import annotations

import base64
import secrets
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.test import Client

from apps.broker.authorization_server import contracts as oc
from apps.broker.run import run
from apps.core import clock
from apps.core.secret import Secret

FORM = "application/x-www-form-urlencoded"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def make_client(tenant: Any, *scopes: str, **more: Any) -> oc.NewApiClient:
    command = oc.CreateApiClient(name="reporter", scopes=scopes or ("agents:read",), **more)
    made: oc.NewApiClient = run(command, tenant.caller())
    return made


def post(tenant: Any, endpoint: str, form: dict[str, Any] | str, *, basic: Any = None, **more: Any) -> Any:
    headers = {}
    if basic is not None:
        client_id, secret = basic
        headers["Authorization"] = "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    body = form if isinstance(form, str) else urlencode(form)
    more.setdefault("content_type", FORM)
    return Client().post(f"/t/{tenant.slug}/oauth2/{endpoint}", body, headers=headers, **more)


def credentials(made: oc.NewApiClient) -> tuple[str, str]:
    assert isinstance(made.client_secret, Secret)
    return made.client_id, made.client_secret.reveal()


def get_token(tenant: Any, made: oc.NewApiClient, scope: str = "agents:read") -> str:
    response = post(tenant, "token", {"grant_type": "client_credentials", "scope": scope}, basic=credentials(made))
    assert response.status_code == 200, response.content
    return str(response.json()["access_token"])


class Signer:
    """A client with a key of its own."""

    def __init__(self) -> None:
        self.kid = secrets.token_hex(4)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.jwks = {"keys": [self.public()]}

    def public(self) -> dict[str, Any]:
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {**jwk, "kid": self.kid, "alg": "ES256", "use": "sig"}

    def assertion(self, client_id: str, audience: Any, *, header: Any = None, key: Any = None, **changes: Any) -> str:
        now = clock.now().timestamp()
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "iat": int(now),
            "exp": int(now) + 60,
            "jti": secrets.token_hex(8),
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key or self.key, algorithm="ES256", headers={"kid": self.kid, **(header or {})})


def issuer(tenant: Any) -> str:
    return f"{settings.PUBLIC_URL}/t/{tenant.slug}"
