"""Documents anybody may read: what the authorization server can do, and the keys its tokens are signed with."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from apps.broker.authorization_server import documents
from apps.core.errors import Code, PortalError
from apps.entrypoints.oauth.http import private, public, request_id, source_ip

# Shorter than a retiring key is published, by far.
KEYS_MAX_AGE_S = 900
METADATA_MAX_AGE_S = 3600
_STATUS = {Code.NOT_FOUND: 404, Code.THROTTLED: 429}
View = Callable[..., HttpResponse]


def _readable(view: View) -> View:
    @wraps(view)
    def wrapped(request: HttpRequest, slug: str) -> HttpResponse:
        try:
            return view(request, slug)
        except PortalError as refused:
            status = _STATUS.get(refused.code, 503)
            return private({"error": refused.code.value, "error_description": refused.public}, status=status)

    return wrapped


@require_safe
@_readable
def document(request: HttpRequest, slug: str) -> HttpResponse:
    """RFC 8414 section 3 and OpenID Connect Discovery 1.0 section 4: one document at both addresses."""
    found = documents.metadata(slug, request_id=request_id(request), source_ip=source_ip(request))
    return public(found, max_age_s=METADATA_MAX_AGE_S)


@require_safe
@_readable
def key_set(request: HttpRequest, slug: str) -> HttpResponse:
    """RFC 7517 section 5. Without a key as long as the tenant has signed nothing."""
    found = documents.key_set(slug, request_id=request_id(request), source_ip=source_ip(request))
    return public(found, max_age_s=KEYS_MAX_AGE_S)
