"""What goes out and what comes back, as plain values. Pure: the protocol code builds and reads only these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.core.secret import Secret

Field = tuple[str, str | Secret]
Fields = tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """One request to a provider. Secrets stay `Secret` until the transport writes them to the socket.

    At most one of `form` (application/x-www-form-urlencoded, in this order), `json` (one flat object) and
    `raw` (bytes, for library adapters that bring their own body) may be given. `basic_auth` is a client id and
    secret; both are form-encoded before base64 as RFC 6749 section 2.3.1 asks. `deadline_s` is for the whole
    exchange, name resolution included; `max_bytes` is the largest body taken in.
    """

    method: str
    url: str
    headers: Mapping[str, str | Secret] = field(default_factory=dict, repr=False)
    form: Fields | None = field(default=None, repr=False)
    json: Fields | None = field(default=None, repr=False)
    raw: bytes | None = field(default=None, repr=False)
    basic_auth: tuple[str, Secret] | None = field(default=None, repr=False)
    bearer: Secret | None = field(default=None, repr=False)
    deadline_s: float = 10.0
    max_bytes: int = 64_000

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.form, self.json, self.raw)) > 1:
            raise ValueError("a request has one body")
        if self.basic_auth is not None and self.bearer is not None:
            raise ValueError("a request has one Authorization header")


@dataclass(frozen=True, slots=True)
class Inbound:
    """One answer, complete and within its limits. Never a redirect. The body may hold tokens and is not shown."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """The first header of this name, whatever its case."""
        wanted = name.lower()
        return next((value for have, value in self.headers if have.lower() == wanted), None)
