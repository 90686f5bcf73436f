"""The control API: how a demonstration or a test sets Demo Hub up, makes it fail and looks into it.

Only from this machine, and only with the control key in `X-Control-Key`. No cookie counts here, so no web page
can use it through somebody's browser.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET

from . import keys, scopes, tokens
from .control_bodies import (
    ChangedClient,
    ChangedPerson,
    ClientSettings,
    ClockMove,
    NewApiKey,
    NewClient,
    NewPerson,
    Rotation,
)  # fmt: skip
from .hub import Hub
from .model import ApiKey, Client, Grant, Person, digest
from .passwords import random_password
from .running import the_hub
from .switches import COUNTING, EVERYBODY, OTHER
from .web import reply

_GRANT_TYPES = {"authorization_code", "refresh_token", "client_credentials"}
_AUTH_METHODS = {"client_secret_basic", "client_secret_post", "none"}
_USERNAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_URI = re.compile(r"(https?://[^\s/?#]+|[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:)[^\s#]*")  # RFC 8252 7.1 for private schemes
_Body = TypeVar("_Body", bound=msgspec.Struct)
_View = Callable[..., HttpResponse]


class _Absent(Exception):
    """What the address names is not there."""


def _controlled(*methods: str) -> Callable[[_View], _View]:
    """Let only this machine in, and only with the key."""

    def decorate(view: _View) -> _View:
        @wraps(view)
        def wrapped(request: HttpRequest, **where: str) -> HttpResponse:
            hub = the_hub()
            if not ipaddress.ip_address(request.META["REMOTE_ADDR"]).is_loopback:
                return reply({"error": "The control API answers on this machine only."}, 403)
            if not hmac.compare_digest(digest(request.headers.get("X-Control-Key", "")), digest(hub.control_key)):
                return reply({"error": "X-Control-Key is missing or wrong."}, 401)
            if request.method not in methods:
                return reply({"error": "This method is not supported."}, 405, {"Allow": ", ".join(methods)})
            try:
                return view(hub, request, **where)
            except _Absent as absent:
                return reply({"error": f"There is no {absent}."}, 404)
            except (ValueError, msgspec.MsgspecError) as wrong:
                return reply({"error": str(wrong)}, 400)

        return wrapped

    return decorate


def _body(request: HttpRequest, kind: type[_Body]) -> _Body:
    return msgspec.json.decode(request.body or b"{}", type=kind)


# --- clients --------------------------------------------------------------------------------------------------


def _shown_client(client: Client) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(client)
    del shown["secret_digest"]
    return shown | {"public": client.public}


def _found(hub: Hub, client_id: str) -> Client:
    if client_id not in hub.state.clients:
        raise _Absent(f"client {client_id}")
    return hub.state.clients[client_id]


def _apply(client: Client, wanted: ClientSettings) -> Client:
    """A changed copy of the client; raises ValueError for what cannot be."""
    given = {n: v for n in ClientSettings.__struct_fields__ if (v := getattr(wanted, n)) is not UNSET}
    changed = msgspec.structs.replace(client, **given)
    for uri in changed.redirect_uris:
        if not _URI.fullmatch(uri):
            raise ValueError(f"{uri!r} is not an absolute address without a fragment")
    unknown = (
        (set(changed.grant_types) - _GRANT_TYPES)
        | (set(changed.auth_methods) - _AUTH_METHODS)
        | (set(changed.scopes) - set(scopes.SCOPES))
    )
    if unknown:
        raise ValueError(f"not known here: {', '.join(sorted(unknown))}")
    if changed.access_lifetime_s < 1 or changed.refresh_lifetime_s < 1:
        raise ValueError("lifetimes are at least one second")
    return changed


@_controlled("GET", "POST")
def clients(hub: Hub, request: HttpRequest) -> HttpResponse:
    """List or register; the secret is in the answer to the registration and nowhere else."""
    if request.method == "GET":
        with hub.lock:
            return reply({"clients": [_shown_client(client) for client in hub.state.clients.values()]})
    wanted = _body(request, NewClient)
    client_id = wanted.client_id or f"client-{secrets.token_hex(6)}"
    secret = "" if wanted.public else f"hubcs_{secrets.token_urlsafe(32)}"
    plain = Client(
        client_id=client_id,
        name=client_id,
        secret_digest=digest(secret) if secret else "",
        grant_types=["authorization_code", "refresh_token"] + ([] if wanted.public else ["client_credentials"]),
        auth_methods=["none"] if wanted.public else ["client_secret_basic", "client_secret_post"],
    )
    with hub.changing() as state:
        if client_id in state.clients:
            raise ValueError(f"there already is a client {client_id}")
        client = state.clients[client_id] = _apply(plain, wanted)
    return reply(_shown_client(client) | ({"client_secret": secret} if secret else {}), 201)


@_controlled("GET", "PATCH", "DELETE")
def client(hub: Hub, request: HttpRequest, client_id: str) -> HttpResponse:
    """Show, change or remove one client."""
    with hub.changing() as state:
        found = _found(hub, client_id)
        if request.method == "GET":
            return reply(_shown_client(found))
        if request.method == "DELETE":
            del state.clients[client_id]
            return reply({})
        wanted = _body(request, ChangedClient)
        changed = _apply(found, wanted)
        secret = ""
        if wanted.new_secret:
            if found.public:
                raise ValueError("a public client has no secret")
            secret = f"hubcs_{secrets.token_urlsafe(32)}"
            changed.secret_digest = digest(secret)
        state.clients[client_id] = changed
        return reply(_shown_client(changed) | ({"client_secret": secret} if secret else {}))


@_controlled("POST")
def expire_access_tokens(hub: Hub, request: HttpRequest, client_id: str) -> HttpResponse:
    """Make every access token of the client expired now; refresh tokens stay as they are."""
    _found(hub, client_id)
    return reply({"expired": tokens.expire_access_tokens(hub, client_id)})


# --- people ---------------------------------------------------------------------------------------------------


def _shown_person(person: Person) -> dict[str, Any]:
    return {
        "username": person.username,
        "sub": person.sub,
        "name": person.name,
        "email": person.email,
        "enabled": person.enabled,
    }


@_controlled("GET", "POST")
def people(hub: Hub, request: HttpRequest) -> HttpResponse:
    """List or create people."""
    if request.method == "GET":
        with hub.lock:
            return reply({"people": [_shown_person(person) for person in hub.state.people.values()]})
    wanted = _body(request, NewPerson)
    if not _USERNAME.fullmatch(wanted.username):
        raise ValueError("a user name is a letter followed by up to 39 small letters, digits, - or _")
    password = wanted.password or random_password()
    email = wanted.email or f"{wanted.username}@hub.example"
    created = hub.add_person(wanted.username, wanted.name or wanted.username.title(), email, password)
    return reply(_shown_person(created) | ({} if wanted.password else {"password": password}), 201)


@_controlled("GET", "PATCH")
def person(hub: Hub, request: HttpRequest, username: str) -> HttpResponse:
    """Show or change somebody."""
    with hub.changing() as state:
        found = state.people.get(username)
        if found is None:
            raise _Absent(f"person {username}")
        if request.method == "GET":
            return reply(_shown_person(found))
        wanted = _body(request, ChangedPerson)
        for name in ("name", "email", "enabled"):
            if getattr(wanted, name) is not UNSET:
                setattr(found, name, getattr(wanted, name))
        made = random_password() if wanted.random_password else ""
        password = made or (wanted.password if wanted.password is not UNSET else "")
        if password:
            hub.set_password(username, password)
        return reply(_shown_person(found) | ({"password": made} if made else {}))


# --- grants, API keys, signing keys, clock --------------------------------------------------------------------


def shown_grant(hub: Hub, grant: Grant) -> dict[str, Any]:
    """A grant as the control API tells it."""
    person = hub.person(grant.sub)
    return {
        "grant_id": grant.grant_id,
        "client_id": grant.client_id,
        "person": person.username if person else "",
        "scopes": grant.scopes,
        "created_at": grant.created_at,
        "refreshes": grant.refreshes,
        "ended_at": grant.ended_at,
        "ended_because": grant.ended_because,
        "live_access_tokens": sum(
            t.grant_id == grant.grant_id and tokens.is_live(hub, t) for t in hub.state.access_tokens.values()
        ),
    }


@_controlled("GET")
def grants(hub: Hub, request: HttpRequest) -> HttpResponse:
    """What people allowed, ended grants included; `?client_id=` narrows."""
    narrow = request.GET.get("client_id")
    with hub.lock:
        found = [grant for grant in hub.state.grants.values() if narrow in (None, grant.client_id)]
        return reply({"grants": [shown_grant(hub, grant) for grant in found]})


@_controlled("DELETE")
def grant(hub: Hub, request: HttpRequest, grant_id: str) -> HttpResponse:
    """End a grant as if the person had taken it back."""
    if grant_id not in hub.state.grants:
        raise _Absent(f"grant {grant_id}")
    return reply({"ended": tokens.end_grant(hub, grant_id, "withdrawn_by_person")})


@_controlled("GET", "POST")
def api_keys(hub: Hub, request: HttpRequest) -> HttpResponse:
    """List or create keys for the weather API; a key is in the answer to its creation and nowhere else."""
    if request.method == "GET":
        with hub.lock:
            return reply({"api_keys": [msgspec.to_builtins(key) for key in hub.state.api_keys.values()]})
    wanted = _body(request, NewApiKey)
    text = f"hubkey_{secrets.token_urlsafe(32)}"
    key = ApiKey(key_id=f"key-{secrets.token_hex(6)}", name=wanted.name, created_at=hub.now())
    with hub.changing() as state:
        state.api_keys[digest(text)] = key
    return reply(msgspec.to_builtins(key) | {"api_key": text}, 201)


@_controlled("DELETE")
def api_key(hub: Hub, request: HttpRequest, key_id: str) -> HttpResponse:
    """Remove a key."""
    with hub.changing() as state:
        for text, key in state.api_keys.items():
            if key.key_id == key_id:
                del state.api_keys[text]
                return reply({})
    raise _Absent(f"API key {key_id}")


@_controlled("POST")
def rotate_keys(hub: Hub, request: HttpRequest) -> HttpResponse:
    """Sign with new keys from now on."""
    wanted = _body(request, Rotation)
    with hub.changing() as state:
        keys.rotate(state.keys, hub.now(), drop_old=wanted.drop_old)
        return reply({"active": [key.kid for key in state.keys if key.active]})


@_controlled("GET", "POST")
def clock(hub: Hub, request: HttpRequest) -> HttpResponse:
    """The time here, and moving it forward. A restart brings the machine's time back."""
    if request.method == "GET":
        return reply({"now": hub.now()})
    wanted = _body(request, ClockMove)
    if not 0 <= wanted.advance_s <= 10 * 365 * 86_400:
        raise ValueError("the clock moves forward, by at most ten years at a time")
    return reply({"now": hub.advance_clock(wanted.advance_s)})


# --- switches, counters, log ----------------------------------------------------------------------------------


@_controlled("GET", "PATCH", "DELETE")
def switches(hub: Hub, request: HttpRequest) -> HttpResponse:
    """Show, change or clear failure switches; `?client_id=` means those of one client."""
    narrow = request.GET.get("client_id")
    if request.method == "PATCH":
        changes = msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
        return reply(hub.switches.change(changes, narrow or EVERYBODY))
    if request.method == "DELETE":
        hub.switches.clear(narrow)
    return reply({"settings": hub.switches.settings(), "switches": COUNTING | OTHER})


@_controlled("GET", "DELETE")
def counters(hub: Hub, request: HttpRequest) -> HttpResponse:
    """The counts since the start or the last reset; DELETE resets them and empties the log."""
    if request.method == "DELETE":
        hub.ledger.reset()
    return reply(hub.ledger.counters())


@_controlled("GET")
def requests_seen(hub: Hub, request: HttpRequest) -> HttpResponse:
    """The latest requests after `?after=` (a sequence number), without anything secret."""
    return reply({"requests": hub.ledger.requests(int(request.GET.get("after", "0")))})
