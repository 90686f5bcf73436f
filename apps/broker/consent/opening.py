"""Open a consent request: the URL the agent shows its person."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from django.conf import settings

from apps.authn.workload import Proven
from apps.broker import contracts as c
from apps.broker.data_plane.facts import require_named_scopes
from apps.broker.work import Work
from apps.connections import sessions
from apps.connections.models import Connection, ConsentSession
from apps.connections.params import RequestParams
from apps.core.errors import Invalid
from apps.core.return_urls import is_registered
from apps.core.secret import Secret
from apps.policy.bindings import BindingFacts, to_ask
from apps.providers.models import Provider
from apps.upstream.catalogue.catalogue import vendor
from apps.upstream.protocol import authorization_code, parameters

MAX_SCOPES = 100


def url_of(ticket: str) -> str:
    return f"{settings.PUBLIC_URL}/connect/{ticket}"


def check_scopes(scopes: tuple[str, ...]) -> None:
    """RFC 6749 section 3.3: scope tokens are printable ASCII without blank, quote and backslash."""
    if len(scopes) > MAX_SCOPES:
        raise Invalid.field(
            "scopes", f"At most {MAX_SCOPES} scopes can be asked for at once.", reason="too_many_scopes"
        )
    for scope in scopes:
        if not scope or any(not ("\x21" <= ch <= "\x7e") or ch in '"\\' for ch in scope):
            raise Invalid.field(
                "scopes", "A scope holds a character that OAuth does not allow.", reason="scope_invalid"
            )


def open_for(
    command: c.FetchOAuthToken,
    work: Work,
    proven: Proven,
    provider: Provider,
    params: RequestParams,
    bound: BindingFacts | None,
) -> c.ConsentNeeded:
    """Open a session for exactly this agent, person and provider, asking for the union of old and new scopes.

    Of the old ones only what the agent's ceiling still allows.

    Raises Invalid for an unregistered return URL (`return_url_not_registered`), a reserved custom parameter
    (`reserved_parameter`) or a scope OAuth does not allow.
    """
    check_scopes(command.scopes)
    # As the provider's authorization URL will be built: refused now, to the application, not later to the person.
    dialect = vendor(provider.vendor).dialect()
    parameters.check_scopes(command.scopes, dialect)
    authorization_code.added_by_caller(command.custom_parameters, command.scopes, dialect)
    agent = proven.agent
    if command.return_url is not None and not is_registered(command.return_url, agent.return_urls, native=agent.native):
        raise Invalid.field(
            "return_url",
            "This return URL is not registered for the workload identity. Register it exactly as it is with "
            "UpdateWorkloadIdentity.",
            reason="return_url_not_registered",
        )
    with work.change():
        earlier = Connection.objects.filter(
            agent=agent,
            principal=proven.principal,
            provider=provider,
            flow=Connection.Flow.USER_FEDERATION,
            params_digest=params.digest(),
        ).first()
        asked = to_ask(
            frozenset(command.scopes),
            ceiling=bound.ceiling if bound else None,
            earlier=frozenset(earlier.requested_scopes) if earlier else frozenset(),
        )
        require_named_scopes(asked, bound, work)
        opened = sessions.open_session(
            account_id=proven.tenant.account_id,
            life_s=proven.tenant.consent_session_life_s,
            now=work.now,
            custom_state=command.custom_state,
            verifier=Secret(secrets.token_urlsafe(48)),
            nonce=Secret(secrets.token_urlsafe(32)),
            agent=agent,
            principal=proven.principal,
            provider=provider,
            provider_config_version=provider.config_version,
            binding=(
                ConsentSession.Binding.APPLICATION if command.return_url is not None else ConsentSession.Binding.PORTAL
            ),
            scopes=sorted(asked),
            params_digest=params.digest(),
            params=params.as_json(),
            return_url=command.return_url or "",
            forced=command.force,
        )
        # The provider's callback has to send the browser on with the session's name: keep it, sealed.
        sessions.keep(opened.session, "ticket", opened.ticket)
        work.also("consent.open", session=str(opened.session.id), scopes=sorted(asked), forced=command.force)
        work.note(session=str(opened.session.id), consent_needed=True)
    ticket = opened.ticket.reveal()
    return c.ConsentNeeded(
        authorization_url=url_of(ticket), session_uri=sessions.uri_of(ticket), session_id=opened.session.id
    )


def host_of(url: str) -> str:
    """Host, and port when it is not the scheme's own, for people to read."""
    return urlsplit(url).netloc.rpartition("@")[2]
