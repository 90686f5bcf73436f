"""Which proof a request brings. Exactly one counts: what `Authorization` says, else the browser's session."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from django.http import HttpRequest
from rest_framework.authentication import CSRFCheck

from apps.authn import sigv4
from apps.authn.raw_target import raw_request
from apps.broker import api_gate, aws_gate
from apps.broker.api_gate import Proven
from apps.core import clock
from apps.core.secret import Secret
from apps.tenants.models import User

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def request_id(request: HttpRequest) -> str:
    """The id the middleware gave this request."""
    return str(getattr(request, "portal_request_id", ""))


def source_ip(request: HttpRequest) -> str | None:
    """The peer's address; None on a Unix socket. Forwarding headers are not believed (T090)."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def signed(request: HttpRequest) -> Proven:
    """A request signed with an access key, in the header form, as on the AWS wire."""
    found = aws_gate.authenticate(
        raw_request(request.META, request.body),
        now=clock.now(),
        request_id=request_id(request),
        source_ip=source_ip(request),
    )
    return Proven(caller=found.caller, signature=sigv4.signature_fingerprint(found.parsed))


def bearer(request: HttpRequest) -> Proven:
    """An access token of the portal's own authorization server."""
    token = request.META["HTTP_AUTHORIZATION"].partition(" ")[2]
    return api_gate.bearer(Secret(token), request_id=request_id(request), source_ip=source_ip(request))


# The first word of `Authorization`, in lower case, and who looks at the rest.
SCHEMES: Mapping[str, Callable[[HttpRequest], Proven]] = {"aws4-hmac-sha256": signed, "bearer": bearer}


def prove(request: HttpRequest) -> Proven:
    """Who is calling. Raises Unauthenticated, and whatever else the gates raise; each refusal is recorded there.

    A credential that is there but does not hold ends the request: nothing else is tried instead.
    """
    header = request.META.get("HTTP_AUTHORIZATION")
    if header is not None:
        scheme = SCHEMES.get(header.partition(" ")[0].lower())
        if scheme is None:
            raise api_gate.nobody(request_id=request_id(request), source_ip=source_ip(request), reason="scheme_unknown")
        return scheme(request)
    user = request.user
    if not isinstance(user, User) or not user.is_authenticated:
        raise api_gate.nobody(request_id=request_id(request), source_ip=source_ip(request))
    if request.method in _CHANGING and not _is_ours(request):
        raise api_gate.forged(user, request_id=request_id(request), source_ip=source_ip(request))
    return api_gate.person(user, request.session, request_id=request_id(request), source_ip=source_ip(request))


def _is_ours(request: HttpRequest) -> bool:
    """Whether a change comes from a page of ours: the token of the session's cookie, and the right origin."""
    check = CSRFCheck(lambda _request: None)
    check.process_request(request)
    return check.process_view(request, None, (), {}) is None
