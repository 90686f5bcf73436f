"""How the client proves itself at the token endpoint: RFC 6749 section 2.3.1."""

from __future__ import annotations

from apps.upstream.protocol.types import ClientAuthMethod, ClientCredentials, Dialect, Fields, Outbound


def token_request(
    url: str, fields: Fields, client: ClientCredentials, dialect: Dialect, *, deadline_s: float = 10.0
) -> Outbound:
    """A POST of these fields with the client's proof added."""
    proven = with_proof(fields, client)
    as_json = dialect.body_format == "json"
    return Outbound(
        method="POST",
        url=url,
        headers=dialect.token_headers,
        form=None if as_json else proven,
        json=proven if as_json else None,
        basic_auth=(client.client_id, client.secret) if _by_header(client.method) and client.secret else None,
        deadline_s=deadline_s,
    )


def with_proof(fields: Fields, client: ClientCredentials) -> Fields:
    """The fields plus what the method puts into the body.

    With `client_secret_basic` nothing is added: sending the proof twice is forbidden (section 2.3), and servers
    that compare the two differ in which one they believe.
    """
    if _by_header(client.method):
        return fields
    named = (*fields, ("client_id", client.client_id))
    return named if client.secret is None else (*named, ("client_secret", client.secret))


def _by_header(method: ClientAuthMethod) -> bool:
    return method == "client_secret_basic"
