"""One request of the REST API, from proof to answer. The order is the security argument:

proof of the caller, then the method, then the query and the body, then one command of the broker, then the answer.
Nothing before the proof looks at more than the size of the body.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.crypto import salted_hmac
from rest_framework.views import APIView

from apps.broker import api_gate, aws_gate, idempotency, versions
from apps.broker.api_gate import Proven
from apps.broker.contracts import Command, Page
from apps.broker.idempotency import Answer, Names
from apps.broker.run import run
from apps.core import clock
from apps.core.errors import PortalError, Unreadable
from apps.entrypoints.rest import problems, reading
from apps.entrypoints.rest.authentication import prove, request_id, source_ip
from apps.entrypoints.rest.operation import Operation


class Endpoint(APIView):
    """The views of one address. Rights are the broker's: there is no permission class that could be forgotten."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    http_method_names = ["get", "post", "put", "patch", "delete"]
    proven: Proven

    def dispatch(self, request: HttpRequest, *args: Any, **path: Any) -> HttpResponseBase:
        self.plain = request
        try:
            answer = self._answer(request, path)
        except Exception as refused:
            answer = problems.response(refused, request_id(request))
            if answer.status_code == 405:
                answer["Allow"] = ", ".join(self.allowed_methods)
        self._rates(answer)
        answer["Cache-Control"] = "no-store"
        patch_vary_headers(answer, ["Authorization", "Cookie"])
        return answer

    def _answer(self, request: HttpRequest, path: dict[str, Any]) -> HttpResponse:
        try:
            # Read before anything else could: a form parser would swallow it.
            reading.body_of(request)
        except PortalError as refused:
            raise aws_gate.turned_away(
                refused, request_id=request_id(request), source_ip=source_ip(request)
            ) from refused
        self.proven = prove(request)
        name = (request.method or "").lower()
        method = getattr(self, name, None) if name in self.http_method_names else None
        if method is None:
            unknown = Unreadable("This address does not take this method.", reason="method_not_allowed")
            raise aws_gate.rejection(self.proven.caller, unknown, operation="unknown")
        answer: HttpResponse = method(request, **path)
        return answer

    def perform(self, operation: Operation, make: Callable[..., Command], path: dict[str, Any]) -> HttpResponse:
        """Make the command, run it once, render what came of it."""
        caller, request = self.proven.caller, self.plain
        try:
            command = make(self, reading.given(operation, request), **path)
            if operation.conditional:
                command = replace(command, expect=reading.expected_version(request))  # type: ignore[call-arg]
            names = self._names(operation, request)
        except PortalError as refused:
            raise aws_gate.rejection(caller, refused, operation=operation.id) from refused

        def produce() -> Answer:
            return _rendered(operation, run(command, caller), request)

        if operation.repeats:
            return _response(produce())
        answer = idempotency.once(caller, names, now=clock.now(), produce=lambda: _kept(produce, request))
        return _response(answer)

    def _names(self, operation: Operation, request: HttpRequest) -> Names:
        key = request.headers.get("Idempotency-Key")
        asked = f"{request.method} {request.get_full_path()} {request.headers.get('If-Match', '')}\n"
        return Names(
            # Only what creates needs a key; the other changes may be repeated as they are.
            key=idempotency.checked_key(key) if key is not None and request.method == "POST" else None,
            signature=self.proven.signature,
            # Keyed, because a body may hold a password that could be guessed from a plain digest.
            digest=salted_hmac("portal.idempotency", asked.encode() + request.body, algorithm="sha256").digest(),
            operation=operation.id,
        )

    def _rates(self, answer: HttpResponse) -> None:
        """draft-ietf-httpapi-ratelimit-headers: what the credential has per second, and what is left."""
        proven: Any = getattr(self, "proven", None)
        # A credential that ended must look like one that never was.
        ended = proven is None or answer.status_code == 401
        rate = None if ended else api_gate.rate_of(proven.caller)
        if rate is not None:
            answer["RateLimit-Policy"] = f'"credential";q={rate[0]};w=1'
            answer["RateLimit"] = f'"credential";r={rate[1]};t=1'


def _kept(produce: Callable[[], Answer], request: HttpRequest) -> Answer:
    """A refusal is an answer too, unless trying again may do better."""
    try:
        return produce()
    except PortalError as refused:
        kind = problems.kind_of(refused)
        if kind.status >= 500 or kind.status in (401, 429):
            raise
        body = json.dumps(problems.document(refused, request_id(request)), ensure_ascii=False)
        return Answer(status=kind.status, body=body, headers={"Content-Type": problems.MEDIA_TYPE})


def _rendered(operation: Operation, outcome: Any, request: HttpRequest) -> Answer:
    headers: dict[str, str] = {}
    if operation.versioned:
        headers["ETag"] = f'"{versions.of(outcome)}"'
    if operation.located is not None:
        headers["Location"] = f"{settings.PUBLIC_URL}{request.path}/{operation.located(outcome)}"
    if isinstance(outcome, Page) and outcome.cursor is not None:
        query = request.GET.copy()
        query["cursor"] = outcome.cursor
        headers["Link"] = f'<{settings.PUBLIC_URL}{request.path}?{query.urlencode()}>; rel="next"'
    if operation.answer is None:
        return Answer(status=operation.status, headers=headers)
    body = json.dumps(operation.answer(operation.shaped(outcome)).data, ensure_ascii=False)
    return Answer(status=operation.status, body=body, headers={"Content-Type": "application/json", **headers})


def _response(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body.encode(), status=answer.status)
    del response["Content-Type"]
    for name, value in answer.headers.items():
        response[name] = value
    if answer.replayed:
        response["Idempotency-Replayed"] = "true"
    return response
