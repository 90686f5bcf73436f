"""Form-encoded parameters as RFC 6749 appendix B means them, in a body or a query."""

from __future__ import annotations

from urllib.parse import parse_qsl

from apps.authn.oauth.errors import OAuthRefused

_MAX_FIELDS = 50


def read_pairs(text: str) -> dict[str, str]:
    """Name and value, each name once. Raises OAuthRefused `invalid_request`."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise OAuthRefused(
            "invalid_request", reason="form_malformed", description="The parameters cannot be read."
        ) from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise OAuthRefused(
                "invalid_request", reason="parameter_repeated", description="A parameter was sent twice."
            )
        if "\x00" in value:
            raise _wrong("form_malformed", "The parameters cannot be read.")
        found[name] = value
    return {name: value for name, value in found.items() if value}


def _wrong(reason: str, description: str) -> OAuthRefused:
    return OAuthRefused("invalid_request", reason=reason, description=description)
