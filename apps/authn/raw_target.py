"""The request as it was on the wire, from a WSGI environ.

What the servers give us (tried, granian 2.8.7, WSGI interface):

* PATH_INFO is percent-DECODED, and there is no raw-URI key at all: `/tags/a%2Fb` and `/tags/a/b` look alike.
  QUERY_STRING is raw. `//`, `/./` and `/../` are kept. A fragment and an absolute-form host are dropped.
* Repeated headers are joined with a bare comma (`HTTP_HOST: "a,b"`). `X-Amz-Date` and `x_amz_date` share one
  key and the last one wins; of two Content-Type headers only the first arrives; a value that is not ASCII
  becomes empty. In each case the signature is checked over the value that is used.
* The process environment is merged into every environ, so a variable called HTTP_SOMETHING looks like a
  header of every request. Whoever starts the server should drop such variables.
* wsgiref (Django's runserver) and Django's test client decode PATH_INFO the same way and give no raw key
  either. gunicorn gives RAW_URI; uWSGI, mod_wsgi and waitress give REQUEST_URI.

So, in this order:

1. A raw-URI key is used if it decodes to PATH_INFO: then the path is exactly what was sent.
2. Otherwise the path is encoded anew, as AWS clients encode it: fixed paths as they are, and the text of each
   label (all after `/tags/`, say) as one segment with everything but unreserved characters escaped.

What the second way cannot see is a client that escaped a character without need (`/identities/%47et…`): it
arrives as the plain spelling. That is safe, if less strict than T033 asks: the signature is checked over the very
path that is routed, so a request is only served if its signer signed that spelling. Under a server with a
raw-URI key such a path is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from apps.authn.sigv4 import RawRequest

_RAW_KEYS = ("RAW_URI", "REQUEST_URI")
_plain = re.compile(r"/[A-Za-z0-9_.~/-]*").fullmatch
_prefix = re.compile(r"(/t/[^/]+)(/.*)", re.DOTALL).fullmatch
_origin = re.compile(r"https?://[^/?#]*", re.IGNORECASE).match

# Headers in whose value a comma is never legal: one that holds a comma is several, joined by the server.
_NO_COMMA = frozenset(
    {"host", "content-type", "content-length", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
    | {"amz-sdk-invocation-id"}
)
_one_authorization = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^\s,=]{1,512}, ?SignedHeaders=[^\s,=]{1,2048}, ?Signature=[0-9a-f]{64}"
)
_MAX_AUTHORIZATION_CHARS = 8192


def raw_request(environ: Mapping[str, Any], body: bytes, templates: Sequence[re.Pattern[str]] = ()) -> RawRequest:
    """The request that a signature is checked against. It never fails: strange input is the verifier's to refuse.

    `templates` are the paths whose labels may hold escaped characters, the most literal one first.
    """
    return RawRequest(
        method=environ["REQUEST_METHOD"],
        raw_path=raw_path(environ, templates),
        raw_query=environ.get("QUERY_STRING", ""),
        headers=headers(environ),
        body=body,
    )


def raw_path(environ: Mapping[str, Any], templates: Sequence[re.Pattern[str]] = ()) -> str:
    """The path of the request target, percent-encoded, without the query; see the module's text."""
    decoded: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    for key in _RAW_KEYS:
        sent = environ.get(key)
        if isinstance(sent, str) and sent:
            origin = _origin(sent)
            path = (sent[origin.end() :] if origin else sent).partition("?")[0].partition("#")[0]
            if unquote_to_bytes(path) == decoded.encode("latin-1"):  # PEP 3333: text that stands for bytes
                return path
    if _plain(decoded) is not None:
        return decoded
    prefix = _prefix(decoded)
    head, rest = (prefix[1], prefix[2]) if prefix is not None else ("", decoded)
    for pattern in templates:
        match = pattern.fullmatch(rest)
        if match is not None:
            return _encode(head, safe="/") + _refill(match)
    return _encode(decoded, safe="/")


def headers(environ: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Header lines by lower-case name. Copies that the server joined are taken apart again, to be seen as such."""
    lines: list[tuple[str, str]] = []
    for key, value in environ.items():
        if key[:5] == "HTTP_":
            name = _header_name(key[5:])
        elif key[:8] == "CONTENT_" and key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            name = _header_name(key)
        else:
            continue
        if "," not in value:
            lines.append((name, value))
        elif name == "authorization":
            lines += [(name, part) for part in _split_authorization(value)]
        elif name in _NO_COMMA:
            lines += [(name, part.strip()) for part in value.split(",")]
        else:
            lines.append((name, value))
    return lines


@lru_cache(maxsize=256)
def _header_name(key: str) -> str:
    return key.replace("_", "-").lower()


def _split_authorization(value: str) -> list[str]:
    """One proof has commas of its own, so it is a whole proof next to something else that shows two headers."""
    if len(value) > _MAX_AUTHORIZATION_CHARS:
        return [value]
    first = _one_authorization.match(value)
    if first is not None and value[first.end() : first.end() + 1] == ",":
        return [first[0], value[first.end() + 1 :]]
    start = value.rfind("AWS4-HMAC-SHA256 ")
    if start > 0 and value[:start].rstrip().endswith(",") and _one_authorization.fullmatch(value, start):
        return [value[:start].rstrip()[:-1], value[start:]]
    return [value]


def _encode(decoded: str, *, safe: str) -> str:
    return quote(decoded.encode("latin-1"), safe=safe + "-_.~")


def _refill(match: re.Match[str]) -> str:
    """The path of a template again, with its labels encoded as single segments."""
    out, at = "", 0
    for index in range(1, (match.re.groups or 0) + 1):
        out += match.string[at : match.start(index)] + _encode(match[index], safe="")
        at = match.end(index)
    return out + match.string[at:]


def template(path: str) -> re.Pattern[str]:
    """The pattern of a path with `{labels}`, for `raw_path`."""
    parts = re.split(r"\{\w+\}", path)
    return re.compile("(.+)".join(map(re.escape, parts)), re.DOTALL)
