"""Reading a form-encoded request as RFC 6749 appendix B means it, and nothing else."""

from __future__ import annotations

from urllib.parse import parse_qsl

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest

from apps.authn.oauth.errors import OAuthRefused

MAX_BYTES = 64 * 1024
_MAX_FIELDS = 50


def read_form(request: HttpRequest) -> dict[str, str]:
    """The parameters of a POST. Sent without a value is not sent (RFC 6749 section 3.2).

    Raises OAuthRefused `invalid_request`: parameters in the address (addresses are logged), another media type, text
    that is not UTF-8, a parameter sent twice, more than 64 KiB.
    """
    if request.META.get("QUERY_STRING"):
        raise _wrong("query_string", "Parameters belong in the body.")
    if request.content_type != "application/x-www-form-urlencoded":
        raise _wrong("media_type_unsupported", "The body must be application/x-www-form-urlencoded.")
    try:
        body = request.body if _length(request) <= MAX_BYTES else None
    except RequestDataTooBig:
        body = None
    if body is None:
        raise _wrong("body_too_large", f"The body may have at most {MAX_BYTES} bytes.")
    try:
        return read_pairs(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise _wrong("form_malformed", "The body cannot be read.") from None


def read_pairs(text: str) -> dict[str, str]:
    """Name and value, each name once. Raises OAuthRefused `invalid_request`."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise _wrong("form_malformed", "The parameters cannot be read.") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise _wrong("parameter_repeated", "A parameter was sent twice.")
        if "\x00" in value:
            raise _wrong("form_malformed", "A parameter holds a character that cannot be one.")
        found[name] = value
    return {name: value for name, value in found.items() if value}


def _length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else MAX_BYTES + 1


def _wrong(reason: str, description: str) -> OAuthRefused:
    return OAuthRefused("invalid_request", reason=reason, description=description)
