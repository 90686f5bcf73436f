"""The resource API: repositories, releases, status and weather."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST, require_safe

from . import scopes
from .catalogue import Repository, repositories_of, weather_in
from .hub import Hub
from .model import AccessToken, Release, digest
from .running import the_hub
from .tokens import find_access_token
from .web import bearer_token, note, reply

_REALM = 'Bearer realm="Demo Hub"'


class NewRelease(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request to publish a release."""

    tag: str
    notes: str = ""


def bearer(
    request: HttpRequest, scope: str, *, of_a_person: bool = True, any_audience: bool = False
) -> AccessToken | HttpResponse:
    """The access token of this request, or the answer that refuses it (RFC 6750 3).

    Args:
        scope: what the token has to be good for; empty for nothing in particular.
        of_a_person: whether somebody must stand behind it, or (False) an application acting for itself.
        any_audience: whether a token for another resource server will do, as it does for userinfo.
    """
    hub = the_hub()
    text = bearer_token(request)
    if text is None:
        return reply({"error": "unauthorized", "error_description": "Send a bearer token."}, 401, _challenge(""))
    token = find_access_token(hub, text)
    if token is None or not (any_audience or hub.audience(token.audience) == hub.api):
        note(request, error="invalid_token")
        body = {"error": "invalid_token", "error_description": "The access token is unknown, expired or revoked."}
        return reply(body, 401, _challenge(', error="invalid_token"'))
    person = hub.person(token.sub)
    note(request, client_id=token.client_id, person=person.username if person else "")
    if bool(token.sub) != of_a_person or (scope and scope not in scopes.at_the_api(token.scopes)):
        note(request, error="insufficient_scope")
        body = {"error": "insufficient_scope", "error_description": f"This needs the scope {scope or 'of a person'}."}
        return reply(body, 403, _challenge(f', error="insufficient_scope", scope="{scope}"'))
    return token


def _challenge(details: str) -> dict[str, str]:
    return {"WWW-Authenticate": _REALM + details}


@require_safe
def me(request: HttpRequest) -> HttpResponse:
    """Who the token stands for."""
    token = bearer(request, "")
    if isinstance(token, HttpResponse):
        return token
    person = the_hub().person(token.sub)
    assert person is not None  # find_access_token gives no token of somebody who is gone
    return reply({"sub": person.sub, "username": person.username, "name": person.name, "email": person.email})


@require_safe
def repositories(request: HttpRequest) -> HttpResponse:
    """The repositories of the person behind the token."""
    token = bearer(request, "repo:read")
    if isinstance(token, HttpResponse):
        return token
    hub = the_hub()
    return reply({"repositories": [_shown(hub, repository) for repository in _theirs(hub, token)]})


def _theirs(hub: Hub, token: AccessToken) -> list[Repository]:
    person = hub.person(token.sub)
    return repositories_of(person.username) if person else []


def _shown(hub: Hub, repository: Repository) -> dict[str, Any]:
    with hub.lock:
        releases = [r for r in hub.state.releases if r.repository_id == repository.id]
    return {
        "id": repository.id,
        "name": repository.name,
        "description": repository.description,
        "private": repository.private,
        "merged_since_release": [] if releases else list(repository.merged),
        "latest_release": releases[-1].tag if releases else repository.released,
    }


@require_POST
def releases(request: HttpRequest, repository_id: str) -> HttpResponse:
    """Publish a release: JSON with `tag` and `notes`."""
    token = bearer(request, "repo:write")
    if isinstance(token, HttpResponse):
        return token
    hub = the_hub()
    if repository_id not in {repository.id for repository in _theirs(hub, token)}:
        return reply({"error": "not_found", "error_description": "There is no such repository."}, 404)
    try:
        wanted = msgspec.json.decode(request.body, type=NewRelease)
    except msgspec.DecodeError as wrong:
        return reply({"error": "invalid_request", "error_description": str(wrong)}, 400)
    release = Release(
        repository_id=repository_id,
        tag=wanted.tag[:100],
        notes=wanted.notes[:10_000],
        published_at=hub.now(),
        published_by=token.client_id,
    )
    with hub.changing() as state:
        if any(r.repository_id == repository_id and r.tag == release.tag for r in state.releases):
            return reply({"error": "conflict", "error_description": "There is a release with this tag."}, 409)
        state.releases.append(release)
    return reply(msgspec.to_builtins(release), 201)


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """How Demo Hub is doing, for applications acting for themselves."""
    token = bearer(request, "status:read", of_a_person=False)
    if isinstance(token, HttpResponse):
        return token
    return reply({"status": "operational", "asked_by": token.client_id, "time": the_hub().now()})


@require_safe
def weather(request: HttpRequest) -> HttpResponse:
    """The weather in `?city=`, for holders of an API key."""
    hub = the_hub()
    sent = request.headers.get("X-Api-Key", "")
    with hub.lock:
        key = hub.state.api_keys.get(digest(sent)) if sent else None
    if key is None:
        text = "The API key is unknown." if sent else "Send an API key in X-Api-Key."
        body = {"error": "unauthorized", "error_description": text}
        return reply(body, 401, {"WWW-Authenticate": 'ApiKey realm="Demo Hub", header="X-Api-Key"'})
    note(request, api_key=key.key_id)
    return reply(weather_in(request.GET.get("city", "Lisbon")[:80]))
