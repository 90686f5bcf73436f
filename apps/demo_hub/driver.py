"""Start Demo Hub, set it up, and be one of its people: for tests, demonstrations and scripts.

    with HubProcess.start() as hub:
        client = hub.register_client(name="My app", redirect_uris=["http://127.0.0.1:9/callback"])
        jwt = hub.person("dana").sign_in_and_get_jwt(client)

Needs only `requests`; Django runs in the other process.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

import requests

from .browser import BlockedByPolicy, Browser, Page
from .person import Answer, HubClient, Person

__all__ = ["Answer", "BlockedByPolicy", "Browser", "ControlRefused", "HubClient", "HubProcess", "Page", "Person"]

SEEDED = ("dana", "lee", "priya", "gus")
# It is a stranger: it gets none of the configuration of whoever starts it.
_NOT_ITS_BUSINESS = ("AWS_", "DATABASE_", "DEMO_HUB_PASSWORD_", "DJANGO_", "IDENTITY_PORTAL_", "REDIS_")
_START_WITHIN_S = 30.0
_STOP_WITHIN_S = 10.0
_CHECKOUT = Path(__file__).resolve().parents[2]


class ControlRefused(Exception):
    """The control API did not do what was asked; the message is its own."""


class HubProcess:
    """A running Demo Hub. It ends with this process, however this process ends."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[bytes], passwords: dict[str, str]) -> None:
        self._process = process
        self._errors = errors
        self._passwords = passwords
        self._last_words = ""
        self._http = requests.Session()
        self._http.trust_env = False
        self.url, self.control_key = self._first_lines()

    @classmethod
    def start(
        cls, home: str | Path | None = None, *, port: int = 0, public_url: str = "", host: str = "127.0.0.1"
    ) -> HubProcess:
        """Start a process and wait until it listens.

        Args:
            home: where it keeps its state; without one, it forgets everything at the end.

        Raises:
            RuntimeError: it did not start; the message holds what it wrote to standard error.
        """
        command = [sys.executable, "-m", "apps.demo_hub", "--until-stdin-closes", "--port", str(port), "--host", host]
        passwords: dict[str, str] = {}
        if home is None:
            passwords = {name: secrets.token_urlsafe(15) for name in SEEDED}
        else:
            command += ["--home", str(home)]
        if public_url:
            command += ["--public-url", public_url]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_ITS_BUSINESS)}
        environment |= {f"DEMO_HUB_PASSWORD_{name.upper()}": password for name, password in passwords.items()}
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process writes to it
        process = subprocess.Popen(
            command,
            cwd=_CHECKOUT,
            env=environment,
            stdin=subprocess.PIPE,  # closes when this process dies, whatever kills it
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # Ctrl-C in a terminal is for us; we stop the hub when we are done with it
        )
        hub = cls(process, errors, passwords)
        if home is not None:
            people = json.loads((Path(home) / "people.json").read_text())
            hub._passwords = {name: entry["password"] for name, entry in people.items()}
        return hub

    def _first_lines(self) -> tuple[str, str]:
        lines: queue.Queue[str] = queue.Queue()

        def read() -> None:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                lines.put(line.strip())
            lines.put("")

        self._reader = threading.Thread(target=read, daemon=True)
        self._reader.start()
        found: dict[str, str] = {}
        while len(found) < 2:
            try:
                word, _, value = lines.get(timeout=_START_WITHIN_S).partition(" ")
            except queue.Empty:
                word, value = "", ""
            if not word:
                self.kill()
                raise RuntimeError(f"Demo Hub did not start: {self.errors().strip() or 'it said nothing'}")
            found[word] = value
        return found["LISTENING"], found["CONTROL"]

    # --- process ----------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def host_port(self) -> str:
        """`host:port`, as an allow-list wants it."""
        return urlsplit(self.url).netloc

    def errors(self) -> str:
        """What the process wrote to standard error."""
        if self._errors.closed:
            return self._last_words
        # pread: the process shares the file's position, and moving it would make it overwrite itself.
        return os.pread(self._errors.fileno(), 1_000_000, 0).decode(errors="replace")

    def stop(self) -> int:
        """Stop it cleanly and return its exit status (-9 if it had to be killed)."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self._gone()

    def kill(self) -> int:
        """Kill it, as a crash would."""
        self._process.kill()
        return self._gone()

    def _gone(self) -> int:
        status = self._process.wait()
        self._last_words = self.errors()
        self._errors.close()
        self._http.close()
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        if self._process.stdout:
            self._reader.join()  # the pipe has ended, and with it the thread
            self._process.stdout.close()
        return status

    def __enter__(self) -> HubProcess:
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    # --- control API ------------------------------------------------------------------------------------------

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call the control API, for example `control("GET", "grants")`.

        Raises:
            ControlRefused: it answered with an error.
        """
        answer = self._http.request(
            method,
            f"{self.url}/control/{path}",
            json=body,
            headers={"X-Control-Key": self.control_key},
            timeout=_START_WITHIN_S,
        )
        content: dict[str, Any] = answer.json()
        if not answer.ok:
            raise ControlRefused(content.get("error", answer.text))
        return content

    def register_client(self, *, redirect_uris: Iterable[str] = (), **settings: Any) -> HubClient:
        """Register a client; `settings` are those of the control API (`name`, `public`, `access_lifetime_s`, …)."""
        made = self.control("POST", "clients", {"redirect_uris": list(redirect_uris), **settings})
        return HubClient(made["client_id"], made.get("client_secret", ""), next(iter(made["redirect_uris"]), ""))

    def change_client(self, client: HubClient | str, **settings: Any) -> HubClient:
        """Change a client's settings; `new_secret=True` replaces its secret. Returns the client as it is now."""
        made = self.control("PATCH", f"clients/{quote(_id(client), safe='')}", settings)
        old = client.client_secret if isinstance(client, HubClient) else ""
        secret = made.get("client_secret", old)
        return HubClient(made["client_id"], secret, next(iter(made["redirect_uris"]), ""))

    def demo_app(self) -> HubClient:
        """The public client that is always registered."""
        return HubClient("demo-app", "", f"{self.url}/demo-app/callback")

    def switch(self, client: HubClient | str | None = None, **settings: Any) -> None:
        """Turn failure switches on or off, for one client or (None) for everybody."""
        self.control("PATCH", f"switches{_narrow(client)}", settings)

    def clear_switches(self, client: HubClient | str | None = None) -> None:
        """Turn failures off, for one client or (None) altogether."""
        self.control("DELETE", f"switches{_narrow(client)}")

    def expire_access_tokens(self, client: HubClient | str) -> int:
        """Make all access tokens of a client expired; returns how many there were."""
        return int(self.control("POST", f"clients/{quote(_id(client), safe='')}/expire-access-tokens")["expired"])

    def grants(self, client: HubClient | str | None = None) -> list[dict[str, Any]]:
        """What people allowed, ended grants included."""
        return list(self.control("GET", f"grants{_narrow(client)}")["grants"])

    def withdraw(self, grant_id: str) -> None:
        """Take access back, as the person could on the account page."""
        self.control("DELETE", f"grants/{grant_id}")

    def counters(self) -> dict[str, Any]:
        """Requests per endpoint, refreshes per grant, reuses."""
        return self.control("GET", "counters")

    def requests_seen(
        self, *, after: int = 0, client: HubClient | None = None, endpoint: str = ""
    ) -> list[dict[str, Any]]:
        """The request log, oldest first, narrowed to a client or an endpoint."""
        log = self.control("GET", f"requests?after={after}")["requests"]
        return [
            entry
            for entry in log
            if (client is None or entry["client_id"] == client.client_id) and endpoint in ("", entry["endpoint"])
        ]

    def create_api_key(self, name: str = "weather") -> str:
        """A new key for the weather API."""
        return str(self.control("POST", "api-keys", {"name": name})["api_key"])

    def rotate_keys(self, *, drop_old: bool = False) -> list[str]:
        """Sign with new keys from now on; returns their ids."""
        return list(self.control("POST", "keys/rotate", {"drop_old": drop_old})["active"])

    def advance_clock(self, seconds: int) -> None:
        """Move the hub's clock forward."""
        self.control("POST", "clock", {"advance_s": seconds})

    def create_person(self, username: str, **details: str) -> dict[str, Any]:
        """A new person; `person(username)` can then sign in."""
        made = self.control("POST", "people", {"username": username, **details})
        self._passwords[username] = made.get("password") or details["password"]
        return made

    def account(self, username: str) -> dict[str, Any]:
        """A person's `sub`, name and e-mail address."""
        return self.control("GET", f"people/{quote(username, safe='')}")

    def person(self, username: str, *, stop_at: Iterable[str] = ()) -> Person:
        """A fresh browser in the hands of this person, who knows the password."""
        return Person(self, username, self._passwords[username], stop_at=stop_at)

    def token_request(self, client: HubClient, *, auth: str = "basic", **form: str) -> requests.Response:
        """POST to the token endpoint with `auth` basic, post or none."""
        return self.as_client(client, "token", auth=auth, **form)

    def as_client(self, client: HubClient, path: str, *, auth: str = "basic", **form: str) -> requests.Response:
        """POST a form to an endpoint that authenticates clients, such as `revoke` or `introspect`."""
        basic = None
        if auth == "basic" and client.client_secret:
            basic = (quote(client.client_id, safe=""), quote(client.client_secret, safe=""))
        else:
            form["client_id"] = client.client_id
            if auth == "post":
                form["client_secret"] = client.client_secret
        return self._http.post(f"{self.url}/{path}", data=form, auth=basic, timeout=_START_WITHIN_S)


def _id(client: HubClient | str) -> str:
    return client.client_id if isinstance(client, HubClient) else client


def _narrow(client: HubClient | str | None) -> str:
    return "" if client is None else f"?client_id={quote(_id(client), safe='')}"
