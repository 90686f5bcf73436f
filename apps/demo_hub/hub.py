"""The one object behind every request: state, lock, clock, people and their browser sessions."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from . import keys
from .home import Home, PersonFile
from .ledger import Ledger
from .model import DAY_S, Client, Person, State, digest
from .passwords import is_password, random_password, set_password
from .switches import Switches

_SEEDED = {
    "dana": ("Dana Whitfield", "dana@acme.example"),
    "lee": ("Lee Okafor", "lee@acme.example"),
    "priya": ("Priya Nair", "priya@acme.example"),
    "gus": ("Gus Lindqvist", "gus@globex.example"),
}
DEMO_APP = "demo-app"
_LANDING = "/demo-app/callback"
_SESSION_LIFETIME_S = 8 * 3600
_TIDY_EVERY_S = 30
_SPENT_CODE_KEPT_S = 600


@dataclass(frozen=True)
class BrowserSession:
    """A browser in which somebody signed in."""

    sub: str
    auth_time: int
    expires_at: int


class Hub:
    """Demo Hub itself. One lock guards the state; a file write is the slowest thing done while holding it."""

    def __init__(self, *, url: str, home: Home | None, passwords: Mapping[str, str]) -> None:
        """Load or create the state.

        Args:
            url: where people and programs reach this process; also the issuer.
            home: the folder to keep state in, or None to forget everything at the end.
            passwords: passwords for the seeded people by user name; the others get random ones.
        """
        self.url = url
        self.api = f"{url}/api"
        self.home = home
        self.control_key = home.control_key() if home else secrets.token_urlsafe(32)
        self.switches = Switches()
        self.ledger = Ledger()
        self.lock = threading.RLock()
        self._clock_offset_s = 0
        self._sessions: dict[str, BrowserSession] = {}
        self._tidied_at = 0
        loaded = home.load() if home else None
        self.state = loaded or State()
        with self.changing() as state:
            if not state.keys:
                keys.rotate(state.keys, self.now(), drop_old=False)
            self._seed_people(passwords)
            self._seed_demo_app()
        self.signer = keys.Signer(self.state.keys)

    # --- time and state ---------------------------------------------------------------------------------------

    def now(self) -> int:
        """Seconds since 1970 on Demo Hub's own clock, which the control API can move forward."""
        return int(time.time()) + self._clock_offset_s

    def advance_clock(self, seconds: int) -> int:
        """Move the clock forward and return the new time."""
        with self.lock:
            self._clock_offset_s += seconds
            return self.now()

    @contextmanager
    def changing(self) -> Iterator[State]:
        """Hold the lock; when the block ends, whether well or with an error, save the state.

        An error is no reason to forget: refusing a replayed refresh token is an error that ends a family.
        """
        with self.lock:
            try:
                yield self.state
            finally:
                self._tidy()
                if self.home:
                    self.home.save(self.state)

    def _tidy(self) -> None:
        now = self.now()
        if now < self._tidied_at + _TIDY_EVERY_S:
            return
        self._tidied_at = now
        state = self.state
        for code in [k for k, v in state.codes.items() if v.expires_at + _SPENT_CODE_KEPT_S < now]:
            del state.codes[code]
        for token in [k for k, v in state.access_tokens.items() if v.expires_at and v.expires_at < now]:
            del state.access_tokens[token]
        for grant_id in [k for k, v in state.grants.items() if v.ended_at and v.ended_at + DAY_S < now]:
            for refresh in state.grants.pop(grant_id).refresh_digests:
                state.refresh_tokens.pop(refresh, None)
        for session in [k for k, v in self._sessions.items() if v.expires_at < now]:
            del self._sessions[session]

    # --- people -----------------------------------------------------------------------------------------------

    def _seed_people(self, passwords: Mapping[str, str]) -> None:
        for username, (name, email) in _SEEDED.items():
            if username not in self.state.people:
                self._add_person(username, name, email, passwords.get(username) or random_password())
            elif username in passwords:
                self.set_password(username, passwords[username])

    def add_person(self, username: str, name: str, email: str, password: str) -> Person:
        """Create somebody.

        Raises:
            ValueError: the name is taken.
        """
        with self.changing():
            if username in self.state.people:
                raise ValueError(f"there already is somebody called {username}")
            return self._add_person(username, name, email, password)

    def _add_person(self, username: str, name: str, email: str, password: str) -> Person:
        person = Person(sub=f"hub|{secrets.token_hex(10)}", username=username, name=name, email=email)
        self.state.people[username] = person
        self.set_password(username, password)
        return person

    def set_password(self, username: str, password: str) -> None:
        """Give somebody a new password, ending their browser sessions.

        Raises:
            KeyError: nobody has that name.
        """
        with self.changing() as state:
            person = state.people[username]
            set_password(person, password)
            self._sessions = {key: value for key, value in self._sessions.items() if value.sub != person.sub}
            if self.home:
                people = self.home.people()
                people[username] = PersonFile(password=password, sub=person.sub, name=person.name, email=person.email)
                self.home.save_people(people)

    def person(self, sub: str) -> Person | None:
        """The enabled person with this subject."""
        with self.lock:
            return next((p for p in self.state.people.values() if p.sub == sub and p.enabled), None)

    def check_password(self, username: str, password: str) -> Person | None:
        """The person with this user name (in any case) and password, or None."""
        with self.lock:
            person = self.state.people.get(username.strip().lower())
        known = is_password(person, password)
        return person if known and person and person.enabled else None

    # --- browser sessions -------------------------------------------------------------------------------------

    def open_session(self, person: Person) -> str:
        """Start a browser session and return the cookie value."""
        cookie = secrets.token_urlsafe(32)
        now = self.now()
        with self.lock:
            self._sessions[digest(cookie)] = BrowserSession(person.sub, now, now + _SESSION_LIFETIME_S)
        return cookie

    def session(self, cookie: str | None) -> BrowserSession | None:
        """The live session of this cookie whose person may still sign in."""
        with self.lock:
            found = self._sessions.get(digest(cookie)) if cookie else None
            if found is None or found.expires_at < self.now() or self.person(found.sub) is None:
                return None
            return found

    def close_session(self, cookie: str | None) -> None:
        """End a browser session."""
        with self.lock:
            if cookie:
                self._sessions.pop(digest(cookie), None)

    # --- clients ----------------------------------------------------------------------------------------------

    def client(self, client_id: str) -> Client | None:
        """The enabled client with this id."""
        with self.lock:
            client = self.state.clients.get(client_id)
            return client if client and client.enabled else None

    def _seed_demo_app(self) -> None:
        """A public client that is always there: the front end where a person signs in before using an agent."""
        landing = f"{self.url}{_LANDING}"
        client = self.state.clients.setdefault(
            DEMO_APP,
            Client(
                client_id=DEMO_APP,
                name="Demo App",
                grant_types=["authorization_code", "refresh_token"],
                auth_methods=["none"],
                jwt_access_tokens=True,
            ),
        )
        # The port may be another one than last time; the landing page of an old port is nobody's now.
        client.redirect_uris = [uri for uri in client.redirect_uris if not uri.endswith(_LANDING)] + [landing]

    def audience(self, stored: str) -> str:
        """The audience of a token. Empty stands for our own API, which moves when the port does."""
        return stored or self.api
