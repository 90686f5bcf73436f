"""Asking an issuer about a token it may have issued: RFC 7662."""

from __future__ import annotations

from apps.core.errors import UpstreamUnavailable
from apps.core.net.strict_json import read_object
from apps.core.secret import Secret
from apps.upstream.protocol.client_auth import token_request
from apps.upstream.protocol.types import STANDARD, ClientCredentials, Inbound, Outbound


def build(endpoint: str, client: ClientCredentials, *, token: Secret) -> Outbound:
    """The request of section 2.1, with our proof as a client: an endpoint open to all would tell all."""
    fields = (("token", token), ("token_type_hint", "access_token"))
    return token_request(endpoint, fields, client, STANDARD, deadline_s=5.0)


def read(reply: Inbound) -> dict[str, object]:
    """The members of the answer (section 2.2). Only `active` is sure to be there, and it is not judged here.

    Raises UpstreamUnavailable `introspection_failed` for anything but a 200: an issuer that does not say that the
    token is good has not said so. Raises UpstreamRefused `upstream_not_json` for an answer that cannot be read.
    """
    if reply.status != 200:
        raise UpstreamUnavailable(
            "The token's issuer cannot be asked about it at the moment.",
            reason="introspection_failed",
            private=f"status {reply.status}",
        )
    return read_object(reply)
