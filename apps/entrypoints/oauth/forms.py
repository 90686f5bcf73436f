"""Reading a form-encoded request as RFC 6749 appendix B means it, and nothing else."""

from __future__ import annotations

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest

from apps.authn.oauth.errors import OAuthRefused
from apps.authn.oauth.forms import read_pairs

MAX_BYTES = 64 * 1024


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


def _length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else MAX_BYTES + 1


def _wrong(reason: str, description: str) -> OAuthRefused:
    return OAuthRefused("invalid_request", reason=reason, description=description)
