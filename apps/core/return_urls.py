"""Return URLs: registered once, then compared character by character (RFC 9700 section 4.1)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from apps.core.errors import Invalid

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_FORBIDDEN_SCHEMES = {"javascript", "data", "vbscript", "file", "about", "blob"}
_MAX = 2048


def check_registrable(url: str) -> None:
    """May this be registered? https anywhere, http on loopback, or an application's own scheme.

    Raises Invalid with reason `return_url_invalid`.
    """

    def refuse(why: str) -> Invalid:
        return Invalid.field("return_urls", f"A return URL {why}.", reason="return_url_invalid")

    if len(url) > _MAX or re.search(r"[\x00-\x20\x7f\\]", url) or not url.isascii():
        raise refuse("must be plain ASCII without blanks, at most 2048 characters")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as bad:
        raise refuse("must be an absolute URL") from bad
    scheme = parts.scheme.lower()
    if not scheme or scheme in _FORBIDDEN_SCHEMES:
        raise refuse("must be https, http on the loopback host, or an application's own scheme")
    if "#" in url:
        raise refuse("must not have a fragment")
    if scheme in ("http", "https"):
        if not parts.hostname or parts.username is not None or "@" in parts.netloc or "*" in parts.netloc:
            raise refuse("must name one host and no user")
        if scheme == "http" and parts.hostname not in _LOOPBACK:
            raise refuse("must use https unless it is on the loopback host")


def is_registered(url: str, registered: list[str], *, native: bool) -> bool:
    """Exact match. For a native agent a registered loopback URL matches with any port (RFC 8252 section 7.3)."""
    if url in registered:
        return True
    if not native:
        return False
    try:
        asked = urlsplit(url)
        _ = asked.port
    except ValueError:
        return False
    if asked.scheme != "http" or asked.hostname not in _LOOPBACK or "@" in asked.netloc or "#" in url:
        return False
    for known in registered:
        have = urlsplit(known)
        same = (have.scheme, have.hostname, have.path, have.query) == (
            asked.scheme,
            asked.hostname,
            asked.path,
            asked.query,
        )
        if same and have.hostname in _LOOPBACK:
            return True
    return False
