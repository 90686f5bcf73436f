"""Which application is calling, and can it prove it (RFC 6749 2.3)."""

from __future__ import annotations

import hmac

from django.http import HttpRequest

from .errors import OAuthError
from .hub import Hub
from .model import Client, digest
from .web import basic_credentials, note, only


def prove(hub: Hub, client_id: str, secret: str) -> Client | None:
    """The client with this id, if the secret is its own (empty for a public client)."""
    client = hub.client(client_id)
    # Compare in any case, so that an unknown client costs the same time as a wrong secret.
    proven = hmac.compare_digest(digest(secret), client.secret_digest if client else digest(""))
    if client is None:
        return None
    if client.public:
        return None if secret else client
    return client if proven else None


def authenticate(hub: Hub, request: HttpRequest) -> Client:
    """The client behind a form-encoded POST, by client_secret_basic, client_secret_post or none.

    Raises:
        OAuthError: invalid_client with 401, or invalid_request if it authenticates in two ways at once.
    """
    basic = basic_credentials(request)
    posted_id, posted_secret = only(request.POST, "client_id"), only(request.POST, "client_secret")
    if basic:
        if posted_secret is not None:
            raise OAuthError("invalid_request", "The client authenticates in two ways at once.")
        if posted_id is not None and posted_id != basic[0]:
            raise OAuthError("invalid_request", "client_id disagrees with the Authorization header.")
        client_id, secret, method = basic[0], basic[1], "client_secret_basic"
    else:
        client_id, secret = posted_id or "", posted_secret or ""
        method = "client_secret_post" if secret else "none"
    note(request, client_auth=method)
    client = prove(hub, client_id, secret)
    if client is None:
        raise OAuthError("invalid_client", "Client authentication failed.", 401)
    if method not in client.auth_methods:
        raise OAuthError("invalid_client", f"This client may not authenticate with {method}.", 401)
    return client
