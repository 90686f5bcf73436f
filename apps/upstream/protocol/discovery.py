"""Reading what an authorization server publishes about itself: OpenID Connect Discovery 1.0, RFC 8414."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from apps.core.errors import Invalid
from apps.core.net.urls import UrlRules
from apps.upstream.protocol.types import Endpoints

_WELL_KNOWN = re.compile(
    r"(?P<before>/.*?)?/\.well-known/(?:openid-configuration|oauth-authorization-server)(?P<after>/.+)?"
)
_MOST_WORDS = 50


@dataclass(frozen=True, slots=True)
class DiscoveryAddress:
    """Where to fetch the document, and the issuers of which it may name one: those this address is formed from."""

    fetch_url: str
    issuers: tuple[str, ...]


def address(discovery_url: str, rules: UrlRules) -> DiscoveryAddress:
    """Derive the issuer from the configured address.

    `<issuer>/.well-known/...` (OpenID Connect Discovery section 4) or, with a path behind it,
    `<host>/.well-known/.../<path>` for the issuer `<host>/<path>` (RFC 8414 section 3.1).

    Some issuers end in a slash (Auth0, authentik). The address does not show it, because one terminating slash is
    removed when it is formed (both standards, same sections): it stands for the issuer with and without, and the
    document says which of the two it is. Both are the same server's at the same path. Written with two slashes before
    `.well-known`, or with one at the very end, the address stands for the one with the slash only.

    Raises Invalid on `discovery_url` with the reasons of UrlRules.read, or `url_invalid`.
    """
    with _naming("discovery_url"):
        url = rules.read(discovery_url)
    path, _, query = url.path_and_query.partition("?")
    match = _WELL_KNOWN.fullmatch(path)
    if match is None or query:
        raise Invalid.field(
            "discovery_url",
            "The address must end in /.well-known/openid-configuration or /.well-known/oauth-authorization-server.",
            reason="url_invalid",
        )
    before, after = match.group("before") or "", match.group("after")
    if after is not None:
        if before:
            raise Invalid.field(
                "discovery_url",
                "The address must have a path before or after .well-known, not both.",
                reason="url_invalid",
            )
        return DiscoveryAddress(str(url), _issuers(url.origin + after))
    if not before.endswith("/"):
        return DiscoveryAddress(str(url), _issuers(url.origin + before))
    fetched = replace(url, path_and_query=path.replace(f"{before}/.well-known", f"{before[:-1]}/.well-known", 1))
    return DiscoveryAddress(str(fetched), _issuers(url.origin + before))


def _issuers(shown: str) -> tuple[str, ...]:
    return (shown,) if shown.endswith("/") else (shown, f"{shown}/")


def read(document: Mapping[str, object], *, discovery_url: str, rules: UrlRules) -> Endpoints:
    """Judge a fetched document against the address it was configured under.

    The issuer in it must be exactly one the address is formed from (RFC 8414 section 3.3): otherwise one server
    could speak for another, and its tokens be taken for the other's. From then on `iss` is compared with the very
    text the document has, its final slash included. Every endpoint must be callable under `rules`.

    Raises Invalid naming the member: `issuer_mismatch`, `metadata_malformed`, or the reasons of UrlRules.read.
    """
    issuer = document.get("issuer")
    if not isinstance(issuer, str) or issuer not in address(discovery_url, rules).issuers:
        raise Invalid.field(
            "discovery_url",
            "The document at this address names another issuer than the address stands for.",
            reason="issuer_mismatch",
        )
    return Endpoints(
        issuer=issuer,
        authorization_endpoint=checked_url(document, "authorization_endpoint", rules),
        token_endpoint=checked_url(document, "token_endpoint", rules),
        token_endpoint_auth_methods=_words(document, "token_endpoint_auth_methods_supported", ("client_secret_basic",)),
        code_challenge_methods=_words(document, "code_challenge_methods_supported", ()),
        id_token_algs=_words(document, "id_token_signing_alg_values_supported", ("RS256",)),
        iss_parameter_supported=document.get("authorization_response_iss_parameter_supported") is True,
        revocation_endpoint=_optional_url(document, "revocation_endpoint", rules),
        jwks_uri=_optional_url(document, "jwks_uri", rules),
        userinfo_endpoint=_optional_url(document, "userinfo_endpoint", rules),
    )


def explicit(
    *,
    issuer: str,
    authorization_endpoint: str,
    token_endpoint: str,
    rules: UrlRules,
    token_endpoint_auth_methods: Sequence[str] = (),
) -> Endpoints:
    """Endpoints given by hand instead of discovered, checked the same way. Raises Invalid naming the member."""
    given = {"issuer": issuer, "authorization_endpoint": authorization_endpoint, "token_endpoint": token_endpoint}
    checked_url(given, "issuer", rules)
    return Endpoints(
        issuer=issuer,  # as given: it is compared character by character
        authorization_endpoint=checked_url(given, "authorization_endpoint", rules),
        token_endpoint=checked_url(given, "token_endpoint", rules),
        token_endpoint_auth_methods=tuple(token_endpoint_auth_methods) or ("client_secret_basic",),
    )


def checked_url(document: Mapping[str, object], name: str, rules: UrlRules) -> str:
    """The member of this name as a URL that may be called. Raises Invalid naming the member."""
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise Invalid.field(name, f"The provider's {name} is missing or not a text.", reason="metadata_malformed")
    with _naming(name):
        # As strictly for addresses that only a browser opens: javascript: and file: in an authorization endpoint
        # have run code on the machines of those who followed it (CVE-2025-6514).
        return str(rules.read(value))


def _optional_url(document: Mapping[str, object], name: str, rules: UrlRules) -> str | None:
    return None if document.get(name) is None else checked_url(document, name, rules)


def _words(document: Mapping[str, object], name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, list) or len(value) > _MOST_WORDS or not all(isinstance(word, str) for word in value):
        raise Invalid.field(name, f"The provider's {name} must be a list of texts.", reason="metadata_malformed")
    return tuple(value)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Say which member a refused URL was in."""
    try:
        yield
    except Invalid as refused:
        raise Invalid.field(name, f"{name}: {refused.public}", reason=refused.reason) from refused
